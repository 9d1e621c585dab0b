"""Add and remove rows: the two ways a version differs from the one before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog.errors import Corrupt
from catalog.schema import REMOVED
from catalog.store.tables import disk_errors, field_ids, with_column_file, write_column_file

if TYPE_CHECKING:
    import lance

    from catalog.catalog import Catalog


def append_fragments(
    cat: Catalog, table: lance.LanceDataset, fragments: Sequence[dict[str, Any]]
) -> lance.LanceDataset:
    """Commit written fragments; columns they lack are empty there."""
    import json

    import lance
    from lance.fragment import FragmentMetadata

    if not fragments:
        return table
    with disk_errors(table.uri):
        done = lance.LanceDataset.commit(
            table.uri,
            lance.LanceOperation.Append([FragmentMetadata.from_json(json.dumps(body)) for body in fragments]),
            read_version=table.version,
            max_retries=0,
            storage_options=cat.settings.storage or None,
        )
    if done.version != table.version + 1:
        raise Corrupt(f"table {table.uri} was written outside its lease during a publish; run the command again")
    return done


def mark_removed(
    cat: Catalog, table: lance.LanceDataset, ids: np.ndarray, version: int, *, retract: bool = False
) -> tuple[lance.LanceDataset, int]:
    """Mark rows (stable row ids, uint64) as removed from `version` on, or from every version when retracted.

    Only the `removed` column of the fragments concerned is written. Returns the table and the number of rows that
    changed; rows already removed stay as they are, except that retraction wins.
    """
    import lance

    ids = np.sort(ids)
    field = field_ids(table)[REMOVED.name]
    metas, changed = [], 0
    for fragment in table.get_fragments():
        held = fragment.scanner(columns=[REMOVED.name], with_row_id=True).to_table()
        hit = np.isin(held.column("_rowid").to_numpy(), ids, assume_unique=True)
        old = held.column(REMOVED.name)
        open_rows = pc.fill_null(pc.not_equal(old, 0), True) if retract else pc.is_null(old)
        mask = pc.and_(
            pa.array(hit), open_rows.combine_chunks() if isinstance(open_rows, pa.ChunkedArray) else open_rows
        )
        count = pc.sum(mask).as_py() or 0
        if not count:
            metas.append(fragment.metadata)
            continue
        changed += count
        new = pc.if_else(mask, pa.scalar(0 if retract else version, pa.int32()), old)
        file = write_column_file(
            table.uri,
            cat.settings.storage,
            pa.schema([REMOVED]),
            pa.table([new], schema=pa.schema([REMOVED])).to_batches(),
            fragment=fragment.fragment_id,
            lance_version=table.version,
        )
        metas.append(with_column_file(fragment.metadata, file, {REMOVED.name: field}))
    if not changed:
        return table, 0
    with disk_errors(table.uri):
        done = lance.LanceDataset.commit(
            table.uri,
            lance.LanceOperation.Merge(metas, table.lance_schema),
            read_version=table.version,
            max_retries=0,
            storage_options=cat.settings.storage or None,
        )
    return done, changed
