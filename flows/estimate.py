"""What a plan will cost, from a pilot: each missing scorer is run on a few real rows, and the rate is remembered.

A pilot writes nothing to the dataset. Its rate is cached by recipe and device in the home, so that a second plan of the
same work is free; rows are weighed by their length, because most scorers cost what the text weighs.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow.compute as pc

from catalog.catalog import Catalog
from flows.job import Job, context
from flows.planner import Plan, Step
from flows.runner import make_job

PILOT_ROWS = {"cpu": 512, "gpu": 16, "api": 0}
CHARS_PER_TOKEN = 4.0  # only until a tokens column exists; the output says which was used


@dataclass(frozen=True)
class Estimate:
    """One step of a plan: missing rows, tokens they hold, device, seconds (None: cannot be piloted), and how known."""

    scorer: str
    asked: bool
    cost: str
    missing: int
    tokens: int
    tokens_from: str
    device: str
    seconds: float | None
    basis: str


def estimate(cat: Catalog, planned: Plan, *, device: str | None = None) -> list[Estimate]:
    """Estimate every step of a plan; loads models only when a gpu step is missing and has no cached pilot."""
    chars, tokens, source = _size(cat, planned)
    done = []
    for step in planned.steps:
        share = step.missing / max(planned.rows, 1)
        seconds, basis, place = _seconds(cat, planned, step, chars * share, device)
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
            )
        )
    return done


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

    plugin = step.plugin
    place = pick_device(device) if plugin.cost == "gpu" else ("endpoint" if plugin.cost == "api" else "cpu")
    if not step.missing:
        return 0.0, "nothing is missing", place
    if plugin.pattern != "map" or plugin.cost == "api":
        return None, f"{plugin.pattern} methods are not piloted", place
    if plugin.cost == "cpu" and set(step.inputs.values()) & {c for s in planned.steps for c in s.outputs.values()}:
        return 0.0, "arithmetic over columns of this plan", place
    held = _cache(cat).get(f"{step.base}:{place}")
    if held is None:
        held = _pilot(make_job(cat, planned, [step], "pilot", device=device), step, place)
        if held is None:
            return None, "reads columns that do not exist yet", place
        _cache(cat, {f"{step.base}:{place}": held})
    return chars / held["chars_per_s"], f"pilot of {held['rows']} rows", place


def _pilot(job: Job, step: Step, place: str) -> dict[str, Any] | None:
    cat = job.catalog()
    table = cat.lance(job.name, job.lance_version)
    if any(column not in table.schema.names for column in step.inputs.values()):
        return None
    rows = PILOT_ROWS[step.plugin.cost]
    columns = list(dict.fromkeys(["sample_id", "content_id", "chars", *step.inputs.values()]))
    table = table.to_table(columns=columns, filter="removed IS NULL", limit=rows)
    batch = table.combine_chunks().to_batches()[0]
    named = batch.select(columns).rename_columns(
        [next((k for k, v in step.inputs.items() if v == name), name) for name in columns]
    )
    ctx = context(job, step)  # loading a model is not part of the rate
    step.plugin.function(named.slice(0, min(4, rows)), ctx)
    began = time.perf_counter()
    step.plugin.function(named, ctx)
    took = max(time.perf_counter() - began, 1e-6)
    return {
        "chars_per_s": max(pc.sum(batch.column("chars")).as_py() or 1, 1) / took,
        "rows": batch.num_rows,
        "device": place,
    }


def _cache(cat: Catalog, add: dict[str, Any] | None = None) -> dict[str, Any]:
    path = cat.settings.home / "pilots.json"
    held = orjson.loads(path.read_bytes()) if path.exists() else {}
    if add:
        held |= add
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_bytes(orjson.dumps(held))
        part.replace(path)
    return held
