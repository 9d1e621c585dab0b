"""Parquet and Arrow (IPC file, IPC stream, Feather): typed columns, read a few megabytes at a time.

A record's line is its 1-based number in the file; it has no byte offset.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from catalog.errors import BadInput
from catalog.ingest.records import CHUNK_ROWS, NOT_UTF8, Chunk, Reject, Source, reader
from catalog.ingest.streams import BrokenFile, open_raw


@reader("parquet", suffixes=(".parquet", ".pq"))
def read_parquet(source: Source, at: dict[str, Any] | None) -> Iterator[Chunk]:
    """Chunks of rows; `at` is {"line", "group"}: the next row's number and the row group to start from."""
    import pyarrow.parquet as pq

    with open_raw(source.uri, source.storage) as raw, _whole(source):
        file = pq.ParquetFile(raw)
        line = 1
        for group in range(file.num_row_groups):
            facts = file.metadata.row_group(group)
            if at and line + facts.num_rows <= at["line"]:
                line += facts.num_rows
                continue
            rows = max(
                16, min(CHUNK_ROWS, source.options.block_bytes * facts.num_rows // max(facts.total_byte_size, 1))
            )
            for batch in file.iter_batches(batch_size=rows, row_groups=[group]):
                skip = max(0, at["line"] - line) if at else 0
                if skip < batch.num_rows:
                    yield to_chunk(batch.slice(skip), line + skip)
                line += batch.num_rows


@reader("arrow", suffixes=(".arrow", ".feather", ".ipc"))
def read_arrow(source: Source, at: dict[str, Any] | None) -> Iterator[Chunk]:
    """Chunks of rows; `at` is {"line"} of the next row."""
    with open_raw(source.uri, source.storage) as raw, _whole(source):
        magic = raw.read(6)
        raw.seek(0)
        if magic.startswith(b"FEA1"):
            raise BadInput(f"{source.uri} is Feather version 1; write it again as Feather 2 or Parquet")
        if magic.startswith(b"ARROW1"):
            file = pa.ipc.open_file(raw)
            batches: Iterator[pa.RecordBatch] = (file.get_batch(number) for number in range(file.num_record_batches))
        else:
            batches = iter(pa.ipc.open_stream(raw))
        line = 1
        for batch in batches:
            skip = max(0, at["line"] - line) if at else 0
            for part in pieces(batch, source, skip):
                yield to_chunk(part, line + skip)
                skip += part.num_rows
            line += batch.num_rows


def pieces(batch: pa.RecordBatch, source: Source, start: int = 0) -> Iterator[pa.RecordBatch]:
    """Slices of a few megabytes: a batch in an Arrow file may be of any size."""
    rows = max(16, min(CHUNK_ROWS, source.options.block_bytes * batch.num_rows // max(batch.nbytes, 1)))
    for at in range(start, batch.num_rows, rows):
        yield batch.slice(at, rows)


def to_chunk(batch: pa.RecordBatch, line: int, **more: Any) -> Chunk:
    """Rows as dicts; a string column that holds invalid UTF-8 costs the row, not the batch."""
    following = {"line": line + batch.num_rows, **more}
    try:
        return Chunk(batch.to_pylist(), range(line, line + batch.num_rows), None, following, batch.nbytes)
    except UnicodeDecodeError:
        rows, lines, rejects = [], [], []
        for at in range(batch.num_rows):
            try:
                rows.append(batch.slice(at, 1).to_pylist()[0])
                lines.append(line + at)
            except UnicodeDecodeError as error:
                rejects.append(
                    Reject(line + at, None, NOT_UTF8, f"{error.reason} at byte {error.start} of a value", "")
                )
        return Chunk(rows, lines, None, following, batch.nbytes, rejects)


class _whole:
    """Arrow's errors about a broken file, as one line that names it."""

    def __init__(self, source: Source) -> None:
        self.uri = source.uri

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, pa.ArrowException | OSError):
            reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
            raise BrokenFile(
                f"{self.uri} cannot be read as Parquet or Arrow: {reason}; fetch or write it again"
            ) from None
