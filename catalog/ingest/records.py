"""What readers produce: chunks of raw records with their places, and records that could not be read.

A reader is one file with one decorated function `read(source, at) -> Iterator[Chunk]`. A chunk is a few megabytes of
parsed records as dicts; `at` is the `next` of an earlier chunk, and reading goes on behind it. Nothing is dropped: a
record is either in `rows` or in `rejects`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from catalog.errors import BadInput, NotFound
from catalog.plugins import REGISTRY, load_plugins, register

CHUNK_ROWS = 8192
BROKEN_JSON = "broken JSON"
WRONG_TYPE = "wrong type"
MISSING_FIELD = "missing field"
EMPTY = "empty text"
NOT_UTF8 = "invalid UTF-8"
SURROGATE = "lone surrogate"
OVERSIZE = "oversize"
BROKEN_ROW = "broken row"
BROKEN_FILE = "broken file"
REASONS = (
    BROKEN_JSON, WRONG_TYPE, MISSING_FIELD, EMPTY, NOT_UTF8, SURROGATE, OVERSIZE, BROKEN_ROW, BROKEN_FILE
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that cannot become a sample. line: 1-based line or record number; offset: of its first byte."""

    line: int | None
    offset: int | None
    reason: str
    detail: str
    excerpt: str
    file: str = ""


@dataclass(slots=True)
class Chunk:
    """Records of one file in order. next: where reading goes on; read: bytes of the source behind this chunk.

    flush: what was read so far becomes a batch; small chunks are faster to parse, large batches to write.
    """

    rows: list[dict[str, Any]]
    lines: Sequence[int]
    offsets: Sequence[int] | None
    next: dict[str, Any]
    read: int = 0
    rejects: list[Reject] = field(default_factory=list)
    files: list[str] | None = None
    flush: bool = True


@dataclass(frozen=True)
class ReadOptions:
    """How files are read. All but `block_bytes` decide the outcome, so that a change of them reads a file again."""

    max_record_bytes: int = 16 << 20
    header: bool | None = None
    columns: tuple[str, ...] = ()
    delimiter: str | None = None
    block_bytes: int = 4 << 20


@dataclass(frozen=True)
class Source:
    """One input: its URI, the label that names it in ids (path below the given folder), and its reader.

    share: (part, parts): of the chunks, in order, yield only every parts-th, beginning with number `part`.
    """

    uri: str
    label: str
    reader: str
    options: ReadOptions = ReadOptions()
    storage: dict[str, str] = field(default_factory=dict, compare=False)
    share: tuple[int, int] = (0, 1)

    def with_options(self, **changes: Any) -> Source:
        return replace(self, options=replace(self.options, **changes))


Read = Callable[[Source, "dict[str, Any] | None"], Iterator[Chunk]]


@dataclass(frozen=True)
class Reader:
    """A file format. suffixes: of file names, without compression; growable: appended bytes are appended records.

    sniff: whether the first bytes of a file (decompressed, at most 4 kB) are of this format; asked for a file that is
    given by its own name or a glob, when no reader has its suffix. Ours come before those of plug-in packages.

    key: field the reader itself guarantees to name a record; folder: its source is a folder, not a file; shared: it
    honours `Source.share`, so that several processes can read one file.
    """

    name: str
    read: Read
    suffixes: tuple[str, ...]
    growable: bool
    key: str | None
    folder: bool
    shared: bool
    module: str
    sniff: Callable[[bytes], bool] | None = None


def reader(
    name: str,
    *,
    suffixes: Sequence[str] = (),
    growable: bool = False,
    key: str | None = None,
    folder: bool = False,
    shared: bool = False,
    sniff: Callable[[bytes], bool] | None = None,
) -> Callable[[Read], Read]:
    """Declare a reader."""

    def decorate(read: Read) -> Read:
        made = Reader(name, read, tuple(suffixes), growable, key, folder, shared, read.__module__, sniff)
        register("reader", name, made)
        return read

    return decorate


@cache
def _load() -> None:
    import importlib
    import pkgutil

    import catalog.ingest.readers as ours

    for info in pkgutil.iter_modules(ours.__path__, ours.__name__ + "."):
        importlib.import_module(info.name)


def readers() -> dict[str, Reader]:
    """Every reader by name: ours, and those of plug-in packages that are loaded."""
    _load()
    return dict(REGISTRY.get("reader", {}))


def all_readers() -> dict[str, Reader]:
    """Every reader there is: ours first, then those of plug-in packages, which are looked through for it."""
    ours = readers()
    load_plugins()
    return ours | readers()


def get_reader(name: str) -> Reader:
    known = readers()
    if name not in known:
        load_plugins()
        known = readers()
    if name not in known:
        raise NotFound("reader", name, known)
    return known[name]


def excerpt(record: bytes | str | Any) -> str:
    """At most 200 printable characters of a record, for the quarantine table."""
    if isinstance(record, bytes):
        record = record[:1000].decode("utf-8", "replace")
    elif not isinstance(record, str):
        from catalog.ingest.turns import to_json

        try:
            record = to_json(record)
        except UnicodeEncodeError:
            record = str(record)
    return record[:200].encode("utf-8", "replace").decode().replace("\x00", "\ufffd")


def label_of(path: str, root: str | None) -> str:
    """Name of a file in ids: relative to the folder the user gave, so that ids do not depend on the machine."""
    label = os.path.relpath(path, root) if root else os.path.basename(path.rstrip("/"))
    if not label:
        raise BadInput(f"{path!r} names no file")
    return label.replace(os.sep, "/")
