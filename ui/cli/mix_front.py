"""strata mix front: two results of the same runs set against one another."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ui.cli.mix import Spec
from ui.cli.output import Json, emit, note, number, opened, pairs, table

KINDS = {"run": "measured", "drawn": "predicted", "best": "predicted, best in one", "spec": "predicted, of the spec"}


def front(
    spec: Spec,
    result: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RESULT[:lower|higher]",
            help="Twice: the results, each with the better direction if its name does not tell; the first two measured.",
        ),
    ] = None,
    trials: Annotated[
        str,
        typer.Option(metavar="FILE|catalog[:PATTERN]", help="Runs: a table, or the recorded trials (of such models)."),
    ] = "catalog",
    mixer: Annotated[
        str | None, typer.Option(metavar="NAME", help="Also mixes that it predicts: regmix or mixing_laws.")
    ] = None,
    param: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="Parameter of the mixer.")] = None,
    take: Annotated[
        str | None, typer.Option(metavar="KEY", help="Point of the list whose weights go into the spec of --write.")
    ] = None,
    write: Annotated[str | None, typer.Option(metavar="FILE", help="Write the spec with the weights there.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Also predictions behind their front.")] = False,
    seed: Annotated[int, typer.Option(help="Start of the random numbers.")] = 0,
    json: Json = False,
) -> None:
    """List the mixes that no other beats in two results at once: recorded runs, and what a mixer predicts. Changes nothing.

    A mix is on the front where no other of its kind is as good in both results and better in one.

    Example: strata mix front design.yaml --result loss --result acc:higher --mixer regmix --take r3 --write taken.yaml
    """
    from catalog.errors import BadInput
    from flows.front_report import front as make

    if (take is None) != (write is None):
        raise BadInput("--take KEY names a point and --write FILE where the spec with its weights goes: give both")
    held = make(opened(), spec, result or [], trials=trials, mixer=mixer, params=pairs(param or [], "--param"),
                take=take, every=every, seed=seed)  # fmt: skip
    if write:
        from catalog.mixes.spec import write_spec

        write_spec(held["spec"], write)
    emit(json, held, lambda: _shown(held, write))


def _shown(held: dict[str, Any], write: str | None) -> None:
    names = [aim["result"] for aim in held["results"]]
    better = ", ".join(f"{aim['result']} ({aim['better']} is better)" for aim in held["results"])
    are = "is" if held["on_front"] == 1 else "are"
    print(f"{better}: {held['on_front']} of {held['measured']} measured mixes {are} on the front")
    rows = [
        {"point": point["key"], "stands": f"{KINDS[point['kind']]}, {'dominated' if point['front'] else 'front'}",
         **{name: _span(point["values"][name]) for name in names},
         "runs": point["runs"] or None, "mix": ", ".join(point["mixes"]),
         "weights": ", ".join(f"{part} {100 * share:.1f} %" for part, share in point["weights"].items() if share > 0)}
        for point in held["points"]
    ]  # fmt: skip
    table(rows, ["point", "stands", *names, "runs", "mix", "weights"])
    for line in held["notes"]:
        note(line)
    if write:
        note(f"written to {write}: `strata mix publish {write}`")


def _span(value: dict[str, Any]) -> str:
    low, high = value["low"], value["high"]
    return number(value["value"]) + (f" ({number(low)} to {number(high)})" if low is not None else "")
