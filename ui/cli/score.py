"""strata scorers, selectors, mixers, plan, score."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ui.cli.output import Json, emit, facts, note, number, opened, pairs, progress, table

Name = Annotated[str, typer.Argument(metavar="NAME[@vN]", help="Dataset, with a version or tag if not the newest.")]
Scorers = Annotated[list[str], typer.Argument(metavar="SCORER...", help="One or more scorers; see `strata scorers`.")]
Target = Annotated[str | None, typer.Option(metavar="REF", help="Dataset that says what good text looks like.")]
Sample = Annotated[int | None, typer.Option(metavar="N", help="Score a uniform sample of N rows only.")]
Select = Annotated[
    str | None, typer.Option("--select", metavar="SELECTION", help="Score the rows of a saved selection only.")
]
Param = Annotated[
    list[str] | None, typer.Option("--param", metavar="K=V", help="A parameter of the method; repeat for more.")
]
Dtype = Annotated[
    str | None, typer.Option(help="bfloat16 or float32 for models; a part of the recipe, so of the column.")
]
As = Annotated[
    list[str] | None, typer.Option("--as", metavar="COLUMN", help="Name of the new column, or OUTPUT=COLUMN.")
]


def scorers(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Show one scorer in full.")] = None,
    experimental: Annotated[bool, typer.Option("--experimental", help="Also those without an oracle.")] = False,
    json: Json = False,
) -> None:
    """List the scorers, or show what one reads, writes and takes.

    Example: strata scorers minhash
    """
    from catalog.plugins import FAILED, get_scorer, plugins
    from ui.shapes import scorer_row

    if name:
        held = scorer_row(get_scorer(name))
        emit(json, held, lambda: _scorer(held))
        return
    rows = [scorer_row(held) for held in plugins("scorer").values() if experimental or not held.experimental]

    def human() -> None:
        brief = [{**row, "writes": ", ".join(out["name"] for out in row["writes"])} for row in rows]
        table(brief, ["name", "cost", "pattern", "writes", "summary"])
        for module, reason in FAILED.items():
            note(f"plug-in {module} could not be loaded: {reason}")

    emit(json, rows, human)


def _scorer(row: dict[str, Any]) -> None:
    facts({**{key: row[key] for key in ("name", "summary", "version", "cost", "pattern", "most_rows", "citation")},
           "reads": ", ".join(row["reads"]), "kinds": ", ".join(row["kinds"]), "languages": ", ".join(row["languages"])})  # fmt: skip
    table(row["writes"], ["name", "type", "better", "doc"], title="columns")
    params = [{"param": name, **body} for name, body in row["params"].items()]
    table(params, ["param", "type", "default", "description"], title="parameters", empty="no parameters")


def mixers(json: Json = False) -> None:
    """List the mixers: methods that turn parts and a goal into weights.

    Example: strata mixers --json
    """
    _plugins("mixer", json)


def _plugins(group: str, json: bool) -> None:
    from catalog.plugins import plugins

    rows = [
        {"name": name, "summary": (getattr(held, "doc", "") or "").split("\n\n")[0].replace("\n", " "),
         "citation": getattr(held, "citation", "")}
        for name, held in plugins(group).items()
    ]  # fmt: skip
    emit(json, rows, lambda: table(rows, ["name", "summary", "citation"], empty=f"no {group} is installed"))


def _options(scorers: list[str], param: list[str] | None, names: list[str] | None) -> dict[str, Any]:
    """Parameters and column names as the planner wants them."""
    return {"params": pairs(param or [], "--param"), "aliases": _aliases(scorers, names or [])}


def _aliases(scorers: list[str], names: list[str]) -> dict[str, str]:
    from catalog.errors import BadInput
    from catalog.plugins import get_scorer

    outputs = [out.name for name in scorers for out in get_scorer(name).writes]
    found = {}
    for given in names:
        output, eq, column = given.partition("=")
        if not eq:
            if len(outputs) != 1 or len(names) > 1:
                raise BadInput(
                    f"{', '.join(scorers)} writes {len(outputs)} columns; say which: --as {outputs[0]}={given}"
                )
            output, column = outputs[0], given
        found[output] = column
    return found


def plan(
    name: Name,
    scorers: Scorers,
    target: Target = None,
    sample: Sample = None,
    select: Select = None,
    param: Param = None,
    dtype: Dtype = None,
    json: Json = False,
) -> None:
    """Say what `score` would do: missing rows, order, tokens, device and time. Runs nothing but a small cached pilot.

    Example: strata plan web gopher_quality perplexity
    """
    from flows import plan as make
    from ui.planning import estimate, plan_facts

    cat = opened()
    options = {"target": target, "sample": sample, "selection": select, "dtype": dtype}
    planned = make(cat, name, scorers, **options, **_options(scorers, param, None))
    held = plan_facts(planned, estimate(cat, planned))
    emit(json, held, lambda: _plan(held))


def _plan(held: dict[str, Any]) -> None:
    table(held["steps"], ["step", "scorer", "cost", "missing", "tokens", "device", "time", "columns"])
    from flows.places import duration

    total = f"about {duration(held['seconds'])}" if held["missing"] else "nothing to do"
    without = f" without {', '.join(held['unknown'])}, whose time no pilot can tell" if held["unknown"] else ""
    print(f"{held['ref']}: {number(held['rows'])} rows, {number(held['missing'])} values to compute, {total}{without}")


def score(
    name: Name,
    scorers: Scorers,
    target: Target = None,
    sample: Sample = None,
    select: Select = None,
    param: Param = None,
    as_: As = None,
    on: Annotated[
        str | None, typer.Option(metavar="inline|home|team", help="Where to run; chosen and printed if not given.")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="With a server: return at once, the run goes on.")] = False,
    refit: Annotated[bool, typer.Option("--refit", help="Fit again instead of using the frozen fit.")] = False,
    workers: Annotated[int | None, typer.Option(metavar="N", help="Processes for cheap measures.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda:0 ...; the best there is if not given.")] = None,
    dtype: Dtype = None,
    json: Json = False,
) -> None:
    """Compute columns: only rows that have no value yet, each measure once. The same command resumes.

    Example: strata score web langid gopher_quality --sample 10000
    """
    from flows import plan as make
    from flows.places import choose
    from ui.planning import choose_by, estimate, run_plan

    cat = opened()
    options = {"target": target, "sample": sample, "selection": select, "refit": refit}
    options |= {"device": device, "dtype": dtype, **_options(scorers, param, as_)}
    planned = make(cat, name, scorers, **options)
    place = choose(cat, planned, on, **(choose_by(estimate(cat, planned)) if on is None and planned.todo else {}))
    note(place.sentence)
    with progress("score") as show:
        options |= {"workers": workers}
        held = run_plan(cat, place, name, scorers, planned, options, show=show, say=note, detach=detach)
    emit(json, held, lambda: _report(held))


def _report(held: dict[str, Any]) -> None:
    if "columns" not in held:
        run = held["flow_run"][:8]
        print(f"run {run} goes on at {held['server']}: `strata runs show {run} --watch`, `strata runs cancel {run}`")
        return
    rows = [
        {"column": name, **body, "states": ", ".join(f"{k} {v:,}" for k, v in body["states"].items())}
        for name, body in held["columns"].items()
    ]
    table(rows, ["column", "covered", "rows", "states"])
    print(
        f"{held['ref']}: " + ", ".join(f"{value:,} {name.replace('_', ' ')}" for name, value in held["counts"].items())
    )
