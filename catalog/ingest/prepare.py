"""From a file to record batches that lack only their sample ids: read, map, hash, build columns.

Needs no catalog, so that it can run in a process of its own (`catalog.ingest.worker`) beside the one that writes.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from xxhash import xxh3_128_digest

from catalog.ingest.batches import Defaults, to_batch, writer_schema
from catalog.ingest.mapping import Mapped, Mapping, compile_mapping
from catalog.ingest.records import Reject, Source, get_reader


@dataclass(frozen=True)
class Job:
    """One file to read from `place` on. name: the source name that sample ids begin with."""

    source: Source
    mapping: Mapping
    name: str
    defaults: Defaults
    place: dict[str, Any] | None


@dataclass(slots=True)
class Prepared:
    """A chunk as columns. ids, contents: 16 bytes a row; keyed: which rows have a key (None: no row has one)."""

    batch: pa.RecordBatch
    ids: bytes
    contents: bytes
    keyed: np.ndarray | None
    rejects: list[Reject]
    next: dict[str, Any]
    read: int
    seconds: dict[str, float] = field(default_factory=dict)


def prepare(job: Job) -> Iterator[Prepared]:
    """Chunks of a file, in order. Raises what the reader raises, behind the chunks before it."""
    mapper = compile_mapping(job.mapping, job.source.options.max_record_bytes)
    schema = writer_schema(job.mapping.kind)
    spent: dict[str, float] = defaultdict(float)
    moment = time.perf_counter()

    def lap(what: str) -> None:
        nonlocal moment
        now = time.perf_counter()
        spent[what] += now - moment
        moment = now

    mapped, ids, read = Mapped(), [], 0
    for chunk in get_reader(job.source.reader).read(job.source, job.place):
        lap("read and parse")
        start = len(mapped.contents)
        mapper(chunk, mapped)
        lap("map and hash content")
        keys = None if mapped.keys is None else mapped.keys[start:]
        ids += first_ids(job.name, job.source.label, keys, mapped.contents[start:])
        read += chunk.read
        lap("sample ids")
        if chunk.flush:
            keyed = None if mapped.keys is None else np.array([key is not None for key in mapped.keys], bool)
            joined = b"".join(ids)
            batch = to_batch(job.mapping.kind, mapped, joined, job.defaults, schema)
            contents, rejects = b"".join(mapped.contents), mapped.rejects
            lap("build columns")
            yield Prepared(batch, joined, contents, keyed, rejects, chunk.next, read, dict(spent))
            spent.clear()
            mapped, ids, read, moment = Mapped(), [], 0, time.perf_counter()


def first_ids(name: str, label: str, keys: list[str | None] | None, contents: list[bytes]) -> list[bytes]:
    """The ids that records have if nobody else has them: of (source, key), else of (source, label, content)."""
    by_content = b"%s\0c\0%s\0" % (name.encode(), label.encode())
    if keys is None:
        return [xxh3_128_digest(by_content + content) for content in contents]
    by_key = name.encode() + b"\0k\0"
    return [
        xxh3_128_digest(by_content + content if key is None else by_key + key.encode())
        for key, content in zip(keys, contents, strict=True)
    ]
