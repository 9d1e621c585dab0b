"""What a plan will cost, from a pilot: each missing scorer is run on a few real rows, and the rate is remembered.

A pilot writes nothing to the dataset. Its rate is cached by recipe and device in the home, so that a second plan of the
same work is free; rows are weighed by their length, because most scorers cost what the text weighs.

A fit and a global method are run twice, on a quarter of the pilot's rows and on all of them: the line through both
times gives what a run costs at any size, about, for methods that are about linear. What cannot be tried on few rows
stays unknown, and is placed by its rows.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from catalog.catalog import Catalog
from catalog.errors import StrataError
from catalog.plugins import Context, EvalSet, Scan
from flows.job import Job, context, load_state
from flows.planner import Plan, Step
from flows.portion import fits_on_rows
from flows.runner import make_job

PILOT_ROWS = {"cpu": 512, "gpu": 16, "api": 0}
WHOLE_ROWS = 1024
"""Rows of a pilot of a fit or a global method, of the dataset and of the target each."""
SLOW_ROWS = {"cpu": 1000.0, "gpu": 5.0, "api": 1.0}
"""Rows a second of a step that no pilot can tell about, on the safe side: only to choose a place."""
CHARS_PER_TOKEN = 4.0  # only until a tokens column exists; the output says which was used


@dataclass(frozen=True)
class Estimate:
    """One step of a plan: missing rows, tokens they hold, device, seconds (None: cannot be piloted), and how known.

    money: of an endpoint, in the currency of its prices; None where nothing is known.
    """

    scorer: str
    asked: bool
    cost: str
    missing: int
    tokens: int
    tokens_from: str
    device: str
    seconds: float | None
    basis: str
    money: float | None = None


def estimate(cat: Catalog, planned: Plan, *, device: str | None = None) -> list[Estimate]:
    """Estimate every step of a plan; loads models only when a gpu step is missing and has no cached pilot."""
    chars, tokens, source = _size(cat, planned)
    done = []
    for step in planned.steps:
        share = step.missing / max(planned.rows, 1)
        seconds, basis, place = _seconds(cat, planned, step, chars * share, device)
        money = None
        if step.plugin.cost == "api" and step.missing:
            money, basis = _money(cat, step)
        done.append(
            Estimate(
                step.scorer,
                step.asked,
                step.plugin.cost,
                step.missing,
                int(tokens * share),
                source,
                place,
                seconds,
                basis,
                money,
            )
        )
    return done


def _money(cat: Catalog, step: Step) -> tuple[float | None, str]:
    """What an endpoint will be paid, from what rows cost that were asked about under the same recipe."""
    from flows.endpoints.account import paid_per_row
    from flows.endpoints.registry import endpoint

    if step.plugin.pattern == "fit":
        if load_state(cat, step) is not None:
            return 0.0, "it is fitted: rows cost nothing"
        return None, f"the fit asks about {step.params['seeds']:,} rows, {step.params['steps'] + 1} questions each"
    model = step.recipe["model"]
    held = paid_per_row(cat, step.scorer, model["name"], model["revision"])
    if not held["rows"]:
        return None, "no row was asked about yet: score a sample first (--sample 20), it is kept"
    priced = endpoint(cat, step.params["endpoint"]).money(1, 1) is not None
    basis = f"{held['rows']:,.0f} rows so far, {held['tokens']:,.0f} tokens a row"
    return held["money"] * step.missing if priced else None, basis if priced else f"{basis}; the endpoint has no prices"


def _size(cat: Catalog, planned: Plan) -> tuple[float, float, str]:
    found = cat.resolve(planned.ref)
    chars = float((found.version.statistics if found.version else {}).get("chars", 0))
    for column in cat.columns(found.dataset.name):
        if column.output == "tokens" and column.covered >= found.dataset.rows:
            return chars, column.statistics.get("mean", 0.0) * column.covered, f"column {column.alias}"
    return chars, chars / CHARS_PER_TOKEN, "characters / 4"


def _seconds(
    cat: Catalog, planned: Plan, step: Step, chars: float, device: str | None
) -> tuple[float | None, str, str]:
    from flows.devices import pick_device

    plugin, step = step.plugin, replace(step, extends=None)  # a pilot tries the method itself
    place = pick_device(device) if plugin.cost == "gpu" else ("endpoint" if plugin.cost == "api" else "cpu")
    if not step.missing:
        return 0.0, "nothing is missing", place
    if plugin.cost == "api":
        return None, "an endpoint is not piloted", place
    made = {column for other in planned.steps for column in other.outputs.values()}
    if plugin.pattern == "map" and plugin.cost == "cpu" and set(step.inputs.values()) & made:
        return 0.0, "arithmetic over columns of this plan", place
    fitted = plugin.pattern == "fit" and load_state(cat, step) is not None
    evals = f":{step.fingerprint}" if step.evals else ""
    key = f"{step.base}{evals}:{place}" + (":fitted" if fitted else "")
    held = _cache(cat).get(key)
    if held is None:
        try:
            held = _pilot(make_job(cat, planned, [step], "pilot", device=device), step, place, fitted)
        except StrataError as error:
            if plugin.pattern == "map":
                raise
            return None, f"cannot be tried on few rows: {error}", place
        if held is None:
            return None, "reads columns that do not exist yet", place
        _cache(cat, {key: held})
    seconds, basis = chars * held["per_char"], f"pilot of {held['rows']} rows"
    if "whole_per_char" in held:
        seconds += held["fixed"] + _chars_of_whole(cat, planned, step) * held["whole_per_char"]
        basis += ", scaled: about"
    return seconds, basis, place


def _chars_of_whole(cat: Catalog, planned: Plan, step: Step) -> float:
    """Characters that a fit or a global method reads: the dataset's, where it does, and its targets'."""
    plugin = step.plugin
    read = [*([step.target] if step.target else []), *step.evals]
    if plugin.pattern == "global" or fits_on_rows(plugin):
        read.append(planned.ref)
    versions = [cat.resolve(ref).version for ref in read]
    return float(sum((version.statistics if version else {}).get("chars", 0) for version in versions))


def _pilot(job: Job, step: Step, place: str, fitted: bool) -> dict[str, Any] | None:
    """Rates of a step: `per_char` of its map; of a fit or a global method `fixed` and `whole_per_char`."""
    cat, plugin = job.catalog(), step.plugin
    table = cat.lance(job.name, job.lance_version)
    if any(column not in table.schema.names for column in step.inputs.values()):
        return None
    whole = plugin.pattern != "map" and not fitted
    rows = WHOLE_ROWS if whole else PILOT_ROWS[plugin.cost]
    columns = list(dict.fromkeys(["sample_id", "content_id", "chars", *step.inputs.values()]))
    held = table.to_table(columns=columns, filter="removed IS NULL", limit=rows).combine_chunks()
    names = {column: name for name, column in step.inputs.items()}
    named = held.rename_columns([names.get(column, column) for column in columns]).to_batches()[0]
    done: dict[str, Any] = {"rows": named.num_rows, "device": place}
    if whole:
        ctx, done = _whole(cat, job, step, named, done)
        if plugin.pattern == "global":
            return {**done, "per_char": 0.0}
    else:
        ctx = context(job, step)  # loading a model is not part of the rate
    few = named.slice(0, PILOT_ROWS[plugin.cost])
    plugin.function(named.slice(0, 4), ctx)
    began = time.perf_counter()
    plugin.function(few, ctx)
    took = max(time.perf_counter() - began, 1e-6)
    return {**done, "per_char": took / max(pc.sum(few.column("chars")).as_py() or 1, 1)}


def _whole(
    cat: Catalog, job: Job, step: Step, named: pa.RecordBatch, done: dict[str, Any]
) -> tuple[Context, dict[str, Any]]:
    """Run a fit or a global method on a quarter of the rows and on all; the context holds the larger fit's state."""
    plugin, times = step.plugin, []
    wholes = [*([step.target] if step.target else []), *step.evals]
    read = {ref: _head(cat, ref) for ref in wholes}
    ctx = context(job, step, fitting=plugin.pattern == "fit")
    own = plugin.pattern == "global" or fits_on_rows(plugin)
    for rows in (max(named.num_rows // 4, 1), named.num_rows):
        part = named.slice(0, rows)
        chars = (pc.sum(part.column("chars")).as_py() or 0) if own else 0
        given = {ref: batch.slice(0, max(batch.num_rows * rows // named.num_rows, 1)) for ref, batch in read.items()}
        chars += sum(pc.sum(batch.column("chars")).as_py() or 0 for batch in given.values())
        if step.target:
            ctx.target = _scan(given[step.target])
        ctx.evals = tuple(EvalSet(ref, _scan(given[ref])) for ref in step.evals)
        began = time.perf_counter()
        if plugin.fit is not None:
            ctx.state = plugin.fit(_scan(part), ctx)
        else:
            plugin.function(_scan(part), ctx)
        times.append((max(chars, 1), time.perf_counter() - began))
    (small, early), (large, late) = times
    slope = (late - early) / (large - small) if large > small and late > early else late / large
    done |= {"whole_per_char": slope, "fixed": max(late - slope * large, 0.0)}
    return ctx, done


def _head(cat: Catalog, ref: str) -> pa.RecordBatch:
    """The first rows of a target or an eval, as many as a pilot takes."""
    rows = list(cat.scan(ref, ["sample_id", "content_id", "text", "meta", "chars"], limit=WHOLE_ROWS))
    return pa.Table.from_batches(rows).combine_chunks().to_batches()[0]


def _scan(batch: pa.RecordBatch) -> Scan:
    return lambda columns=None: iter([batch])


def expected_seconds(costs: Sequence[Estimate]) -> float:
    """Time to choose a place by: what pilots tell, and for what they cannot tell a guess by its rows."""
    return sum(item.missing / SLOW_ROWS[item.cost] if item.seconds is None else item.seconds for item in costs)


def _cache(cat: Catalog, add: dict[str, Any] | None = None) -> dict[str, Any]:
    path = cat.settings.home / "pilots-2.json"
    held = orjson.loads(path.read_bytes()) if path.exists() else {}
    if add:
        held |= add
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_bytes(orjson.dumps(held))
        part.replace(path)
    return held
