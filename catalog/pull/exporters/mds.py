"""MDS, the shard format of MosaicML Streaming (version 2), with its index.json.

A shard is: the number of samples, where each begins and the last ends (uint32), the columns as JSON, the samples. A sample
is the sizes of its columns of variable size (uint32), then the values, in the order of the columns' names.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from catalog.errors import BadInput
from catalog.pull.formats import exporter

LARGEST = (1 << 32) - 1


def encoding(field: pa.Field) -> tuple[str, int | None]:
    """Encoding and fixed size of a column. Numbers that may be missing, and all that is nested, are JSON."""
    kind = field.type
    if pa.types.is_floating(kind):
        return "float64", 8
    if field.name in ("_index", "_part", "_epoch"):
        return str(kind), kind.bit_width // 8
    return (
        ("str", None) if field.name == "text" or (pa.types.is_string(kind) and not field.nullable) else ("json", None)
    )


def columns(schema: pa.Schema) -> dict[str, Any]:
    """What a shard and the index say of the columns."""
    names = sorted(schema.names)
    found = [encoding(schema.field(name)) for name in names]
    return {
        "column_encodings": [name for name, _ in found], "column_names": names,
        "column_sizes": [size for _, size in found], "compression": None, "format": "mds", "hashes": ["sha256"],
        "size_limit": None, "version": 2,
    }  # fmt: skip


def _values(array: pa.Array, how: str) -> list[bytes]:
    if how == "str":
        return [(value or "").encode() for value in array.to_pylist()]
    if how == "json":
        return [json.dumps(value).encode() for value in array.to_pylist()]
    made = array.to_numpy(zero_copy_only=False).astype(how)  # a null float is NaN
    return [value.tobytes() for value in made]


def finish(folder: Path, manifest: dict[str, Any]) -> list[str]:
    """The index over the shards; one without samples is left out."""
    shards = []
    for shard in manifest["shards"]:
        if shard["rows"]:
            path = folder / shard["file"]
            raw = {"basename": path.name, "bytes": path.stat().st_size, "hashes": {"sha256": shard["sha256"]}}
            shards.append({**_head(path), "raw_data": raw, "samples": shard["rows"], "zip_data": None})
    (folder / "index.json").write_text(json.dumps({"shards": shards, "version": 2}, sort_keys=True), "utf-8")
    return ["index.json"]


def _head(path: Path) -> dict[str, Any]:
    """The JSON of a shard: it stands between the offsets and the first sample."""
    with open(path, "rb") as file:
        count, first = np.frombuffer(file.read(8), "<u4").tolist()
        begin = 4 * (count + 2)
        file.seek(begin)
        return json.loads(file.read(first - begin))


@exporter("mds", finish=finish)
def write(file: BinaryIO, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
    """MosaicML Streaming shards with index.json. A missing text is empty; other missing values are JSON null."""
    facts = columns(schema)
    names, how, fixed = facts["column_names"], facts["column_encodings"], facts["column_sizes"]
    sizes: list[int] = []
    with tempfile.TemporaryFile() as samples:  # the offsets stand before the samples, and their number is not known yet
        for batch in batches:
            values = [_values(batch.column(name), kind) for name, kind in zip(names, how, strict=True)]
            for row in zip(*values, strict=True):
                head = np.array([len(v) for v, size in zip(row, fixed, strict=True) if size is None], "<u4").tobytes()
                sizes.append(samples.write(head + b"".join(row)))
        config = json.dumps(facts, sort_keys=True).encode()
        begin = 4 * (len(sizes) + 2) + len(config)
        offsets = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64) + begin
        if offsets[-1] > LARGEST:
            raise BadInput(f"an MDS shard holds at most 4 GiB, this one has {offsets[-1]:,} bytes; lower shard_rows")
        file.write(np.array([len(sizes)], "<u4").tobytes() + offsets.astype("<u4").tobytes() + config)
        samples.seek(0)
        shutil.copyfileobj(samples, file, 1 << 20)
