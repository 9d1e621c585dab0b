"""Compute one stage over one fragment: read what is missing, look it up or compute it, write one column file.

A unit is the piece that is retried, checkpointed and placed. Its result depends on the fragment and the job alone.
Batches of the gpu and api classes are journalled as they finish, so that a crash costs one batch of those.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog import states
from catalog.catalog import Catalog
from catalog.errors import Corrupt, StrataError
from catalog.plugins import Scorer
from catalog.schema import plain
from catalog.store import checkpoints
from catalog.store.columns import computed
from catalog.store.tables import IO_BUFFER, ColumnFile, open_table, write_column_file
from flows.extending import HELD_STATE, held_columns
from flows.job import Job, context
from flows.journal import journal_folder, read_journal, write_journal
from flows.planner import Step
from flows.reuse import elsewhere, reuse

WINDOW = {"cpu": 16384, "gpu": 512, "api": 64}
"""Rows read at once, by cost class; also the size of a journalled batch."""


Tick = Callable[[int], None]


@dataclass
class _Unit:
    """One fragment of one job while it is computed. `chosen`: sample ids of the selection in it; None: every row."""

    job: Job
    cat: Catalog
    fragment: int
    chosen: pa.Array | None
    known: dict[str, pa.Table | None]
    tick: Tick
    counts: dict[str, int] = field(default_factory=lambda: {"computed": 0, "reused": 0})
    done: int = 0

    def advance(self, values: int) -> None:
        """Progress in values: rows times steps, those that were missing only."""
        self.done += values
        self.tick(values)


def run_unit(job: Job, fragment_id: int, tick: Tick = lambda values: None) -> dict[str, Any]:
    """Compute the stage for one fragment and checkpoint it: {"file": ..., "counts": ..., "done": ..., "seconds": ...}.

    tick gets the values done: for each step, the rows that had none and were asked for.
    """
    cat, began = job.catalog(), time.perf_counter()
    table = open_table(job.uri, job.lance_version, cat.settings.storage)
    fragment = table.get_fragment(fragment_id)
    contents = fragment.to_table(columns=["content_id"]).column("content_id").combine_chunks()
    chosen = None
    if job.where:
        chosen = fragment.scanner(columns=["sample_id"], filter=job.where).to_table()["sample_id"].combine_chunks()
    known = {step.fingerprint: elsewhere(cat, job, step, contents) for step in job.steps}
    unit = _Unit(job, cat, fragment_id, chosen, known, tick)
    batches = (_window(unit, start, window) for start, window in _windows(job, table, fragment_id))
    file = write_column_file(
        job.uri, cat.settings.storage, job.fields, batches, fragment=fragment_id, lance_version=job.lance_version
    )
    seconds = time.perf_counter() - began
    payload = {"file": file.to_json(), "counts": unit.counts, "done": unit.done, "seconds": seconds}
    checkpoints.save(cat, job.key, str(fragment_id), payload)
    return payload


def reusable(job: Job, payload: dict[str, Any], fragments: Collection[int]) -> bool:
    """Whether a checkpoint can still be published: its file is there (on object stores the attach finds out), and its
    fragment too, or, after a compaction, the table version that tells which rows the fragment held."""
    file = ColumnFile.from_json(payload["file"])
    if set(file.columns) != set(job.fields.names):
        return False
    if "://" not in job.uri and not os.path.exists(f"{job.uri}/data/{file.path}"):
        return False
    if file.fragment in fragments:
        return True
    try:
        old = open_table(job.uri, file.lance_version, job.catalog().settings.storage)
    except Corrupt:
        return False
    return old.get_fragment(file.fragment) is not None


def _windows(job: Job, table: Any, fragment_id: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    held = set(table.schema.names)
    made = {column for step in job.steps for column in step.outputs.values()}
    made |= {step.state for step in job.steps}
    wanted = {column for step in job.steps for column in (*step.inputs.values(), *step.waits) if column not in made}
    wanted |= {column for step in job.steps for column in held_columns(step).values()}
    old = {name for name in job.fields.names if name in held}
    columns = ["sample_id", "content_id", "removed", *sorted(wanted - {"sample_id", "content_id"}), *sorted(old)]
    size = min(_size(job, step) for step in job.steps)
    fragment = table.get_fragment(fragment_id)
    scanner = fragment.scanner(columns=columns, batch_size=size, io_buffer_size=IO_BUFFER)
    start = 0
    pending: list[pa.RecordBatch] = []
    for batch in scanner.to_batches():
        # Lance may split batches at page borders; windows are fixed by row number alone, so that results never move.
        pending.append(plain(batch))
        while sum(part.num_rows for part in pending) >= size:
            whole = pa.Table.from_batches(pending).combine_chunks()
            yield start, whole.slice(0, size).to_batches()[0]
            pending = whole.slice(size).to_batches()
            start += size
    if pending and sum(part.num_rows for part in pending):
        yield start, pa.Table.from_batches(pending).combine_chunks().to_batches()[0]


def _size(job: Job, step: Step) -> int:
    """Rows of a window; as many as a batch has questions where a provider is asked by batches."""
    if step.plugin.cost != "api":
        return WINDOW[step.plugin.cost]
    from flows.endpoints.ask import at_once

    return max(WINDOW["api"], at_once(job.catalog(), step.params))


def _window(unit: _Unit, start: int, rows: pa.RecordBatch) -> pa.RecordBatch:
    job = unit.job
    journal = _journal(unit, start, rows) if job.expensive else None
    if journal and (held := read_journal(journal, job.fields, rows.num_rows)) is not None:
        unit.advance(sum(int(pc.sum(_missing(unit, step, rows)[0]).as_py() or 0) for step in job.steps))
        return held
    made: dict[str, pa.Array] = {}
    for step in job.steps:
        made |= _step(unit, step, rows, made)
    batch = pa.RecordBatch.from_arrays([made[name] for name in job.fields.names], schema=job.fields)
    if journal:
        write_journal(journal, batch)
    return batch


def _journal(unit: _Unit, start: int, rows: pa.RecordBatch) -> Path:
    """A window's place in the journal; its name holds the rows, so that it can never be taken for other ones."""
    from xxhash import xxh3_64_hexdigest

    ids = [one for name in ("sample_id", "content_id") for one in rows.column(name).to_pylist()]
    return (
        journal_folder(unit.cat, unit.job)
        / f"{unit.fragment}-{start}-{xxh3_64_hexdigest(' '.join(ids).encode())}.arrow"
    )


def _missing(unit: _Unit, step: Step, rows: pa.RecordBatch) -> tuple[pa.Array, pa.Array]:
    """Which rows lack a value and are asked for; and which live rows are not asked for and never had a state."""
    held = rows.column(step.state) if step.state in rows.schema.names else pa.nulls(rows.num_rows, pa.uint8())
    live = pc.is_null(rows.column("removed"))
    asked = live
    if unit.job.sample_below:
        asked = pc.and_(asked, pc.less_equal(rows.column("sample_id"), unit.job.sample_below))
    if unit.chosen is not None:
        asked = pc.and_(asked, pc.is_in(rows.column("sample_id"), value_set=unit.chosen))
    return pc.and_(asked, pc.invert(computed(held))), pc.and_(pc.and_(live, pc.invert(asked)), pc.is_null(held))


def _ready(step: Step, rows: pa.RecordBatch, made: dict[str, pa.Array]) -> pa.Array:
    """Rows whose inputs are computed. The others stay without a state, so that a later run computes them."""
    ready = pa.array(np.ones(rows.num_rows, bool))
    for state in step.waits:
        held = made[state] if state in made else rows.column(state) if state in rows.schema.names else None
        ready = pc.and_(ready, computed(held if held is not None else pa.nulls(rows.num_rows, pa.uint8())))
    return ready


def _step(unit: _Unit, step: Step, rows: pa.RecordBatch, made: dict[str, pa.Array]) -> dict[str, pa.Array]:
    """Outputs and state of one step for a window: held values stay, the rest is reused from elsewhere or computed."""
    plugin, total = step.plugin, rows.num_rows
    names = [out.name for out in plugin.writes]
    outputs = {
        out.name: rows.column(step.outputs[out.name])
        if step.outputs[out.name] in rows.schema.names
        else pa.nulls(total, out.type)
        for out in step.outs
    }
    state = rows.column(step.state) if step.state in rows.schema.names else pa.nulls(total, pa.uint8())
    missing, outside = _missing(unit, step, rows)
    state = pc.if_else(outside, pa.scalar(states.NOT_SAMPLED, pa.uint8()), state)
    todo = pc.and_(missing, _ready(step, rows, made)) if step.waits else missing
    index = np.flatnonzero(todo.to_numpy(zero_copy_only=False))
    unit.advance(int(pc.sum(missing).as_py() or 0) - len(index))
    if len(index):
        part = _inputs(step, rows, made, index)
        new, rest = {}, np.arange(part.num_rows)
        if (held := unit.known[step.fingerprint]) is not None:
            found, new = reuse(step, held, part)
            unit.counts["reused"] += int(found.sum())
            unit.advance(int(found.sum()))
            rest = np.flatnonzero(~found)
        if len(rest):
            fresh = _fresh(unit, step, part.take(pa.array(rest)) if len(rest) < part.num_rows else part)
            unit.counts["computed"] += len(rest)
            new = fresh if len(rest) == part.num_rows else {key: _scatter(new[key], rest, fresh[key]) for key in fresh}
        outputs = {name: _scatter(outputs[name], index, new[name]) for name in names}
        state = _scatter(state, index, new["_state"])
    return {**{step.outputs[name]: outputs[name] for name in names}, step.state: state}


def _inputs(step: Step, rows: pa.RecordBatch, made: dict[str, pa.Array], index: np.ndarray) -> pa.RecordBatch:
    columns = {"sample_id": rows.column("sample_id"), "content_id": rows.column("content_id")}
    for name, physical in step.inputs.items():
        columns[name] = made[physical] if physical in made else rows.column(physical)
    columns |= {name: rows.column(physical) for name, physical in held_columns(step).items()}
    batch = pa.RecordBatch.from_pydict(columns)
    return batch if len(index) == batch.num_rows else batch.take(pa.array(index))


def _scatter(into: pa.Array, index: np.ndarray, values: pa.Array) -> pa.Array:
    """`into` with `values` at the rows of `index`."""
    if len(index) == len(into):
        return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    place = np.full(len(into), -1, np.int64)
    place[index] = np.arange(len(index))
    fresh = values.take(pa.array(np.maximum(place, 0)))
    return pc.if_else(pa.array(place >= 0), fresh, into)


def _fresh(unit: _Unit, step: Step, part: pa.RecordBatch) -> dict[str, pa.Array]:
    """Values of rows nobody has: extended from those under other evals where the row has such, else computed."""
    if not step.extends:
        return _call(unit, step, part, step.plugin.function)
    held = computed(part.column(HELD_STATE)).to_numpy(zero_copy_only=False)
    known, rest = np.flatnonzero(held), np.flatnonzero(~held)
    assert step.plugin.extend is not None
    if not len(rest):
        return _call(unit, step, part, step.plugin.extend)
    fresh = _call(unit, step, part.take(pa.array(rest)), step.plugin.function)
    if not len(known):
        return fresh
    more = _call(unit, step, part.take(pa.array(known)), step.plugin.extend)
    place = np.empty(part.num_rows, np.int64)
    place[known], place[rest] = np.arange(len(known)), np.arange(len(rest)) + len(known)
    return {name: pa.concat_arrays([more[name], fresh[name]]).take(pa.array(place)) for name in fresh}


def _call(unit: _Unit, step: Step, part: pa.RecordBatch, function: Callable[..., Any]) -> dict[str, pa.Array]:
    """Run the plug-in in slices, check what it returns, and derive missing states from nulls."""
    plugin = step.plugin
    left = 0

    def tick(rows: int) -> None:  # what a long call says of itself, never more than it was given
        nonlocal left
        rows = min(rows, left)
        left -= rows
        unit.advance(rows)

    ctx = context(unit.job, step, tick=tick)
    pieces: list[dict[str, pa.Array]] = []
    rows = max(plugin.batch_rows, ctx.at_once)
    for start in range(0, part.num_rows, rows):
        piece = part.slice(start, rows)
        left = piece.num_rows
        pieces.append(checked(step, function(piece, ctx), piece.num_rows))
        tick(left)
    return {key: pa.concat_arrays([piece[key] for piece in pieces]) for key in pieces[0]}


def checked(step: Step, result: dict[str, Any], rows: int) -> dict[str, pa.Array]:
    """Outputs with declared types and a state; a plug-in that breaks its word is named."""
    plugin, done = step.plugin, {}
    for out in step.outs:
        if out.name not in result:
            raise StrataError(
                f"scorer {plugin.name} did not return {out.name!r}; its plug-in {plugin.module} needs mending"
            )
        array = result[out.name]
        array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else pa.array(array, out.type)
        if len(array) != rows or array.type != out.type:
            raise StrataError(
                f"scorer {plugin.name} returned {len(array)} x {array.type} for {out.name!r}, "
                f"not {rows} x {out.type}; its plug-in {plugin.module} needs mending"
            )
        done[out.name] = _without_nan(array)
    return {**done, "_state": _state(plugin, result.get("_state"), done, rows)}


def _without_nan(array: pa.Array) -> pa.Array:
    """Not a number is no number: a null, whose state says that the method gives none here."""
    if not pa.types.is_floating(array.type):
        return array
    return pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array)


def _state(plugin: Scorer, given: Any, done: dict[str, pa.Array], rows: int) -> pa.Array:
    """The states a plug-in gave, else value or undefined; a row without any value is never called a value."""
    value, undefined = pa.scalar(states.VALUE, pa.uint8()), pa.scalar(states.UNDEFINED, pa.uint8())
    valid = pc.is_valid(done[plugin.writes[0].name])
    for out in plugin.writes[1:]:
        valid = pc.or_(valid, pc.is_valid(done[out.name]))
    if given is None:
        return pc.if_else(valid, value, undefined)
    state = given.combine_chunks() if isinstance(given, pa.ChunkedArray) else pa.array(given)
    state = state.cast(pa.uint8())
    if len(state) != rows or state.null_count:
        raise StrataError(
            f"scorer {plugin.name} returned {len(state)} states with {state.null_count} nulls for {rows} rows; "
            f"its plug-in {plugin.module} needs mending"
        )
    return pc.if_else(pc.and_(pc.equal(state, value), pc.invert(valid)), undefined, state)
