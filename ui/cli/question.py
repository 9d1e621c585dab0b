"""strata question."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ui.cli.attribute import Budget, Endpoint
from ui.cli.output import Json, emit, note, opened, table


def question(
    text: Annotated[str, typer.Argument(metavar="QUESTION", help="What you want to know, in words.")],
    dataset: Annotated[
        str | None, typer.Option("--of", metavar="DATASET", help="The dataset meant where the question names none.")
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=100_000, help="Rows at most.")] = 1000,
    endpoint: Endpoint = None,
    budget: Budget = None,
    json: Json = False,
) -> None:
    """Answer a question in words with SQL: the statement, its rows and a sentence. Reads and changes nothing.

    Without --endpoint a few kinds of question are read by rules (how many, share, average, top, distribution, compare, which
    datasets); what they do not read is said, with the nearest columns and kept queries.

    Example: strata question "average chars by language of web"
             strata question "share of rows with quality above 0.7 in German" --of web
    """
    from agents.analyst import question as ask

    held = ask(opened(), text, dataset, endpoint=endpoint, budget=budget, limit=limit)
    emit(json, held, lambda: _shown(held))


def _shown(held: dict[str, Any]) -> None:
    print(held["sentence"])
    if held["sql"] is not None:
        rows = [{name: " ".join(value.split())[:120] if isinstance(value, str) else value for name, value in row.items()}
                for row in held["rows"]]  # fmt: skip
        table(rows, held["columns"], empty="no rows", as_named=True)
        note(f"{held['by']}: {held['sql']}")
    for attempt in held["attempts"]:
        note(f"tried: {attempt['sql'] or 'no SQL'}: {attempt['error']}")
    if near := held["near"]:
        for name, found in (("columns", near["columns"]), ("kept queries", [q["name"] for q in near["queries"]])):
            if found:
                note(f"nearest {name}: {', '.join(found)}")
        note("rules read, for example: " + "; ".join(near["questions"][:4]))
    for line in held["notes"]:
        note(line)
