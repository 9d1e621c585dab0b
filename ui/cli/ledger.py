"""strata ledger add|show|curves|who."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from ui.cli.mix import flat
from ui.cli.output import Json, emit, facts, opened, table

MixRef = Annotated[str, typer.Argument(metavar="MIX@vN", help="The published mix that was trained on.")]
Run = Annotated[str, typer.Option(metavar="NAME", help="The run, as its ledger names it.")]


def add(
    mix: MixRef,
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILES]", help="Ledgers written elsewhere; else those of the home.")
    ] = None,
    run: Annotated[str | None, typer.Option(metavar="NAME", help="Only this run.")] = None,
    json: Json = False,
) -> None:
    """Turn what runs were served into columns: times seen, last step, first and last loss of each sample.

    Example: strata ledger add pretrain@v1 scratch/a0001-r00000.arrows
    """
    from catalog.pull.ledger_columns import add_ledger

    held = add_ledger(opened(), mix, files or (), run=run)
    rows = [{**made, "columns": len(made["columns"])} for made in held["runs"]]
    emit(json, held, lambda: table(rows, ["run", "samples", "records", "lost", "repeated", "columns"]))


def show(mix: MixRef, run: Run, json: Json = False) -> None:
    """Show whether a run lost or repeated samples, and how much of each part is left.

    Example: strata ledger show pretrain@v1 --run run-7
    """
    from catalog.pull.ledger import audit, read_run
    from catalog.pull.ledger_columns import left, newest

    cat = opened()
    reader = newest(cat, cat.mix(mix), run)
    records = read_run(reader, run)
    held: dict[str, Any] = {"mix": reader.ref, "run": run, **audit(reader, records)}
    by_mix = Counter(records.column("mix").to_pylist())
    held |= {"records_by_mix": dict(sorted(by_mix.items()))} if len(by_mix) > 1 else {}
    held["parts"] = left(reader, run)

    def human() -> None:
        facts(flat({name: value for name, value in held.items() if name != "parts"}))
        table(held["parts"], ["part", "dataset", "samples", "served", "left"])

    emit(json, held, human)


def curves(
    mix: MixRef,
    run: Run,
    by: Annotated[str, typer.Option(metavar="part|source", help="What a curve is of.")] = "part",
    bins: Annotated[int, typer.Option(help="Stretches of steps.", min=1)] = 20,
    json: Json = False,
) -> None:
    """Show the mean loss of each part or source by stretch of steps.

    Example: strata ledger curves pretrain@v1 --run run-7 --by source
    """
    from catalog.pull.ledger_columns import loss_curves, newest

    cat = opened()
    held = loss_curves(newest(cat, cat.mix(mix), run), run, by=by, bins=bins)
    emit(json, held, lambda: table(held, [by, "from_step", "to_step", "samples", "loss"]))


def who(
    sample: Annotated[str, typer.Argument(metavar="SAMPLE_ID", help="A sample id, or the beginning of one.")],
    json: Json = False,
) -> None:
    """List every time a run was served this sample.

    Example: strata ledger who 1f0c9a3e
    """
    from catalog.pull.ledger_columns import who as find

    held = find(opened(), sample)
    columns = ["mix", "run", "attempt", "rank", "step", "index", "epoch", "loss"]
    emit(json, held, lambda: table(held, columns, empty="no recorded run was served this sample"))
