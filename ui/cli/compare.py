"""strata compare: measures of two whole sets."""

from __future__ import annotations

from typing import Annotated

import typer

from ui.cli.output import Json, emit, facts, opened


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
    from ui.cli.mix import flat

    held = compare(opened(), a, b, metric, rows=rows, clusters=clusters, vectors=vectors)
    emit(json, held, lambda: facts(flat(held)))
