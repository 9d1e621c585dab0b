"""strata insight, strata notes."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ui.cli.output import Json, emit, note, number, opened, table

Endpoint = Annotated[str | None, typer.Option(metavar="E", help="Let this language model help, within the budget.")]
Budget = Annotated[
    str | None, typer.Option(metavar="B", help="What it may spend; a language model is never asked without.")
]


def insight(
    ref: Annotated[str, typer.Argument(metavar="REF", help="A dataset, a version of it, or a saved selection.")] = "",
    check: Annotated[
        list[str] | None, typer.Option("--check", metavar="NAME", help="Only this check; may be given several times.")
    ] = None,
    checks: Annotated[bool, typer.Option("--checks", help="List the checks, and what each looks for.")] = False,
    queries: Annotated[bool, typer.Option("--queries", help="Print the query that shows each finding.")] = False,
    memory: Annotated[str, typer.Option(metavar="SIZE", help="Memory of the SQL engine; it spills beyond.")] = "2GB",
    endpoint: Endpoint = None,
    budget: Budget = None,
    json: Json = False,
) -> None:
    """Look for what is odd in a dataset: leaks, copies, empty fields, skews, templates, each with a query that shows it.

    Example: strata insight web --queries
    """
    from agents.insight import insight as look
    from agents.insight import listed

    if checks:
        held = listed()
        emit(json, held, lambda: table(held, ["check", "looks_for", "kinds"]))
        return
    if not ref:
        from catalog.errors import BadInput

        raise BadInput(
            "name a dataset, a version or a selection: strata insight NAME; --checks lists what is looked for"
        )
    found = look(opened(), ref, only=check or (), endpoint=endpoint, budget=budget, memory=memory)
    emit(json, found, lambda: _shown(found, queries))


def _shown(held: dict[str, Any], queries: bool) -> None:
    levels = [item["severity"] for item in held["findings"]]
    counts = ", ".join(f"{levels.count(one)} {one}" for one in ("high", "medium", "low"))
    print(
        f"{held['ref']}: {number(held['rows'])} rows, {len(held['checked'])} checks, {len(levels)} findings ({counts})"
    )
    for item in held["findings"]:
        print(f"\n{item['severity']:>6}  {item['title']}  [{item['check']}]")
        if item["quote"]:
            print(f"        like: {' '.join(item['quote'].split())[:120]}")
        print(f"        do: {item['advice']}" + (f" ({item['command']})" if item["command"] else ""))
        if item["samples"]:
            print("        samples " + ", ".join(sample[:12] for sample in item["samples"]))
        if "language_model" in item:
            said = item["language_model"]
            print(f"        language model: worth {said['worth']} of 3, {said['hypothesis']}")
        if queries:
            print("        " + item["query"].replace("\n", "\n        "))
    for line in held["notes"]:
        note(line)


def notes(
    a: Annotated[str, typer.Argument(metavar="A", help="The older version, or mix; alone: the newer one.")],
    b: Annotated[
        str | None, typer.Argument(metavar="B", help="The newer one; without it, A and what was before.")
    ] = None,
    card: Annotated[bool, typer.Option("--card", help="Print the draft of a card in place of the notes.")] = False,
    endpoint: Endpoint = None,
    budget: Budget = None,
    json: Json = False,
) -> None:
    """Draft release notes from what changed between two versions, with warnings and a suggested bump.

    Example: strata notes web@v1 web@v2 > NOTES.md
    """
    from agents.notes import version_notes

    held = version_notes(opened(), a, b, endpoint=endpoint, budget=budget)
    emit(json, held, lambda: print(held["card" if card else "markdown"], end=""))
    if not json:
        for line in held["notes"]:
            note(line)
