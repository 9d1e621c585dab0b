"""Parquet, compressed with Zstandard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa

from catalog.pull.formats import exporter


@exporter("parquet")
def write(file: BinaryIO, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
    """Parquet files, compressed with Zstandard."""
    from pyarrow import parquet

    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for batch in batches:
            if batch.num_rows:
                writer.write_batch(batch)
