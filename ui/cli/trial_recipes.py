"""strata trial doremi|skills|anneal|traces: methods that train in the laboratory, here or on a Prefect worker."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ui.cli.output import Json, emit, note, opened, pairs, progress, table

Size = Annotated[str, typer.Option(help="Model: 256k, 1m, 3m, 10m, 30m, 60m, 100m.")]
Tokens = Annotated[int, typer.Option(metavar="T", help="Training tokens of a run.")]
Param = Annotated[
    list[str] | None,
    typer.Option(metavar="KEY=VALUE", help="More of the recipe: rate, reduced, schedule, context, batch, start ..."),
]
Workers = Annotated[int, typer.Option(metavar="N", min=1, help="Runs at a time, a process each.")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda or cuda:N; the best there is if not given.")]
On = Annotated[str | None, typer.Option(metavar="inline|home|team", help="Where to train; inline if not given.")]
Pool = Annotated[
    str | None, typer.Option(metavar="cpu|gpu", help="Work pool on a server; gpu where it has a worker, if not given.")
]
Detach = Annotated[bool, typer.Option("--detach", help="With a server: return at once, the training goes on.")]
Start = Annotated[
    list[str] | None,
    typer.Option(metavar="MODEL", help="Trained model whose rate had not fallen; repeat: a pair each."),
]


def trained(
    method: str, body: dict[str, Any], on: str | None, pool: str | None, detach: bool, json: bool, cat: Any
) -> dict[str, Any] | None:
    """Train where it was asked; None, with the run printed, where it goes on without us."""
    from flows.proxy.placing import place_of, run_work

    place = place_of(cat, on)
    note(place.sentence)
    with progress("train") as show:
        held = run_work(cat, place, method, body, pool=pool, detach=detach, show=show, say=note)
    if "answer" in held:
        return held
    run = held["flow_run"][:8]
    line = f"run {run} goes on at {held['server']}: `strata runs show {run} --watch`, `strata runs cancel {run}`"
    emit(json, held, lambda: print(line))
    return None


def doremi(
    mix: Annotated[str, typer.Argument(metavar="MIX@vN", help="A published mix of two parts and more.")],
    size: Size = "1m",
    tokens: Tokens = 1_000_000,
    seed: Annotated[int, typer.Option(metavar="S", help="Seed of reference and proxy.")] = 0,
    rate: Annotated[float, typer.Option(help="Step size of the weights.")] = 1.0,
    smoothing: Annotated[float, typer.Option(help="Even share that is mixed into the weights.")] = 1e-3,
    param: Param = None,
    device: Device = None,
    on: On = None,
    pool: Pool = None,
    detach: Detach = False,
    json: Json = False,
) -> None:
    """Weigh the parts of a mix by DoReMi: train a reference, then a proxy whose loss follows where it lags behind.

    Example: strata trial doremi even@v1 --size 10m --tokens 50000000
    """
    from flows.proxy.recipe import make_recipe

    cat = opened()
    recipe = make_recipe(size=size, tokens=tokens, seed=seed, **pairs(param or [], "--param"))
    body = {"mix": mix, "recipe": recipe.model_dump(), "rate": rate, "smoothing": smoothing, "device": device}
    done = trained("doremi", body, on, pool, detach, json, cat)
    if done is None:
        return
    held = done["answer"]
    rows = [{"part": part, "weight": weight, "last": held["last"][part]} for part, weight in held["weights"].items()]

    def human() -> None:
        table(rows, ["part", "weight", "last"])
        note(f"weights are means over the steps; a spec gets them by --mixer doremi --param trace={held['trace']}")

    emit(json, held, human)


def skills(
    spec: Annotated[str, typer.Argument(metavar="SPEC.yaml", help="Mix spec; its parts are the skills.")],
    size: Size = "1m",
    tokens: Annotated[int, typer.Option(metavar="T", help="Training tokens of a round.")] = 1_000_000,
    seed: Annotated[int, typer.Option(metavar="S", help="Seed of the first model.")] = 0,
    rounds: Annotated[int, typer.Option(metavar="N", min=1, help="Rounds of training.")] = 4,
    rate: Annotated[float, typer.Option(help="Step size of the weights.")] = 0.2,
    window: Annotated[int, typer.Option(metavar="N", min=1, help="Rounds that a weight remembers.")] = 3,
    param: Param = None,
    device: Device = None,
    on: On = None,
    pool: Pool = None,
    detach: Detach = False,
    json: Json = False,
) -> None:
    """Train by Skill-It: learn which part teaches which, then rounds whose weights follow the losses.

    Example: strata trial skills pretrain.yaml --size 10m --tokens 5000000 --rounds 5
    """
    from catalog.mixes.spec import read_spec
    from flows.proxy.recipe import make_recipe

    cat = opened()
    recipe = make_recipe(size=size, tokens=tokens, seed=seed, **pairs(param or [], "--param"))
    body = {"spec": read_spec(spec), "recipe": recipe.model_dump(), "rounds": rounds, "rate": rate, "window": window,
            "device": device}  # fmt: skip
    done = trained("skills", body, on, pool, detach, json, cat)
    if done is None:
        return
    held = done["answer"]
    parts = held["parts"]
    graph = [{"trained on": part, **dict(zip(parts, row))} for part, row in zip(parts, held["graph"])]
    rows = [{"round": number, **dict(zip(parts, row))} for number, row in enumerate(held["weights"], 1)]

    def human() -> None:
        table(graph, ["trained on", *parts], title="what a part teaches", as_named=True)
        table(rows, ["round", *parts], title="weights; the last row is for the next round", as_named=True)

    emit(json, held, human)


def anneal(
    what: Annotated[
        list[str],
        typer.Argument(metavar="MIX@vN MIX@vN|SPEC.yaml", help="Mixes, the first against the others; or one spec."),
    ],
    start: Start = None,
    leave_one_out: Annotated[
        bool, typer.Option("--leave-one-out", help="Of a spec: the whole mix against the mix without each part.")
    ] = False,
    part: Annotated[
        list[str] | None, typer.Option(metavar="PART", help="With --leave-one-out: only this part; repeat for more.")
    ] = None,
    tokens: Annotated[int | None, typer.Option(metavar="T", help="Tokens of an anneal; else as the start's.")] = None,
    result: Annotated[str, typer.Option(metavar="NAME", help="The loss that decides.")] = "loss/mean",
    param: Param = None,
    workers: Workers = 1,
    device: Device = None,
    on: On = None,
    pool: Pool = None,
    detach: Detach = False,
    json: Json = False,
) -> None:
    """Judge data by an anneal: trained models go on while their rate falls to zero, on one mix or the other.

    Differences are paired by start model. With --leave-one-out "better" says that the mix is better with the part.

    Example: strata trial run even@v1 --param decay=0 --seed 0 --seed 1 --seed 2
             strata trial anneal tuned@v1 even@v1 --start even-v1-1m-8f31c2aa-s0 --start even-v1-1m-8f31c2aa-s1
             strata trial anneal pretrain.yaml --leave-one-out --part code --start even-v1-1m-8f31c2aa-s0
    """
    from catalog.errors import BadInput
    from catalog.mixes.spec import read_spec

    given = pairs(param or [], "--param") | ({"tokens": tokens} if tokens is not None else {})
    body: dict[str, Any] = {
        "starts": start or [],
        "recipe": given,
        "result": result,
        "workers": workers,
        "device": device,
    }
    if leave_one_out:
        if len(what) != 1:
            raise BadInput(f"--leave-one-out takes one mix spec, {len(what)} are given")
        method, body = "leave-one-out", body | {"spec": read_spec(what[0]), "parts": part or []}
    elif len(what) < 2 or part:
        raise BadInput("an anneal compares two mixes and more; to take parts out of one spec add --leave-one-out")
    else:
        method, body = "anneal", body | {"mixes": {mix: mix for mix in what}, "subject": what[0]}
    done = trained(method, body, on, pool, detach, json, opened())
    if done is None:
        return
    columns = ["mix", "against", "seeds", "subject", "other", "difference", "low", "high", "detectable", "verdict"]
    emit(json, done["answer"], lambda: table(done["answer"], columns))


def traces(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model trained with --param trajectory=N.")],
    json: Json = False,
) -> None:
    """Turn the losses of every row at the checkpoints of a proxy run into a column: a list of numbers a row.

    Example: strata trial run pretrain@v1 --size 1m --param trajectory=8
             strata trial traces pretrain-v1-1m-8f31c2aa-s0
    """
    from flows.proxy.traces import publish_traces

    held = publish_traces(opened(), model)
    emit(json, held, lambda: table(held, ["dataset", "column", "rows", "steps"]))
