"""strata discover."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ui.cli.output import Json, emit, note, number, opened


def discover(
    need: Annotated[str, typer.Argument(metavar="NEED", help="What is needed, in words.")],
    top: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="Datasets at most.")] = 5,
    mode: Annotated[
        str, typer.Option(metavar="hybrid|vector|text", help="How to look: by words, by meaning, or both.")
    ] = "hybrid",
    endpoint: Annotated[
        str | None, typer.Option(metavar="E", help="Let this language model word further queries and grade candidates.")
    ] = None,
    budget: Annotated[
        str | None, typer.Option(metavar="B", help="What it may spend; a language model is never asked without.")
    ] = None,
    tier: Annotated[
        list[str] | None, typer.Option(metavar="TIER", help="Only datasets of this tier; repeat for more.")
    ] = None,
    kind: Annotated[list[str] | None, typer.Option(metavar="KIND", help="Only this kind of dataset.")] = None,
    language: Annotated[
        list[str] | None, typer.Option(metavar="CODE", help="Only those that have this language.")
    ] = None,
    licence: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only those with rows of this licence.")
    ] = None,
    use: Annotated[
        list[str] | None,
        typer.Option(metavar="USE", help="Only those with a licence that allows it: research, commercial ..."),
    ] = None,
    role: Annotated[
        list[str] | None, typer.Option(metavar="ROLE", help="Only this role; training means datasets without one.")
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="Only those that have this column, and every other one named."),
    ] = None,
    json: Json = False,
) -> None:
    """Find the datasets, and slices of them, that answer a described need; with the evidence, and what nothing satisfies.

    Example: strata discover "multilingual news with dates, free for commercial use, 10k rows at least"
             strata discover "word problems" --kind task --role training
    """
    from ui.discovering import discover as find

    facets = {"tier": tier, "kind": kind, "language": language, "licence": licence, "use": use, "role": role, "column": column}  # fmt: skip
    asked = {name: values or [] for name, values in facets.items()}
    held = find(opened(), need, asked, top=top, mode=mode, endpoint=endpoint, budget=budget)
    emit(json, held, lambda: _shown(held))


def _shown(held: dict[str, Any]) -> None:
    for rank, item in enumerate(held["datasets"], 1):
        facts = f"{item['kind']}, {item['tier']}, {number(item['rows'])} rows, {item['licence'] or 'no licence stated'}"
        print(f"{rank}. {item['ref']}  ({facts})" + ("  far from the need" if item["far"] else ""))
        for line in [*item["why"], *item["warnings"]]:
            print(f"     {line}")
        for check in item["checks"]:
            print(f"     {check['verdict']:>7}: {check['asked']}: {check['why']}")
        for part in item["slices"]:
            rows = "" if part["rows"] is None else f"{number(part['rows'])} rows "
            name = f"selection {part['selection']}: " if "selection" in part else "slice: "
            print(f"     {name}{rows}where {part['where']}")
        if item["samples"]:
            print("     samples " + ", ".join(sample[:12] for sample in item["samples"]))
        if "language_model" in item:
            grade = item["language_model"]
            print(f"     language model: {grade['fit']} of 3, {' '.join(grade['why'].split())}")
    for gap in held["gaps"]:
        print(f"gap: {gap}")
    for line in held["notes"]:
        note(line)
