"""Query results on their way out of a face: Arrow streams, CSV, rows of a search."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ui.shapes import plain

if TYPE_CHECKING:
    from catalog import Catalog


class _Pipe:
    """A file that keeps what was written until it is taken."""

    closed = False

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def write(self, data: Any) -> int:
        self.parts.append(bytes(data))
        return len(data)

    def flush(self) -> None: ...

    def take(self) -> bytes:
        held, self.parts = b"".join(self.parts), []
        return held


def arrow_stream(reader: pa.RecordBatchReader) -> Iterator[bytes]:
    """An Arrow IPC stream, batch by batch: memory is one batch, however long the result."""
    pipe = _Pipe()
    with pa.ipc.new_stream(pa.PythonFile(pipe, "w"), reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)
            yield pipe.take()
    yield pipe.take()


def csv_stream(reader: pa.RecordBatchReader) -> Iterator[bytes]:
    """CSV with a header; CSV holds no nested values, so they become JSON text."""
    from pyarrow import csv

    header = True
    for batch in reader:
        pipe = pa.BufferOutputStream()
        csv.write_csv(_flat(batch), pipe, csv.WriteOptions(include_header=header))
        header = False
        yield pipe.getvalue().to_pybytes()
    if header:
        pipe = pa.BufferOutputStream()
        csv.write_csv(_flat(pa.RecordBatch.from_pylist([], schema=reader.schema)), pipe)
        yield pipe.getvalue().to_pybytes()


def _flat(batch: pa.RecordBatch) -> pa.RecordBatch:
    import orjson

    columns, names = [], batch.schema.names
    for column in batch.columns:
        if pa.types.is_nested(column.type):
            column = pa.array(
                [None if v is None else orjson.dumps(plain(v)).decode() for v in column.to_pylist()], pa.string()
            )
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, names=names)


def search_hits(
    cat: Catalog,
    ref: str,
    words: str = "",
    *,
    mode: str | None = None,
    like: str | None = None,
    where: str | None = None,
    missing: str = "error",
    limit: int = 10,
    column: str = "embedding",
) -> dict[str, Any]:
    """{"hits": best first, "notes": what the result does not cover}."""
    from catalog.search import notes

    found = cat.search(ref, words, mode=mode, like=like, where=where, missing=missing, limit=limit, column=column)
    return {"hits": plain(found), "notes": notes(found)}
