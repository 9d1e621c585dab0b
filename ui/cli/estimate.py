"""strata estimate: the mean of human labels over a whole dataset, from labels on a sample and a score on every row."""

from __future__ import annotations

from typing import Annotated

import typer

from ui.cli.output import Json, emit, facts, opened


def estimate(
    ref: Annotated[str, typer.Argument(metavar="DATASET[@vN]", help="Dataset version.")],
    score: Annotated[str, typer.Argument(metavar="COLUMN", help="Score that every row has.")],
    labels: Annotated[
        str, typer.Option(metavar="COLUMN|meta.NAME", help="Labels as numbers, which a random sample of the rows has.")
    ],
    where: Annotated[str | None, typer.Option(metavar="SQL", help="Only rows for which this holds.")] = None,
    level: Annotated[float, typer.Option(help="Confidence level of the interval.")] = 0.95,
    json: Json = False,
) -> None:
    """Estimate what people's labels would average over every row, with an interval, corrected by a score.

    Prediction-powered inference: the score narrows the interval as far as it agrees with the labels, and cannot bias it.

    Example: strata estimate web quality_linear --labels meta.good
    """
    from catalog.inference import estimate_mean
    from ui.cli.mix import flat

    held = estimate_mean(opened(), ref, score, labels, where=where, level=level)
    emit(json, held, lambda: facts(flat(held)))
