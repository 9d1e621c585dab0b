"""JSON lines, also compressed: one object a line.

Blocks of 4 MB are cut at the last newline and parsed a hundred lines at a time by one call of C code; only where there
is a bad line it goes the slow way, line by line. Blank lines are no records. NaN and Infinity, which are not JSON but are written by Python, are
accepted and become null where a field is kept as JSON.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import orjson

from catalog.errors import BadInput
from catalog.ingest.records import (
    BROKEN_JSON,
    NOT_UTF8,
    OVERSIZE,
    SURROGATE,
    WRONG_TYPE,
    Chunk,
    Reject,
    Source,
    excerpt,
    reader,
)
from catalog.ingest.streams import Stream

BOM = b"\xef\xbb\xbf"
STRIP = 1 << 16  # bytes of lines parsed at a time: what they become stays in the cache until it is copied out


@dataclass(frozen=True, slots=True)
class Block:
    """Bytes of a file up to its last newline at `cut`; the first line begins with the `size` bytes of `head`, of which
    only the start is kept when they are beyond the limit."""

    offset: int
    head: bytes
    size: int
    data: bytes
    cut: int

    def whole(self) -> bytes:
        """The block as whole lines."""
        return b"".join((self.head, memoryview(self.data)[: self.cut]))


@reader("jsonl", suffixes=(".jsonl", ".ndjson", ".jsonlines"), growable=True, shared=True)
def read(source: Source, at: dict[str, Any] | None) -> Iterator[Chunk]:
    """Chunks of whole lines; `at` is {"offset", "line"} of the next line. The last chunk of a block says so."""
    line, (part, parts) = at["line"] if at else 1, source.share
    for number, block in enumerate(blocks(source, at)):
        if number % parts == part:
            for chunk in read_block(block, line, source.options.max_record_bytes):
                line = chunk.next["line"]
                yield chunk
        else:
            line += block.data.count(b"\n", 0, block.cut)


def blocks(source: Source, at: dict[str, Any] | None) -> Iterator[Block]:
    """The file in blocks of some megabytes."""
    offset, limit = at["offset"] if at else 0, source.options.max_record_bytes
    with Stream(source.uri, source.storage, offset) as stream:
        held: list[bytes] = []
        size = 0  # bytes of the unfinished line in `held`
        for data in stream.blocks(source.options.block_bytes):
            if offset == 0 and not held:
                data = _check_start(data, source.uri)
                offset = stream.offset - len(data)
            cut = data.rfind(b"\n") + 1
            if not cut:
                size += len(data)
                held = [*held, data] if size <= limit else [b"".join(held)[:1000] or data[:1000]]
                continue
            yield Block(offset, b"".join(held), size, data, cut)
            offset += size + cut
            held, size = ([data[cut:]], len(data) - cut) if cut < len(data) else ([], 0)
        if held:
            yield Block(offset, b"".join(held), size, b"\n", 1)


def _check_start(block: bytes, uri: str) -> bytes:
    if block.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise BadInput(f"{uri} is UTF-16, not UTF-8; convert it first: iconv -f UTF-16 -t UTF-8")
    return block.removeprefix(BOM)


def read_block(block: Block, line: int, limit: int) -> Iterator[Chunk]:
    """The lines of a block, a few at a time; `line` is the number of the first."""
    offset, first = block.offset, block.data.index(b"\n") + 1
    file = io.BytesIO(block.data)  # shares the bytes
    file.seek(first)
    lines = _whole(file)
    if block.size > limit:
        whole = block.size + first
        reject = Reject(line, offset, OVERSIZE, f"{whole - 1} bytes, the limit is {limit}", excerpt(block.head))
        offset, line = offset + whole, line + 1
        yield Chunk([], [], [], {"offset": offset, "line": line}, whole, [reject], flush=not lines)
    else:
        lines.insert(0, block.head + block.data[:first])
    while lines:
        following = _whole(file)
        chunk = _chunk(lines, offset, line, limit)
        chunk.flush = not following
        offset, line, lines = chunk.next["offset"], chunk.next["line"], following
        yield chunk


def _whole(file: io.BytesIO) -> list[bytes]:
    """Some more lines, without an unfinished one at the end."""
    lines = file.readlines(STRIP)
    if lines and not lines[-1].endswith(b"\n"):
        lines.pop()
    return lines


def _chunk(lines: list[bytes], offset: int, line: int, limit: int) -> Chunk:
    lengths = list(map(len, lines))
    starts = list(accumulate(lengths, initial=offset))
    end = starts.pop()
    following = {"offset": end, "line": line + len(lines)}
    if max(lengths) <= limit:
        try:
            rows = list(map(orjson.loads, lines))
            if set(map(type, rows)) == {dict}:
                return Chunk(rows, range(line, line + len(rows)), starts, following, end - offset)
        except orjson.JSONDecodeError:
            pass
    rows, kept, rejects = [], [], []
    for index, item in enumerate(lines):
        item = item.rstrip(b"\r\n")
        if len(item) > limit:
            detail = f"{len(item)} bytes, the limit is {limit}"
            rejects.append(Reject(line + index, starts[index], OVERSIZE, detail, excerpt(item)))
        elif item and not item.isspace():
            parsed = parse_line(item)
            if isinstance(parsed, dict):
                rows.append(parsed)
                kept.append(index)
            else:
                rejects.append(Reject(line + index, starts[index], *parsed, excerpt(item)))
    return Chunk(
        rows, [line + index for index in kept], [starts[index] for index in kept], following, end - offset, rejects
    )


def parse_line(line: bytes) -> dict[str, Any] | tuple[str, str]:
    """The object on a line, or (reason, detail) of why there is none."""
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        row = _second_look(line, str(error))
        if isinstance(row, tuple):
            return row
    return row if isinstance(row, dict) else (WRONG_TYPE, f"a JSON {kind_of(row)}, not an object")


def _second_look(line: bytes, first: str) -> Any:
    """What the strict parser refused: broken bytes, NaN, lone surrogates or broken JSON."""
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        return NOT_UTF8, f"byte 0x{line[error.start]:02x} at position {error.start} of the line"
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        return BROKEN_JSON, first
    if has_surrogate(row):
        return SURROGATE, "a \\uD800-\\uDFFF escape without its other half"
    return row


def has_surrogate(value: Any) -> bool:
    """Whether a string anywhere in a parsed value cannot be written as UTF-8."""
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        return True
    return False


def kind_of(value: Any) -> str:
    names = {dict: "object", list: "array", str: "string", int: "number", float: "number", bool: "boolean"}
    return names.get(type(value), "null" if value is None else type(value).__name__)
