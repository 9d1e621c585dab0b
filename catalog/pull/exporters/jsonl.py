"""JSON lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import orjson
import pyarrow as pa

from catalog.pull.formats import exporter


@exporter("jsonl")
def write(file: BinaryIO, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
    """One JSON object a line."""
    for batch in batches:
        for row in batch.to_pylist():
            file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
