"""strata trial add|list|show|compare."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ui.cli.mix import flat
from ui.cli.output import Json, emit, facts, note, opened, table


def add(
    mix: Annotated[str, typer.Argument(metavar="MIX@vN", help="The published mix that was trained on.")],
    results: Annotated[
        str,
        typer.Option(metavar="FILE", help="lm-evaluation-harness JSON, a JSON object of numbers, or name,number CSV."),
    ],
    step: Annotated[int, typer.Option(metavar="N", help="Training step that was measured.")] = 0,
    seed: Annotated[int, typer.Option(metavar="S", help="Seed of the run: comparisons pair runs of equal seed.")] = 0,
    tokens: Annotated[int | None, typer.Option(metavar="T", help="Tokens it was trained on.")] = None,
    size: Annotated[int | None, typer.Option(metavar="P", help="Parameters of the model.")] = None,
    model: Annotated[
        str, typer.Option(metavar="NAME", help="Name of the checkpoint, for `strata trace model:NAME`.")
    ] = "",
    diverged: Annotated[bool, typer.Option("--diverged", help="Keep it, and learn nothing from it.")] = False,
    words: Annotated[str, typer.Option("--note", metavar="TEXT", help="A remark.")] = "",
    json: Json = False,
) -> None:
    """Record a training run on a mix, wherever it ran. The same results twice are one trial.

    Example: strata trial add pretrain@v1 --results lm_eval.json --step 1000 --seed 1 --tokens 2000000
    """
    from catalog.trials import add_trial

    made = add_trial(
        opened(), mix, results, step=step, seed=seed, tokens=tokens, size=size, model=model, diverged=diverged, note=words,
    )  # fmt: skip
    held = _row(made)

    def human() -> None:
        facts(flat(held))
        if made.status == "diverged":
            note("it diverged: it is kept, and mixers and comparisons leave it out")

    emit(json, held, human)


def list_(
    mix: Annotated[str | None, typer.Argument(metavar="[MIX]", help="Only trials of this mix.")] = None,
    json: Json = False,
) -> None:
    """List the recorded runs.

    Example: strata trial list pretrain
    """
    from catalog.trials import list_trials

    held = [_row(trial) for trial in list_trials(opened(), mix)]
    rows = [{**row, "results": len(row["results"])} for row in held]
    columns = ["id", "mix", "model", "step", "seed", "tokens", "results", "status", "created"]
    emit(json, held, lambda: table(rows, columns, empty="no trial is recorded yet"))


def compare(
    mixes: Annotated[list[str], typer.Argument(metavar="MIX@vN MIX@vN", help="Two mixes; the first is the baseline.")],
    result: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only these results; repeat for more.")
    ] = None,
    level: Annotated[float, typer.Option(help="Confidence of the intervals.")] = 0.95,
    higher: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Results where higher is better; known metrics are recognised."),
    ] = None,
    json: Json = False,
) -> None:
    """Compare the runs of two mixes: paired by seed, with intervals, and a tie where the difference is small.

    Example: strata trial compare even@v1 tuned@v1 --result loss
    """
    from flows.trial_statistics import compare_trials

    found = compare_trials(opened(), mixes, results=result, level=level, higher=higher or ())
    columns = ["result", "pairs", "a", "b", "difference", "low", "high", "detectable", "verdict"]
    emit(json, found, lambda: table(found, columns, empty="the two mixes share no result"))


def _row(trial: Any) -> dict[str, Any]:
    names = (
        "id",
        "mix",
        "model",
        "step",
        "seed",
        "tokens",
        "size",
        "status",
        "weights",
        "results",
        "source",
        "note",
        "actor",
        "created",
    )
    return {name: getattr(trial, name) for name in names}  # fmt: skip
