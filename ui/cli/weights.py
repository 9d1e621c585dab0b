"""strata weights draw|learn: weights of several scores from trials."""

from __future__ import annotations

from typing import Annotated

import typer

from ui.cli.output import Json, emit, facts, table


def draw(
    columns: Annotated[list[str], typer.Argument(metavar="COLUMN...", help="Scores to weight.")],
    count: Annotated[int, typer.Option("--count", min=1, help="How many weightings to try.")] = 256,
    strength: Annotated[float, typer.Option(help="Dirichlet strength; larger is closer to equal weights.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Seed of the draws.")] = 0,
    json: Json = False,
) -> None:
    """Draw weightings to try: train a small model on the pick of each and note its loss.

    Example: strata weights draw quality ifd perplexity --count 256 --json > trials.json
    """
    from flows.meta_rater import draw_weights

    rows = draw_weights(columns, count, strength=strength, seed=seed)
    emit(json, rows, lambda: table(rows, list(columns)))


def learn(
    path: Annotated[str, typer.Argument(metavar="FILE", help="Trials: CSV, JSON or JSON Lines of weights and loss.")],
    loss: Annotated[str, typer.Option(metavar="FIELD", help="Field of the loss.")] = "loss",
    column: Annotated[
        list[str] | None, typer.Option("--column", metavar="NAME", help="A weighted score; default all other fields.")
    ] = None,
    searched: Annotated[int, typer.Option(min=1, help="Weightings whose loss is predicted.")] = 1_000_000,
    averaged: Annotated[int, typer.Option(min=1, help="Best of them that are averaged.")] = 128,
    seed: Annotated[int, typer.Option(help="Seed of the draws.")] = 0,
    json: Json = False,
) -> None:
    """Learn from trials which weighting of scores has the least loss (Meta-rater); `combine` takes the answer.

    Example: strata weights learn trials.json
             strata score web combine --param 'columns=["quality", "ifd"]' --param 'weights={"quality": 0.7, "ifd": 0.3}'
    """
    from flows.meta_rater import learn_weights, read_trials
    from ui.cli.mix import flat

    held = learn_weights(read_trials(path), loss=loss, columns=column, searched=searched, averaged=averaged, seed=seed)
    emit(json, held, lambda: facts(flat(held)))
