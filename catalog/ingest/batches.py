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


def to_batch(kind: str, mapped: Mapped, ids: list[bytes], defaults: Defaults, schema: pa.Schema) -> pa.RecordBatch:
    """All mapped records as one batch."""
    count = len(ids)
    columns: dict[str, pa.Array] = {
        "sample_id": hex_array(ids),
        "content_id": hex_array(mapped.contents),
        "text": utf8_array(mapped.encoded),
        "source": _filled(mapped.row.get("source"), defaults.source, count),
        "licence": _filled(mapped.row.get("licence"), defaults.licence, count),
        "file": _filled(mapped.files, defaults.file, count),
        "line": pa.array(mapped.lines, pa.int64()),
        "offset": pa.nulls(count, pa.int64()) if mapped.offsets is None else pa.array(mapped.offsets, pa.int64()),
        "meta": utf8_array(mapped.meta),
        "added": pa.array(np.full(count, defaults.number, np.int32)),
        "chars": pa.array(np.fromiter(map(len, mapped.texts), np.int32, count)),
    }
    for name in ("url", "author", "created"):
        values = mapped.row.get(name)
        columns[name] = pa.nulls(count, pa.string()) if values is None else pa.array(values, pa.string())
    for field in OWN[kind]:
        columns[field.name] = pa.array(mapped.own[field.name], field.type)
    return pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)


def utf8_array(values: list[Any]) -> pa.StringArray:
    """Bytes known to be UTF-8 as a string array: Arrow would check each again, at many times the cost of the copy."""
    held = pa.array(values, pa.binary())
    return pa.StringArray.from_buffers(
        len(held), held.buffers()[1], held.buffers()[2], held.buffers()[0], held.null_count
    )


def _filled(values: list[Any] | None, default: str | None, count: int) -> pa.Array:
    if values is not None:
        return pa.array([default if value is None else value for value in values], pa.string())
    return pa.nulls(count, pa.string()) if default is None else pa.repeat(pa.scalar(default, pa.string()), count)
