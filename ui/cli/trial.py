"""strata trial add|list|show|design|run|compare; recipes that train are in trial_recipes.py."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ui.cli.mix import flat
from ui.cli.output import Json, emit, facts, note, opened, pairs, table
from ui.cli.trial_recipes import Detach, Device, On, Param, Pool, Size, Tokens, Workers, trained


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
    ledger: Annotated[
        str | None, typer.Option(metavar="RUN", help="Name of this run in its ledger, where it is not the model's.")
    ] = None,
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
        ledger=ledger,
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


def design(
    spec: Annotated[str, typer.Argument(metavar="SPEC.yaml", help="Mix spec; its parts without a budget are varied.")],
    runs: Annotated[int, typer.Option(metavar="N", help="Mixes to draw.")] = 16,
    seed: Annotated[int, typer.Option(help="Start of the random numbers: the same seed, the same mixes.")] = 0,
    held_out: Annotated[float, typer.Option(metavar="SHARE", help="Contents that no run is trained on.")] = 0.1,
    strength: Annotated[
        tuple[float, float],
        typer.Option(metavar="LOW HIGH", help="Dirichlet strengths: low gives single parts, high the parts' shares."),
    ] = (0.1, 5.0),
    temperature: Annotated[float, typer.Option(help="Exponent of the parts' shares: 0 even, 1 as they are.")] = 0.5,
    into: Annotated[str | None, typer.Option(metavar="DIR", help="Folder of the specs; default design-NAME.")] = None,
    json: Json = False,
) -> None:
    """Draw mixes of the same parts for proxy runs and write their specs. Changes nothing in the catalog.

    Example: strata trial design pretrain.yaml --runs 64 --seed 0
    """
    from flows.proxy.design import make_design, read_design

    folder = make_design(opened(), spec, into, runs=runs, seed=seed, held_out=held_out, strengths=strength,
                         temperature=temperature)  # fmt: skip
    held = read_design(folder)
    rows = [{"spec": run["spec"], **run["weights"]} for run in held["runs"]]

    def human() -> None:
        table(rows, ["spec", *held["parts"]])
        note(f"{folder}/ is written; train it: strata trial run {folder}")

    emit(json, {"folder": str(folder), **held}, human)


def run(
    what: Annotated[
        list[str], typer.Argument(metavar="DESIGN|MIX@vN", help="A folder of `trial design`, or published mixes.")
    ],
    size: Size = "1m",
    tokens: Tokens = 1_000_000,
    seed: Annotated[list[int] | None, typer.Option(metavar="S", help="Seed; repeat for more runs of each mix.")] = None,
    param: Param = None,
    workers: Workers = 1,
    device: Device = None,
    on: On = None,
    pool: Pool = None,
    detach: Detach = False,
    json: Json = False,
) -> None:
    """Train proxy models on mixes and record them as trials; what has one is left, what was killed goes on.

    Example: strata trial run design-pretrain --size 1m --tokens 2000000 --seed 0 --seed 1 --workers 2
             strata trial run even@v1 tuned@v1 --size 256k --tokens 300000
             strata trial run design-pretrain --size 30m --tokens 300000000 --on team --pool gpu
    """
    from pathlib import Path

    from catalog.trials import list_trials
    from flows.proxy.design import publish_design
    from flows.proxy.recipe import make_recipe

    cat, seeds, more = opened(), seed or [0], pairs(param or [], "--param")
    if len(what) == 1 and Path(what[0], "design.json").exists():
        mixes, recipes = publish_design(cat, what[0], seeds, say=note, size=size, tokens=tokens, **more)
    else:
        mixes, recipes = what, [make_recipe(size=size, tokens=tokens, seed=number, **more) for number in seeds]
    body = {"mixes": mixes, "recipes": [made.model_dump() for made in recipes], "workers": workers, "device": device}
    done = trained("runs", body, on, pool, detach, json, cat)
    if done is None:
        return
    held = {trial.id: trial for trial in list_trials(cat)}
    rows = [_row(held[name]) for name in done["answer"]]
    shown = [{**row, **row["results"]} for row in rows]
    columns = ["mix", "model", "status", *sorted({name for row in rows for name in row["results"]})]
    emit(json, rows, lambda: table(shown, columns))


def show(
    trial: Annotated[str, typer.Argument(metavar="ID|MODEL", help="Id of a trial, its beginning, or a model's name.")],
    json: Json = False,
) -> None:
    """Show one run: what it was served, what it measured, and where its model is.

    Example: strata trial show pretrain-r003-v1-1m-8f31c2aa-s0
    """
    from catalog.trials import find_trial

    cat = opened()
    held = _row(find_trial(cat, trial))
    folder = cat.settings.home / "models" / held["model"]
    if held["model"] and (folder / "model.safetensors").exists():
        held["folder"] = str(folder)
    emit(json, held, lambda: facts(flat(held)))


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
    model: Annotated[
        str | None, typer.Option(metavar="PATTERN", help="Only models with such a name, as in '*-1m-*'.")
    ] = None,
    json: Json = False,
) -> None:
    """Compare the runs of two mixes: paired by seed, with intervals, and a tie where the difference is small.

    Example: strata trial compare even@v1 tuned@v1 --result loss
    """
    from flows.trial_statistics import compare_trials

    found = compare_trials(opened(), mixes, results=result, level=level, higher=higher or (), models=model)
    columns = ["result", "seeds", "pairs", "a", "b", "difference", "low", "high", "detectable", "verdict",
               "decision_accuracy"]  # fmt: skip

    def human() -> None:
        table(found, columns, empty="the two mixes share no result")
        for row in found:
            if held := row["decisions"]:
                spread = f" ({held['low']:.0%} to {held['high']:.0%} by seed)" if held["low"] is not None else ""
                note(f"{row['result']}: runs of {held['size']:,} parameters decide as those of {held['against']:,} in "
                     f"{held['accuracy']:.0%} of {held['pairs']} pairs of {held['mixes']} mixes{spread}; {held['tied']} pairs are ties")  # fmt: skip
        if found and not any(row["decisions"] for row in found):
            note("decision accuracy is unknown: it needs larger runs that tell two of the mixes apart")

    emit(json, found, human)


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
