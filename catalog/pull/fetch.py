"""Read rows by stable row id: one take a dataset for a whole block, then back into the order of the block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from catalog.errors import Corrupt
from catalog.pull.mapped import MappedRows

if TYPE_CHECKING:
    import lance

    from catalog.pull.layout import Located


def take_rows(table: lance.LanceDataset | MappedRows, row_ids: np.ndarray, columns: list[str], name: str) -> pa.Table:
    """Rows in the order of `row_ids`, repeats included; `Corrupt` when the table lacks one. Mapped rows: ascending."""
    if isinstance(table, MappedRows):
        found = table.take(row_ids, columns)
        if found.num_rows != len(row_ids):
            raise Corrupt(f"the local copy {table.path} of {name} lacks rows; delete it, it is made again")
        return found
    try:
        found = table._take_rows(row_ids.tolist(), columns=columns)
    except (ValueError, OSError) as error:
        reason = str(error).splitlines()[0][:200]
        raise Corrupt(f"rows of {name} cannot be read: {reason}; run `strata doctor`") from None
    if found.num_rows != len(row_ids):
        there = table._take_rows(row_ids.tolist(), columns=["_rowid"]).column("_rowid").to_numpy()
        gone = np.setdiff1d(row_ids, there)
        raise Corrupt(f"{len(gone)} rows of {name} are gone, first row id {gone[:1]}; run `strata doctor`")
    return found


def take_block(
    tables: Sequence[lance.LanceDataset | MappedRows],
    names: Sequence[str],
    sources: np.ndarray,
    row_ids: np.ndarray,
    columns: Sequence[dict[str, str]],
    schema: pa.Schema,
) -> pa.Table:
    """Rows (sources[i], row_ids[i]) for all i, in that order. columns[s]: output name -> column of table s.

    A field of the schema that a source lacks is null there.
    """
    chunks, place, done = [], np.empty(len(row_ids), np.int64), 0
    for source in map(int, np.unique(sources)):
        mine = np.flatnonzero(sources == source)
        unique, back = np.unique(row_ids[mine], return_inverse=True)
        found = take_rows(tables[source], unique, list(dict.fromkeys(columns[source].values())), names[source])
        chunks.append(_shaped(found, columns[source], schema))
        place[mine] = back + done
        done += len(unique)
    if not chunks:
        return schema.empty_table()
    return pa.concat_tables(chunks).combine_chunks().take(pa.array(place))


def _shaped(found: pa.Table, columns: dict[str, str], schema: pa.Schema) -> pa.Table:
    arrays = [
        found.column(columns[field.name]).cast(field.type)
        if field.name in columns
        else pa.chunked_array([pa.nulls(found.num_rows, field.type)])
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def content_ids(part_tables: Sequence[lance.LanceDataset], located: Located) -> list[str]:
    """Content ids of located rows, in order; part_tables[p] is the table of part p."""
    field = {"content_id": "content_id"}
    schema = pa.schema([pa.field("content_id", pa.string())])
    names = [table.uri for table in part_tables]
    held = take_block(part_tables, names, located.part, located.row, [field] * len(part_tables), schema)
    return held.column("content_id").to_pylist()
