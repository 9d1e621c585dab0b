"""Columns of mapped records become a record batch of the table's schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from catalog.digests import hex_array
from catalog.ingest.mapping import Mapped
from catalog.schema import CHARS, OWN, sample_schema


@dataclass(frozen=True)
class Defaults:
    """What a row gets where its record says nothing. number: the version that adds it, corrected at publishing."""

    source: str
    licence: str | None
    file: str
    number: int


def writer_schema(kind: str) -> pa.Schema:
    """The sample fields and `chars`, as fragments are written."""
    return sample_schema(kind).append(CHARS)


def to_batch(kind: str, mapped: Mapped, ids: bytes, defaults: Defaults, schema: pa.Schema) -> pa.RecordBatch:
    """All mapped records as one batch; ids: 16 bytes a row."""
    count = len(mapped.encoded)
    columns: dict[str, pa.Array] = {
        "sample_id": hex_array(ids),
        "content_id": hex_array(b"".join(mapped.contents)),
        "text": utf8_array(mapped.encoded),
        "source": _filled(mapped.row.get("source"), defaults.source, count),
        "licence": _filled(mapped.row.get("licence"), defaults.licence, count),
        "file": _filled(mapped.files or None, defaults.file, count),
        "line": int_array(np.array(mapped.lines, np.int64), pa.int64()),
        "offset": pa.array(mapped.offsets, pa.int64()),
        "meta": utf8_array(mapped.meta),
        "added": int_array(np.full(count, defaults.number, np.int32), pa.int32()),
        "chars": int_array(np.array(mapped.chars, np.int32), pa.int32()),
    }
    for name in ("url", "author", "created"):
        values = mapped.row.get(name)
        columns[name] = pa.nulls(count, pa.string()) if values is None else pa.array(values, pa.string())
    for field in OWN[kind]:
        columns[field.name] = pa.array(mapped.own[field.name], field.type)
    return pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)


def with_ids(batch: pa.RecordBatch, ids: bytes) -> pa.RecordBatch:
    """The batch under other sample ids."""
    at = batch.schema.get_field_index("sample_id")
    return batch.set_column(at, batch.schema.field(at), hex_array(ids))


def int_array(values: np.ndarray, kind: pa.DataType) -> pa.Array:
    """Integers as they lie in memory. `pa.array` would load pandas first, only to see that it is not one of its types."""
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])


def utf8_array(values: list[Any]) -> pa.StringArray:
    """Bytes known to be UTF-8 as a string array: Arrow would check each again, at many times the cost of the copy."""
    if None in values:
        held = pa.array(values, pa.binary())
        buffers = held.buffers()
        return pa.StringArray.from_buffers(len(held), buffers[1], buffers[2], buffers[0], held.null_count)
    offsets = np.zeros(len(values) + 1, np.int32)
    np.cumsum(np.fromiter(map(len, values), np.int32, len(values)), out=offsets[1:])
    return pa.StringArray.from_buffers(len(values), pa.py_buffer(offsets), pa.py_buffer(b"".join(values)), None, 0)


def _filled(values: list[Any] | None, default: str | None, count: int) -> pa.Array:
    if values is not None:
        return pa.array([default if value is None else value for value in values], pa.string())
    return pa.nulls(count, pa.string()) if default is None else pa.repeat(pa.scalar(default, pa.string()), count)
