"""JSON that is not line by line: an array of objects, or one object that holds such an array (or is the record).

An array is parsed element by element over a sliding window, so that memory does not grow with the file. An element
that cannot be parsed breaks the file, because nothing says where the next one starts.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any

import orjson

from catalog.errors import BadInput
from catalog.ingest.readers.jsonl import has_surrogate, kind_of
from catalog.ingest.records import (
    CHUNK_ROWS,
    NOT_UTF8,
    SURROGATE,
    WRONG_TYPE,
    Chunk,
    Reject,
    Source,
    excerpt,
    reader,
)
from catalog.ingest.streams import BLOCK, BrokenFile, Stream, size_of

DECODER = json.JSONDecoder()
GAP = re.compile(r"[\s,]*")
WINDOW = 1 << 20
WHOLE = 256 << 20
ROOTS = ("data", "rows", "examples", "records", "items", "instances", "samples", "train")


@reader("json", suffixes=(".json",))
def read(source: Source, at: dict[str, Any] | None) -> Iterator[Chunk]:
    """Chunks of elements; `at` is {"offset", "line"} behind an element of the array, or the count of records done."""
    with Stream(source.uri, source.storage) as stream:
        start = stream.read(4096).lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith(b"["):
        yield from _array(source, at)
    elif start.startswith(b"{"):
        yield from _object(source, at["line"] - 1 if at else 0)
    elif start:
        raise BrokenFile(f"{source.uri} is neither a JSON array nor an object; give --format if it is something else")


def is_lines(source: Source) -> bool:
    """Whether a .json file is JSON lines: its first line is a whole object and another record follows."""
    with Stream(source.uri, source.storage) as stream:
        head = stream.read(BLOCK)
    first, newline, rest = head.lstrip(b"\xef\xbb\xbf \t\r\n").partition(b"\n")
    try:
        return bool(newline) and isinstance(json.loads(first), dict) and rest.lstrip()[:1] in (b"{", b"")
    except ValueError:
        return False


class _Window:
    """Decoded text of a stream from `pos` on. Bytes that are no UTF-8 become surrogates, which the mapper rejects."""

    def __init__(self, stream: Stream, offset: int) -> None:
        self.stream, self.text, self.pos, self.offset, self.ended = stream, "", 0, offset, False
        self.decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode

    def more(self) -> bool:
        """Read on; False at the end."""
        data = self.stream.read(max(WINDOW, len(self.text) - self.pos))
        self.text, self.pos, self.ended = self.text[self.pos :] + self.decode(data, not data), 0, not data
        return not self.ended

    def skip(self, end: int) -> None:
        self.offset += len(self.text[self.pos : end].encode("utf-8", "surrogateescape"))
        self.pos = end

    def gap(self) -> str:
        """Skip white space and commas; the next character, "" at the end."""
        while True:
            self.skip(GAP.match(self.text, self.pos).end())  # type: ignore[union-attr]
            if self.pos < len(self.text):
                return self.text[self.pos]
            if self.ended or not self.more():
                return ""


def _array(source: Source, at: dict[str, Any] | None) -> Iterator[Chunk]:
    offset, line = (at["offset"], at["line"]) if at else (0, 1)
    limit = source.options.max_record_bytes
    with Stream(source.uri, source.storage, offset) as stream:
        window = _Window(stream, offset)
        if not at:
            if window.gap() == "\ufeff":
                window.skip(window.pos + 1)
            window.gap()
            window.skip(window.pos + 1)  # the opening bracket
        rows: list[dict[str, Any]] = []
        lines, offsets, rejects, began, broken = [], [], [], window.offset, None
        while True:
            try:
                if (sign := window.gap()) == "]":
                    break
                if not sign:
                    raise BrokenFile(f"{source.uri}: the array is not closed; it is cut off after {line - 1} records")
                value, end = _element(window, limit, source.uri, line)
            except BrokenFile as error:
                broken = error
                break
            if problem := _problem(value):
                rejects.append(Reject(line, window.offset, *problem, excerpt(window.text[window.pos : end])))
            else:
                rows.append(value)
                lines.append(line)
                offsets.append(window.offset)
            window.skip(end)
            line += 1
            if len(rows) + len(rejects) >= CHUNK_ROWS or window.offset - began > source.options.block_bytes:
                following = {"offset": window.offset, "line": line}
                yield Chunk(rows, lines, offsets, following, window.offset - began, rejects)
                rows, lines, offsets, rejects, began = [], [], [], [], window.offset
        if rows or rejects:
            following = {"offset": window.offset, "line": line}
            yield Chunk(rows, lines, offsets, following, window.offset - began, rejects)
        if broken:
            raise broken


def _element(window: _Window, limit: int, uri: str, line: int) -> tuple[Any, int]:
    """The element at the window's position and where it ends, reading on while it is not whole."""
    while True:
        try:
            value, end = DECODER.raw_decode(window.text, window.pos)
            if end < len(window.text) or window.ended:
                return value, end
            reason = "it is cut off"
        except (ValueError, RecursionError) as error:
            reason = str(error)
        if len(window.text) - window.pos > 2 * limit:
            reason, window.ended = f"it is broken or longer than {limit} bytes", True
        if window.ended or not window.more():
            raise BrokenFile(
                f"{uri}: record {line} at byte {window.offset} cannot be parsed ({reason}); mend the file, or keep the "
                "records before it with --keep-going",
                offset=window.offset,
            )


def _object(source: Source, done: int) -> Iterator[Chunk]:
    if size_of(source.uri, source.storage) > WHOLE:
        raise BadInput(
            f"{source.uri} is one JSON object of more than {WHOLE >> 20} MB; write its records as JSON lines"
        )
    with Stream(source.uri, source.storage) as stream:
        body = b"".join(stream.blocks())
    try:
        value = json.loads(body.decode("utf-8-sig", "surrogateescape"))
    except (ValueError, RecursionError) as error:
        raise BrokenFile(f"{source.uri} is not JSON: {error}; mend the file") from None
    records = _records(value)
    for start in range(done, len(records), CHUNK_ROWS):
        part = records[start : start + CHUNK_ROWS]
        problems = [_problem(item) for item in part]
        rows = [item for item, problem in zip(part, problems, strict=True) if not problem]
        lines = [start + 1 + at for at, problem in enumerate(problems) if not problem]
        rejects = [
            Reject(start + 1 + at, None, *problem, excerpt(part[at])) for at, problem in enumerate(problems) if problem
        ]
        read = len(body) * len(part) // len(records)
        yield Chunk(rows, lines, None, {"offset": 0, "line": start + len(part) + 1}, read, rejects)


def _problem(value: Any) -> tuple[str, str] | None:
    """Why an element is no record: not an object, or a string in it that UTF-8 cannot hold."""
    if not isinstance(value, dict):
        return WRONG_TYPE, f"a JSON {kind_of(value)}, not an object"
    try:
        orjson.dumps(value)
        return None
    except TypeError:
        if not has_surrogate(value):
            return None
    found = re.search("[\ud800-\udfff]", json.dumps(value, ensure_ascii=False))
    code = ord(found[0]) if found else 0
    if 0xDC80 <= code <= 0xDCFF:  # how surrogateescape keeps a byte that is no UTF-8
        return NOT_UTF8, f"byte 0x{code & 0xFF:02x}"
    return SURROGATE, "a \\uD800-\\uDFFF escape without its other half"


def _records(value: dict[str, Any]) -> list[Any]:
    """The list of records in an object: a well-known or the only list of objects; else the object is the record."""
    lists = {
        name: item for name, item in value.items() if isinstance(item, list) and item and isinstance(item[0], dict)
    }
    for name in ROOTS:
        if name in lists:
            return [part for item in lists[name] for part in _paragraphs(item)]
    nested_only = len(lists) == 1 and len(value) == 1
    return next(iter(lists.values())) if nested_only else [value]


def _paragraphs(item: Any) -> list[Any]:
    """SQuAD-shaped articles become their paragraphs, each with the title."""
    if isinstance(item, dict) and isinstance(item.get("paragraphs"), list) and len(item) <= 3:
        rest = {name: value for name, value in item.items() if name != "paragraphs"}
        return [{**rest, **part} if isinstance(part, dict) else part for part in item["paragraphs"]]
    return [item]
