"""Values that another dataset already has: equal recipe and equal content mean an equal value."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlmodel import select

from catalog import states
from catalog.catalog import Catalog
from catalog.errors import Corrupt
from catalog.meta.models import ColumnRecord, Dataset
from catalog.store.tables import open_table
from flows.job import Job
from flows.planner import Step

CONTENT = {"text", "chars", "messages", "chosen", "rejected", "answer", "choices", "tools", "verifier"}
"""Sample fields that a content id stands for."""


def elsewhere(cat: Catalog, job: Job, step: Step, contents: pa.Array) -> pa.Table | None:
    """Rows of other tables with the same fingerprint and one of these contents: content_id, outputs, state.

    One pass over each holder's id column and this scorer's columns; memory is bounded by the fragment. A scorer that
    reads more of a row than its content (its source, its date) is never answered from another dataset.
    """
    plugin = step.plugin
    derived = plugin.cost == "cpu" and not plugin.load and not {"text", "messages"} & step.inputs.keys()
    fields = {name for name, physical in step.inputs.items() if name == physical}
    if plugin.pattern == "global" or derived or plugin.beyond_content or not fields <= CONTENT:
        return None
    kept = []
    done = ", ".join(str(code) for code in states.DONE)
    for uri, version in _holders(cat, job, step):
        try:
            table = open_table(uri, version, cat.settings.storage)
        except Corrupt:
            continue  # another dataset's trouble, which `strata doctor` tells; here it only means to compute
        columns = ["content_id", *step.outputs.values(), step.state]
        for batch in table.scanner(columns=columns, filter=f"{step.state} IN ({done})", batch_size=65536).to_batches():
            hits = batch.filter(pc.is_in(batch.column("content_id"), value_set=contents))
            if hits.num_rows:
                kept.append(hits)
    return pa.Table.from_batches(kept).combine_chunks() if kept else None


def reuse(step: Step, held: pa.Table, part: pa.RecordBatch) -> tuple[np.ndarray, dict[str, pa.Array]]:
    at = pc.index_in(part.column("content_id"), value_set=held.column("content_id"))
    taken = held.take(at.fill_null(0))
    found = pc.is_valid(at).to_numpy(zero_copy_only=False)
    if "text" in part.schema.names:  # an empty text and an absent one share their content id, not their state
        found = found & pc.fill_null(pc.not_equal(part.column("text"), ""), False).to_numpy(zero_copy_only=False)
    values = {out.name: taken.column(step.outputs[out.name]).combine_chunks() for out in step.plugin.writes}
    return found, values | {"_state": taken.column(step.state).combine_chunks()}


def _holders(cat: Catalog, job: Job, step: Step) -> list[tuple[str, int]]:
    """Other tables that publish a column with this fingerprint."""
    with cat.session() as session:
        found = session.exec(
            select(Dataset)
            .join(ColumnRecord, ColumnRecord.dataset_id == Dataset.id)  # type: ignore[arg-type]
            .where(ColumnRecord.fingerprint == step.fingerprint, Dataset.id != job.dataset_id)
            .where(Dataset.dropped.is_(None))  # type: ignore[union-attr]
            .where(Dataset.dropped.is_(None))  # type: ignore[union-attr]
            .distinct()
        ).all()
    return [(cat.table_uri(dataset), dataset.lance_version) for dataset in found]
