"""CSV and TSV, with or without a header line, with quoted fields that hold newlines.

The parser is Python's; it is fed line by line, so that the line and byte offset where each record starts are exact.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

from catalog.ingest.records import (
    BROKEN_ROW,
    CHUNK_ROWS,
    NOT_UTF8,
    OVERSIZE,
    Chunk,
    Reject,
    Source,
    excerpt,
    reader,
)
from catalog.ingest.streams import BLOCK, BrokenFile, Stream

NAME = re.compile(r"[^\W\d][\w .,/()#%+:?\-]{0,59}|_+\w*|#")
NUMBER = re.compile(r"\s*[-+]?(\d[\d,]*\.?\d*|\.\d+)([eE][-+]?\d+)?%?\s*")


@reader("delimited", suffixes=(".csv", ".tsv", ".psv"), growable=True)
def read(source: Source, at: dict[str, Any] | None) -> Iterator[Chunk]:
    """Chunks of records; `at` is {"offset", "line"} of the next record."""
    delimiter, names, has_header = layout(source)
    csv.field_size_limit(source.options.max_record_bytes)
    with Stream(source.uri, source.storage, at["offset"] if at else 0) as stream:
        feed = _Feed(stream, at)
        records = csv.reader(feed, delimiter=delimiter, strict=False)
        if has_header and not at:
            next(records, None)
        while (chunk := _chunk(records, feed, names, source)) is not None:
            yield chunk
            if feed.broken:
                raise feed.broken


class _Feed:
    """Lines of a stream as text. `offset` and `line` are those of the next line the parser will take."""

    def __init__(self, stream: Stream, at: dict[str, Any] | None) -> None:
        self.stream, self.offset, self.line = stream, at["offset"] if at else 0, at["line"] if at else 1
        self.lines: Iterator[bytes] = iter(())
        self.rest = b""
        self.broken: BrokenFile | None = None

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        line = next(self.lines, None)
        while line is None:
            try:
                block = self.stream.read(BLOCK)
            except BrokenFile as error:
                self.broken, self.rest = error, b""
                raise StopIteration from None
            if not block and not self.rest:
                raise StopIteration
            lines = (self.rest + block).splitlines(keepends=True) if block else [self.rest]
            lines = _only_newlines(lines)
            self.rest = lines.pop() if block and not lines[-1].endswith(b"\n") else b""
            self.lines = iter(lines)
            line = next(self.lines, None)
        first = self.offset == 0
        self.offset += len(line)
        self.line += 1
        text = line.decode("utf-8", "surrogateescape").replace("\x00", "\ufffd")
        return text.removeprefix("\ufeff") if first else text


def _only_newlines(lines: list[bytes]) -> list[bytes]:
    """bytes.splitlines also cuts at a lone carriage return; a block may end between the two halves of CRLF."""
    joined: list[bytes] = []
    for line in lines:
        if joined and joined[-1].endswith(b"\r"):
            joined[-1] += line
        else:
            joined.append(line)
    return joined


def _chunk(records: Any, feed: _Feed, names: list[str], source: Source) -> Chunk | None:
    limit, size = source.options.max_record_bytes, source.options.block_bytes
    rows: list[dict[str, Any]] = []
    lines, offsets, rejects, began, width, ended = [], [], [], feed.offset, len(names), False
    while len(rows) + len(rejects) < CHUNK_ROWS and feed.offset - began < size:
        line, offset = feed.line, feed.offset
        try:
            record = next(records)
        except StopIteration:
            ended = True
            break
        except csv.Error as error:
            long = "field larger" in str(error)
            detail = f"a field longer than {limit} bytes; is a quote left open?" if long else str(error)
            rejects.append(Reject(line, offset, OVERSIZE if long else BROKEN_ROW, detail, ""))
            continue
        if len(record) == width:
            row = dict(zip(names, record, strict=True))
            if problem := _bad_bytes(record):
                rejects.append(Reject(line, offset, NOT_UTF8, problem, excerpt(feed_text(record))))
                continue
            rows.append(row)
            lines.append(line)
            offsets.append(offset)
        elif record:
            detail = f"{len(record)} fields where {width} are expected"
            rejects.append(Reject(line, offset, BROKEN_ROW, detail, excerpt(feed_text(record))))
    if ended and not rows and not rejects and not feed.broken:
        return None
    following = {"offset": feed.offset, "line": feed.line}
    return Chunk(rows, lines, offsets, following, feed.offset - began, rejects)


def feed_text(record: list[str]) -> str:
    return ",".join(record)


def _bad_bytes(record: list[str]) -> str:
    for at, value in enumerate(record):
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError as error:
                return f"byte 0x{ord(value[error.start]) & 0xFF:02x} in field {at + 1}"
    return ""


def layout(source: Source) -> tuple[str, list[str], bool]:
    """Delimiter, column names and whether the first record is a header, from the options or the first records."""
    options = source.options
    delimiter = options.delimiter or ("\t" if ".tsv" in source.uri.lower() else None)
    with Stream(source.uri, source.storage) as stream:
        start = stream.read(1 << 20)
    csv.field_size_limit(options.max_record_bytes)
    text = start.decode("utf-8-sig", "replace").replace("\x00", "\ufffd")
    lines = text.splitlines(keepends=True)
    if len(start) == 1 << 20 and len(lines) > 1:
        lines.pop()
    delimiter = delimiter or _sniff(lines)
    sample: list[list[str]] = []
    with suppress(csv.Error):
        sample.extend(record for record in islice(csv.reader(lines, delimiter=delimiter), 60) if record)
    if not sample:
        return delimiter, list(options.columns), bool(options.header)
    header = options.header
    if header is None:
        header = has_header(sample) and not (options.columns and list(options.columns) != sample[0])
    names = list(options.columns) or (sample[0] if header else [f"c{at}" for at in range(len(sample[0]))])
    return delimiter, _distinct(names), header


def _sniff(lines: list[str]) -> str:
    """The delimiter that gives the most records of one equal width."""
    best, score = ",", (0.0, 0)
    for delimiter in ",\t;|":
        try:
            widths = [len(record) for record in islice(csv.reader(lines, delimiter=delimiter), 60) if record]
        except csv.Error:
            continue
        if not widths or max(widths) < 2:
            continue
        usual = max(set(widths), key=widths.count)
        found = (widths.count(usual) / len(widths) if usual > 1 else 0.0, usual)
        if found > score:
            best, score = delimiter, found
    return best


def has_header(sample: list[list[str]]) -> bool:
    """Whether the first record names columns: short, distinct, name-like cells that are not values of their columns."""
    first, rest = sample[0], [record for record in sample[1:] if len(record) == len(sample[0])]
    cells = [cell.strip() for cell in first]
    if len(set(cells)) < len(cells) or sum(not NAME.fullmatch(cell) for cell in cells if cell) or not any(cells):
        return False
    if cells.count("") > 1:  # pandas writes an index column without a name
        return False
    for at, cell in enumerate(cells):
        column = [record[at] for record in rest]
        if cell and len(cell) > 1 and cell in column:
            return False
    return all(len(cell) <= 60 and len(cell.split()) <= 5 for cell in cells)


def _distinct(names: list[str]) -> list[str]:
    out: list[str] = []
    for at, name in enumerate(name.strip() for name in names):
        name = name or f"c{at}"
        out.append(name if name not in out else f"{name}_{at}")
    return out
