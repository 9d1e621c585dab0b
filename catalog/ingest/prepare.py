"""From a file to record batches that lack only their sample ids: read, map, hash, build columns.

Needs no catalog, so that it can run in a process of its own (`catalog.ingest.worker`) beside the one that writes.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from xxhash import xxh3_128_digest

from catalog.ingest.batches import Defaults, to_batch, writer_schema
from catalog.ingest.mapping import Mapped, Mapping, compile_mapping
from catalog.ingest.records import Chunk, Reject, Source, get_reader


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
    return Careful(job).prepared(get_reader(job.source.reader).read(job.source, job.place))


class Careful:
    """The lane that takes every record as it comes: chunks of raw records become batches."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.mapper = compile_mapping(job.mapping, job.source.options.max_record_bytes)
        self.schema = writer_schema(job.mapping.kind)

    def prepared(self, chunks: Iterable[Chunk]) -> Iterator[Prepared]:
        job, laps = self.job, Laps()
        mapped, ids, read = Mapped(), [], 0
        for chunk in chunks:
            laps.lap("read and parse")
            start = len(mapped.contents)
            self.mapper(chunk, mapped)
            laps.lap("map and hash content")
            keys = None if mapped.keys is None else mapped.keys[start:]
            ids += first_ids(job.name, job.source.label, keys, mapped.contents[start:])
            read += chunk.read
            laps.lap("sample ids")
            if chunk.flush:
                keyed = None if mapped.keys is None else np.array([key is not None for key in mapped.keys], bool)
                joined, contents = b"".join(ids), b"".join(mapped.contents)
                batch = to_batch(job.mapping.kind, mapped, joined, job.defaults, self.schema)
                laps.lap("build columns")
                yield Prepared(batch, joined, contents, keyed, mapped.rejects, chunk.next, read, laps.taken())
                mapped, ids, read = Mapped(), [], 0


class Laps:
    """Seconds by what they were spent on."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self.moment = time.perf_counter()

    def lap(self, what: str) -> None:
        now = time.perf_counter()
        self.spent[what] += now - self.moment
        self.moment = now

    def taken(self) -> dict[str, float]:
        """What was spent since the last call."""
        spent, self.spent, self.moment = dict(self.spent), defaultdict(float), time.perf_counter()
        return spent


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
