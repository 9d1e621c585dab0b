"""JSON lines, also compressed: one object a line.

Blocks of 4 MB are cut at the last newline and parsed in one pass of C code; only a block with a bad line goes the slow
way, line by line. Blank lines are no records. NaN and Infinity, which are not JSON but are written by Python, are
accepted and become null where a field is kept as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
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
    places,
    reader,
)
from catalog.ingest.streams import Stream

BOM = b"\xef\xbb\xbf"


@reader("jsonl", suffixes=(".jsonl", ".ndjson", ".jsonlines"), growable=True)
def read(source: Source, at: dict[str, Any] | None) -> Iterator[Chunk]:
    """Chunks of whole lines; `at` is {"offset", "line"} of the next line."""
    offset, line = (at["offset"], at["line"]) if at else (0, 1)
    limit = source.options.max_record_bytes
    with Stream(source.uri, source.storage, offset) as stream:
        held: list[bytes] = []
        size = 0  # bytes of the unfinished line in `held`; beyond the limit only its start is kept
        for block in stream.blocks(source.options.block_bytes):
            if offset == 0 and not held:
                block = _check_start(block, source.uri)
                offset = stream.offset - len(block)
            cut = block.rfind(b"\n")
            if cut < 0:
                size += len(block)
                held = [*held, block] if size <= limit else [b"".join(held)[:1000] or block[:1000]]
                continue
            chunk = _chunk(held, size, block[:cut], offset, line, limit)
            offset, line = chunk.next["offset"], chunk.next["line"]
            yield chunk
            held, size = ([block[cut + 1 :]], len(block) - cut - 1) if cut + 1 < len(block) else ([], 0)
        if held:
            yield _chunk(held, size, b"", offset, line, limit, last=True)


def _check_start(block: bytes, uri: str) -> bytes:
    if block.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise BadInput(f"{uri} is UTF-16, not UTF-8; convert it first: iconv -f UTF-16 -t UTF-8")
    return block.removeprefix(BOM)


def _chunk(held: list[bytes], size: int, body: bytes, offset: int, line: int, limit: int, last: bool = False) -> Chunk:
    """Lines of `body`, the first of which goes on an unfinished line."""
    lines = body.split(b"\n")
    lengths = np.fromiter(map(len, lines), np.int64, len(lines))
    lengths[0] += size
    if lengths[0] <= limit:
        lines[0] = b"".join(held) + lines[0]
    else:
        lines[0] = (b"".join(held) + lines[0])[:1000]
    ends = offset + np.cumsum(lengths + 1)
    starts = ends - lengths - 1
    following = {"offset": int(ends[-1]) - last, "line": line + len(lines)}
    read = following["offset"] - offset
    if lengths.max() <= limit:
        try:
            rows = list(map(orjson.loads, lines))
            if set(map(type, rows)) == {dict}:
                return Chunk(rows, places(line, len(rows)), starts, following, read)
        except orjson.JSONDecodeError:
            pass
    rows, kept, rejects = [], [], []
    for index, item in enumerate(lines):
        if lengths[index] > limit:
            detail = f"{lengths[index]} bytes, the limit is {limit}"
            rejects.append(Reject(line + index, int(starts[index]), OVERSIZE, detail, excerpt(item)))
        elif item and not item.isspace():
            parsed = parse_line(item)
            if isinstance(parsed, dict):
                rows.append(parsed)
                kept.append(index)
            else:
                rejects.append(Reject(line + index, int(starts[index]), *parsed, excerpt(item)))
    at = np.array(kept, np.int64)
    return Chunk(rows, at + line, starts[at], following, read, rejects)


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
