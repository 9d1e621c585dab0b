"""WebDataset: tar shards in which the files of one sample share a name: NNN.json, and NNN.txt where it has a text."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from typing import BinaryIO

import orjson
import pyarrow as pa

from catalog.pull.formats import exporter


@exporter("webdataset", suffix="tar")
def write(file: BinaryIO, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
    """WebDataset tar shards: one .json a sample, its text as .txt; the key is the global index."""
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as shard:
        for batch in batches:
            for row in batch.to_pylist():
                key, text = f"{row['_index']:012d}", row.pop("text", None)
                _add(shard, f"{key}.json", orjson.dumps(row))
                if text is not None:
                    _add(shard, f"{key}.txt", text.encode())


def _add(shard: tarfile.TarFile, name: str, body: bytes) -> None:
    """No time, no owner: equal exports are equal bytes."""
    held = tarfile.TarInfo(name)
    held.size = len(body)
    shard.addfile(held, io.BytesIO(body))
