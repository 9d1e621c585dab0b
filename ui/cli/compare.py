"""strata compare: measures of two whole sets."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ui.cli.output import Json, emit, facts, opened, table


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="Dataset version or selection.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Dataset version or selection.")],
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            metavar="NAME",
            help="mmd, vendi, clusters, transport, prototypes, ngrams or qdc; default all.",
        ),
    ] = None,
    rows: Annotated[int, typer.Option(min=2, help="Rows a side whose vectors are compared, at most.")] = 5_000,
    clusters: Annotated[int, typer.Option(min=1, help="Joint clusters.")] = 64,
    vectors: Annotated[str, typer.Option(metavar="NAME", help="Column of vectors.")] = "embedding",
    json: Json = False,
) -> None:
    """Measure two sets: how diverse each is and how far apart they are, by vectors and by n-grams.

    Example: strata compare web@v1 web@v2 --metric mmd --metric vendi
    """
    from flows.compare import compare

    held = compare(opened(), a, b, metric, rows=rows, clusters=clusters, vectors=vectors)
    emit(json, held, lambda: _show(held))


def _show(held: dict[str, Any]) -> None:
    from ui.cli.mix import flat

    listed = held.get("prototypes", {}).get("listed", [])
    plain = {name: body for name, body in held.items() if name != "prototypes"}
    if "prototypes" in held:
        plain["prototypes"] = {name: body for name, body in held["prototypes"].items() if name != "listed"}
    facts(flat(plain))
    if listed:
        rows = [
            {"a": f"{item['a']:.1%}", "b": f"{item['b']:.1%}",
             **{f"nearest in {side}": next((row["text"] for row in item["examples"][side]), "") for side in "ab"}}
            for item in listed
        ]  # fmt: skip
        table(rows, ["a", "b", "nearest in a", "nearest in b"])
