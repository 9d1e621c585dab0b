"""Compute one stage over one fragment: read what is missing, look it up or compute it, write one column file.

A unit is the piece that is retried, checkpointed and placed. Its result depends on the fragment and the job alone.
Batches of the gpu and api classes are journalled as they finish, so that a crash costs one batch of those.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog import states
from catalog.catalog import Catalog
from catalog.errors import StrataError
from catalog.plugins import Scorer
from catalog.schema import plain
from catalog.store import checkpoints
from catalog.store.columns import computed
from catalog.store.tables import ColumnFile, open_table, write_column_file
from flows.job import Job, context
from flows.planner import Step

WINDOW = {"cpu": 16384, "gpu": 512, "api": 16}
"""Rows read at once, by cost class; also the size of a journalled batch."""


def run_unit(job: Job, fragment_id: int, tick: Callable[[int], None] = lambda rows: None) -> dict[str, Any]:
    """Compute the stage for one fragment and checkpoint it. Returns {"file": ..., "counts": ..., "seconds": ...}."""
    cat, began = job.catalog(), time.perf_counter()
    table = open_table(job.uri, job.lance_version, cat.settings.storage)
    counts = {"computed": 0, "reused": 0}

    def batches() -> Iterator[pa.RecordBatch]:
        contents = (
            table.get_fragment(fragment_id).to_table(columns=["content_id"]).column("content_id").combine_chunks()
        )
        known = {step.fingerprint: elsewhere(cat, job, step, contents) for step in job.steps}
        for start, window in _windows(job, table, fragment_id):
            yield _window(job, cat, fragment_id, start, window, known, counts)
            tick(window.num_rows)

    file = write_column_file(
        job.uri, cat.settings.storage, job.fields, batches(), fragment=fragment_id, lance_version=job.lance_version
    )
    payload = {"file": file.to_json(), "counts": counts, "seconds": time.perf_counter() - began}
    checkpoints.save(cat, job.key, str(fragment_id), payload)
    return payload


def reusable(job: Job, payload: dict[str, Any]) -> bool:
    """Whether a checkpoint's file is still there; on object stores the attach finds out."""
    file = ColumnFile.from_json(payload["file"])
    return set(file.columns) == set(job.fields.names) and (
        "://" in job.uri or os.path.exists(f"{job.uri}/data/{file.path}")
    )


def _windows(job: Job, table: Any, fragment_id: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    held = set(table.schema.names)
    made = {column for step in job.steps for column in step.outputs.values()}
    wanted = {column for step in job.steps for column in step.inputs.values() if column not in made}
    old = {name for name in job.fields.names if name in held}
    columns = ["sample_id", "content_id", "removed", *sorted(wanted - {"sample_id", "content_id"}), *sorted(old)]
    size = min(WINDOW[step.plugin.cost] for step in job.steps)
    fragment = table.get_fragment(fragment_id)
    scanner = fragment.scanner(columns=columns, batch_size=size)
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


def _window(
    job: Job,
    cat: Catalog,
    fragment_id: int,
    start: int,
    rows: pa.RecordBatch,
    known: dict[str, pa.Table | None],
    counts: dict[str, int],
) -> pa.RecordBatch:
    journal = journal_folder(cat, job) / f"{fragment_id}-{start}.arrow" if job.expensive else None
    if journal and journal.exists():
        with pa.OSFile(str(journal)) as source:
            return pa.ipc.open_file(source).get_batch(0)
    made: dict[str, pa.Array] = {}
    for step in job.steps:
        made |= _step(job, step, rows, made, known, counts)
    batch = pa.RecordBatch.from_arrays([made[name] for name in job.fields.names], schema=job.fields)
    if journal:
        journal.parent.mkdir(parents=True, exist_ok=True)
        part = journal.with_suffix(f".{os.getpid()}")
        with pa.OSFile(str(part), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
            writer.write_batch(batch)
        part.rename(journal)
    return batch


def _step(
    job: Job,
    step: Step,
    rows: pa.RecordBatch,
    made: dict[str, pa.Array],
    known: dict[str, pa.Table | None],
    counts: dict[str, int],
) -> dict[str, pa.Array]:
    """Outputs and state of one step for a window: held values stay, the rest is reused from elsewhere or computed."""
    plugin, total = step.plugin, rows.num_rows
    names = [out.name for out in plugin.writes]
    held_state = rows.column(step.state) if step.state in rows.schema.names else pa.nulls(total, pa.uint8())
    outputs = {
        name: rows.column(step.outputs[name])
        if step.outputs[name] in rows.schema.names
        else pa.nulls(total, plugin.out(name).type)
        for name in names
    }
    live = pc.is_null(rows.column("removed"))
    sampled = pc.less_equal(rows.column("sample_id"), job.sample_below) if job.sample_below else live
    todo = pc.and_(pc.and_(live, sampled), pc.invert(computed(held_state)))
    outside = pc.and_(pc.and_(live, pc.invert(sampled)), pc.is_null(held_state))
    state = pc.if_else(outside, pa.scalar(states.NOT_SAMPLED, pa.uint8()), held_state)
    index = np.flatnonzero(todo.to_numpy(zero_copy_only=False))
    if len(index):
        part = _inputs(step, rows, made, index)
        new, rest = {}, np.arange(part.num_rows)
        if (held := known[step.fingerprint]) is not None:
            found, new = _reuse(step, held, part)
            counts["reused"] += int(found.sum())
            rest = np.flatnonzero(~found)
        if len(rest):
            counts["computed"] += len(rest)
            fresh = _call(job, step, part.take(pa.array(rest)) if len(rest) < part.num_rows else part)
            new = fresh if len(rest) == part.num_rows else {key: _scatter(new[key], rest, fresh[key]) for key in fresh}
        outputs = {name: _scatter(outputs[name], index, new[name]) for name in names}
        state = _scatter(state, index, new["_state"])
    return {**{step.outputs[name]: outputs[name] for name in names}, step.state: state}


def _inputs(step: Step, rows: pa.RecordBatch, made: dict[str, pa.Array], index: np.ndarray) -> pa.RecordBatch:
    columns = {"sample_id": rows.column("sample_id"), "content_id": rows.column("content_id")}
    for name, physical in step.inputs.items():
        columns[name] = made[physical] if physical in made else rows.column(physical)
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


def _call(job: Job, step: Step, part: pa.RecordBatch) -> dict[str, pa.Array]:
    """Run the plug-in in slices, check what it returns, and derive missing states from nulls."""
    plugin, ctx = step.plugin, context(job, step)
    pieces: list[dict[str, pa.Array]] = []
    for start in range(0, part.num_rows, plugin.batch_rows):
        piece = part.slice(start, plugin.batch_rows)
        pieces.append(checked(step, plugin.function(piece, ctx), piece.num_rows))
    return {key: pa.concat_arrays([piece[key] for piece in pieces]) for key in pieces[0]}


def checked(step: Step, result: dict[str, Any], rows: int) -> dict[str, pa.Array]:
    """Outputs with declared types and a state; a plug-in that breaks its word is named."""
    plugin, done = step.plugin, {}
    for out in plugin.writes:
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


# -- values another dataset already has ----------------------------------------------------------------------------


def elsewhere(cat: Catalog, job: Job, step: Step, contents: pa.Array) -> pa.Table | None:
    """Rows of other tables with the same fingerprint and one of these contents: content_id, outputs, state.

    One pass over each holder's id column and this scorer's columns; memory is bounded by the fragment.
    """
    plugin = step.plugin
    derived = plugin.cost == "cpu" and not plugin.load and not {"text", "messages"} & step.inputs.keys()
    if plugin.pattern == "global" or derived:
        return None
    kept = []
    done = ", ".join(str(code) for code in states.DONE)
    for uri, version in _holders(cat, job, step):
        table = open_table(uri, version, cat.settings.storage)
        columns = ["content_id", *step.outputs.values(), step.state]
        for batch in table.scanner(columns=columns, filter=f"{step.state} IN ({done})", batch_size=65536).to_batches():
            hits = batch.filter(pc.is_in(batch.column("content_id"), value_set=contents))
            if hits.num_rows:
                kept.append(hits)
    return pa.Table.from_batches(kept).combine_chunks() if kept else None


def _reuse(step: Step, held: pa.Table, part: pa.RecordBatch) -> tuple[np.ndarray, dict[str, pa.Array]]:
    at = pc.index_in(part.column("content_id"), value_set=held.column("content_id"))
    taken = held.take(at.fill_null(0))
    found = pc.is_valid(at).to_numpy(zero_copy_only=False)
    values = {out.name: taken.column(step.outputs[out.name]).combine_chunks() for out in step.plugin.writes}
    return found, values | {"_state": taken.column(step.state).combine_chunks()}


def _holders(cat: Catalog, job: Job, step: Step) -> list[tuple[str, int]]:
    """Other tables that publish a column with this fingerprint."""
    from sqlmodel import select

    from catalog.meta.models import ColumnRecord, Dataset

    with cat.session() as session:
        found = session.exec(
            select(Dataset)
            .join(ColumnRecord, ColumnRecord.dataset_id == Dataset.id)  # type: ignore[arg-type]
            .where(ColumnRecord.fingerprint == step.fingerprint, Dataset.id != job.dataset_id)
            .where(Dataset.dropped.is_(None))  # type: ignore[union-attr]
            .distinct()
        ).all()
    return [(cat.table_uri(dataset), dataset.lance_version) for dataset in found]


def journal_folder(cat: Catalog, job: Job) -> Path:
    return cat.settings.journal / job.key.replace(":", "-")


def forget_journal(cat: Catalog, job: Job) -> None:
    shutil.rmtree(journal_folder(cat, job), ignore_errors=True)
