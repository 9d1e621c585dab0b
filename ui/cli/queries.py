"""strata queries save|list|show|delete: statements of SQL that a team keeps by name."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ui.cli.output import Json, emit, opened, table

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the query.")]


def save(
    name: Name,
    query: Annotated[str, typer.Argument(metavar="SQL", help="The statement, in quotes.")],
    note: Annotated[str, typer.Option(help="What it is for.")] = "",
    replace: Annotated[bool, typer.Option("--replace", help="Also where another query has the name.")] = False,
    json: Json = False,
) -> None:
    """Keep a read-only query by name; `strata sql --saved NAME` runs it, the SQL page lists it.

    Example: strata queries save licences "SELECT licence, count(*) AS rows FROM web GROUP BY 1"
    """
    from catalog.queries import save_query

    held = save_query(opened(), name, query, note=note, replace=replace)
    emit(json, held, lambda: print(f"kept {held.name}: strata sql --saved {held.name}"))


def list_queries(json: Json = False) -> None:
    """List the queries that are kept.

    Example: strata queries list
    """
    from catalog.queries import saved_queries

    held = saved_queries(opened())
    rows: list[dict[str, Any]] = [{"name": one.name, "note": one.note, "by": one.actor, "created": one.created[:10],
                                   "query": " ".join(one.query.split())[:100]} for one in held]  # fmt: skip
    empty = "no query is kept; strata queries save NAME SQL"
    emit(json, held, lambda: table(rows, ["name", "note", "by", "created", "query"], empty=empty))


def show(name: Name, json: Json = False) -> None:
    """Print a query that is kept.

    Example: strata queries show licences
    """
    from catalog.queries import saved_query

    held = saved_query(opened(), name)
    emit(json, held, lambda: print(held.query))


def delete(name: Name, json: Json = False) -> None:
    """Forget a query that is kept; nothing that was made from it changes.

    Example: strata queries delete licences
    """
    from catalog.queries import delete_query

    delete_query(opened(), name)
    emit(json, {"deleted": name}, lambda: print(f"{name} is forgotten"))
