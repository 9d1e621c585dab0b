"""strata grade bulk: one grade for every row of a filter, as one act that is taken back as one."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ui.cli.grade import As, Name, Note
from ui.cli.output import Json, emit, facts, opened, table


def bulk(
    name: Name,
    values: Annotated[list[str] | None, typer.Argument(metavar="NAME=VALUE...", help="The grade.")] = None,
    where: Annotated[str, typer.Option(metavar="SQL", help="Rows that get it.")] = "",
    missing: Annotated[
        str, typer.Option(metavar="error|drop|keep", help="What a row without a value means.")
    ] = "error",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many items it would reach.")] = False,
    undo: Annotated[
        str | None, typer.Option(metavar="ACT", help="Take an act back: its items are asked again.")
    ] = None,
    acts: Annotated[bool, typer.Option("--list", help="The acts there are, and those taken back.")] = False,
    person: As = None,
    remark: Note = "",
    json: Json = False,
) -> None:
    """Give every untouched item that matches one grade, as one act in your name; see it, or take it back.

    Example: strata grade bulk clarity clarity=1 --where "chars < 40" --dry-run
             strata grade bulk clarity --undo 7f0b
    """
    from catalog import grades
    from ui.cli.grade import _read

    cat = opened()
    if acts:
        rows = grades.bulk_acts(cat, name, history=True)
        emit(json, rows, lambda: table([_row(row) for row in rows], ["act", "where", "grade", "items", "grader", "undone"],
                                       empty="no act"))  # fmt: skip
        return
    if undo is not None:
        back = grades.bulk_undo(cat, name, undo, by=person)
        emit(json, back, lambda: print(f"took back {back['items']:,} grades; their items are asked again"))
        return
    done = grades.bulk(cat, name, _read(values or []), where=where, missing=missing, grader=person, note=remark,
                       dry_run=dry_run)  # fmt: skip
    emit(json, done, lambda: facts({**done, "values": ", ".join(values or [])}))


def _row(row: dict[str, Any]) -> dict[str, Any]:
    grade = ", ".join(f"{name}={value}" for name, value in row["values"].items())
    return {**row, "act": row["act"][:8], "grade": grade, "undone": (row["undone"] or "")[:16]}
