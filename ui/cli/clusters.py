"""strata clusters: what the clusters of a dataset are about."""

from __future__ import annotations

from typing import Annotated

import typer

from ui.cli.output import Json, emit, opened, table
from ui.cli.query import Ref


def clusters(
    ref: Ref,
    column: Annotated[str, typer.Option(metavar="NAME", help="Column of cluster numbers.")] = "cluster",
    words: Annotated[int, typer.Option(min=1, max=100, help="Words of a title.")] = 6,
    texts: Annotated[
        int | None, typer.Option(min=1, help="Texts that titles are made from, about; default all.")
    ] = None,
    json: Json = False,
) -> None:
    """List the clusters of a dataset with the words that tell each from the others.

    Example: strata clusters web
    """
    from flows.cluster_titles import cluster_titles

    held = cluster_titles(opened(), ref, column=column, words=words, texts=texts)
    shown = [{**row, "share": f"{row['share']:.1%}"} for row in held]
    emit(json, held, lambda: table(shown, ["cluster", "rows", "share", "title"], empty="no row has a cluster"))
