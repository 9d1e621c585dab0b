"""Attach column files to the published head, whatever happened to the table since they were computed.

The newest fragment metadata is taken and only the new file is added: stale metadata would bring removed rows back.
A fragment that a compaction has replaced is found again by its row ids; values another run published meanwhile win
only where ours are not computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog.errors import Corrupt
from catalog.store.tables import (
    ColumnFile,
    disk_errors,
    field_ids,
    open_table,
    read_column_file,
    with_column_file,
    write_column_file,
)

if TYPE_CHECKING:
    import lance

    from catalog.catalog import Catalog


def attach(
    cat: Catalog, table: lance.LanceDataset, files: Sequence[ColumnFile], fields: pa.Schema, deciders: dict[str, str]
) -> lance.LanceDataset:
    """Commit column files to `table` (two Lance commits at most) and return the table at its new version.

    fields: schema of the columns; columns the table lacks are added empty first, which writes no data.
    deciders: column -> state column that tells which of two values of a row is the computed one.
    """
    import lance

    start = table.version
    fresh = pa.schema([field for field in fields if field.name not in table.schema.names])
    commits = 0
    with disk_errors(table.uri):
        if len(fresh):
            table.add_columns(fresh)
            commits += 1
        ready = _settle(cat, table, files, fields, deciders)
        if not ready:
            return table
        ids = field_ids(table)
        metas = [
            with_column_file(fragment.metadata, ready[fragment.fragment_id], ids)
            if fragment.fragment_id in ready
            else fragment.metadata
            for fragment in table.get_fragments()
        ]
        done = lance.LanceDataset.commit(
            table.uri,
            lance.LanceOperation.Merge(metas, table.lance_schema),
            read_version=table.version,
            max_retries=0,
            storage_options=cat.settings.storage or None,
        )
    commits += 1
    if done.version != start + commits:
        raise Corrupt(f"table {table.uri} was written outside its lease during a publish; run the command again")
    return done


def _settle(
    cat: Catalog, table: lance.LanceDataset, files: Sequence[ColumnFile], fields: pa.Schema, deciders: dict[str, str]
) -> dict[int, ColumnFile]:
    """One file for each current fragment that has new values."""
    current = {fragment.fragment_id: fragment for fragment in table.get_fragments()}
    ready = {file.fragment: file for file in files if file.fragment in current}
    lost = [file for file in files if file.fragment not in current]
    if lost:
        ids, values = _values_by_row_id(cat, table.uri, lost)
        for fragment_id, fragment in current.items():
            if fragment_id not in ready and (found := _realign(cat, table, fragment, ids, values, fields)) is not None:
                ready[fragment_id] = found
    numbers = field_ids(table)
    wanted = {number for name in fields.names for number in numbers[name]}
    for fragment_id, file in list(ready.items()):
        held = {field for data in current[fragment_id].metadata.files for field in data.fields}
        if held & wanted:
            ready[fragment_id] = _coalesce(cat, table, current[fragment_id], file, fields, deciders)
    return ready


def _values_by_row_id(cat: Catalog, uri: str, files: Sequence[ColumnFile]) -> tuple[np.ndarray, pa.Table]:
    ids, tables = [], []
    for file in files:
        old = open_table(uri, file.lance_version, cat.settings.storage).get_fragment(file.fragment)
        if old is None:
            raise Corrupt(
                f"fragment {file.fragment} of {uri} version {file.lance_version} is gone; run the score again"
            )
        ids.append(row_ids(old))
        tables.append(read_column_file(uri, cat.settings.storage, file.path))
    all_ids, values = np.concatenate(ids), pa.concat_tables(tables)
    order = np.argsort(all_ids, kind="stable")
    return all_ids[order], values.take(pa.array(order))


def row_ids(fragment: lance.LanceFragment) -> np.ndarray:
    """Stable row ids of a fragment, uint64, in physical order."""
    return fragment.scanner(columns=[], with_row_id=True).to_table().column("_rowid").to_numpy()


def find(held: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each wanted id is in the sorted ids, and whether it is there."""
    if not len(held):
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), bool)
    at = np.minimum(np.searchsorted(held, wanted), len(held) - 1)
    return at, held[at] == wanted


def _realign(
    cat: Catalog,
    table: lance.LanceDataset,
    fragment: lance.LanceFragment,
    ids: np.ndarray,
    values: pa.Table,
    fields: pa.Schema,
) -> ColumnFile | None:
    at, hit = find(ids, row_ids(fragment))
    if not hit.any():
        return None
    taken = values.take(pa.array(at, mask=~hit))
    return write_column_file(
        table.uri,
        cat.settings.storage,
        fields,
        taken.select(fields.names).cast(fields).to_batches(),
        fragment=fragment.fragment_id,
        lance_version=table.version,
    )


def _coalesce(
    cat: Catalog,
    table: lance.LanceDataset,
    fragment: lance.LanceFragment,
    file: ColumnFile,
    fields: pa.Schema,
    deciders: dict[str, str],
) -> ColumnFile:
    """Ours where computed, else theirs where computed, else ours: nothing another run published is lost."""
    ours = read_column_file(table.uri, cat.settings.storage, file.path)
    theirs = fragment.scanner(columns=fields.names).to_table()
    keep = {}
    for state in set(deciders.values()):
        mine, yours = ours.column(state), theirs.column(state)
        keep[state] = pc.or_(computed(mine), pc.and_(pc.is_valid(mine), pc.invert(computed(yours))))
    merged = [pc.if_else(keep[deciders[name]], ours.column(name), theirs.column(name)) for name in fields.names]
    return write_column_file(
        table.uri,
        cat.settings.storage,
        fields,
        pa.table(merged, schema=fields).to_batches(),
        fragment=file.fragment,
        lance_version=table.version,
    )


def computed(states: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    """True where a state says that the row needs no further computation."""
    from catalog.states import DONE

    return pc.fill_null(pc.is_in(states, value_set=pa.array(DONE, pa.uint8())), False)
