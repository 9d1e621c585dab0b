"""A lane for regular JSON lines: documents whose records all have the same flat fields of the same types.

Arrow parses a whole block into columns without making a Python object a value, and without the interpreter's lock, so
that threads share the work. What it produces equals what the careful lane (`catalog.ingest.mapping`) produces, record
by record: wherever that is not certain (another field, another type, a null, a blank line, an invalid byte, an empty
text ...) the block is cut smaller, and the piece that is irregular takes the careful lane.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from xxhash import xxh3_128_digest

from catalog.digests import hex_array
from catalog.ingest.batches import Defaults, int_array, utf8_array
from catalog.ingest.mapping import Mapping, _parse_date

SAMPLE = 200
TYPES = {str: pa.string(), int: pa.int64(), bool: pa.bool_(), float: pa.float64()}
NEWLINE, OPEN, CLOSE = 10, ord("{"), ord("}")
MAY_BE_SPACE = np.zeros(256, bool)
"""First bytes of white space in UTF-8: the ASCII ones, and those of U+0085, U+00A0, U+1680, U+2000 ... and U+3000."""
MAY_BE_SPACE[:33] = True
MAY_BE_SPACE[[0xC2, 0xE1, 0xE2, 0xE3]] = True
ESCAPED = re.compile(r"[\\\x00-\x1f]")
FORMATS = {pa.string(): '"%s"', pa.int64(): "%d"}


@dataclass(frozen=True)
class Regular:
    """The fields of regular records, in order, and which of them are the text, the key and provenance columns."""

    schema: pa.Schema
    text: str
    key: str | None
    row: dict[str, str]
    kept: tuple[str, ...]  # fields that stay in meta


@dataclass(frozen=True)
class Lines:
    """Whole lines of a file. ends: index behind each line's newline; offset and line: of the first."""

    data: bytes
    ends: np.ndarray
    offset: int
    line: int

    def pieces(self, count: int) -> list[Lines]:
        """The same lines in up to `count` pieces."""
        cuts = np.unique(np.linspace(0, len(self.ends), count + 1).astype(int))
        out = []
        for low, high in pairwise(cuts.tolist()):
            start, end = int(self.ends[low - 1]) if low else 0, int(self.ends[high - 1])
            ends = self.ends[low:high] - start
            out.append(Lines(self.data[start:end], ends, self.offset + start, self.line + low))
        return out


def lines_of(data: bytes, offset: int, line: int) -> Lines:
    """Lines of bytes that end with a newline."""
    return Lines(data, np.flatnonzero(np.frombuffer(data, np.uint8) == NEWLINE) + 1, offset, line)


def find_regular(lines: Lines, mapping: Mapping) -> Regular | None:
    """The shape of the first records, if it is one this lane takes."""
    if mapping.dialect != "text" or any("." in name for name in (*mapping.fields.values(), *mapping.row.values())):
        return None
    first = lines.data[: int(lines.ends[min(SAMPLE, len(lines.ends)) - 1])] if len(lines.ends) else b""
    try:
        rows = [orjson.loads(line) for line in first.splitlines()]
    except orjson.JSONDecodeError:
        return None
    if not rows or not all(isinstance(row, dict) for row in rows):
        return None
    text, columns = mapping.fields["text"], set(mapping.row.values())
    fields: list[pa.Field] = []
    for name in dict.fromkeys(name for row in rows for name in row):
        types = {type(row.get(name)) for row in rows} - ({type(None)} if name in columns else set())
        if types == {int, float}:
            types = {float}
        kind = TYPES.get(next(iter(types))) if len(types) == 1 else None
        if kind is None or (name in {text, *columns} and kind != pa.string()) or "\x00" in name:
            return None
        fields.append(pa.field(name, kind))
    names = [field.name for field in fields]
    key = mapping.key
    if text not in names or (key is not None and (key not in names or key in columns or key == text)):
        return None
    if key is not None and fields[names.index(key)].type not in (pa.string(), pa.int64()):
        return None
    kept = tuple(name for name in names if name != text and name not in columns)
    return Regular(pa.schema(fields), text, key, dict(mapping.row), kept)


def parse(lines: Lines, shape: Regular, limit: int) -> pa.Table | None:
    """The lines as a table; None where one of them is not regular."""
    import pyarrow.json as reader

    data, ends = np.frombuffer(lines.data, np.uint8), lines.ends
    starts = np.concatenate([[0], ends[:-1]])
    lengths = ends - starts
    if (
        lengths.min() < 3
        or lengths.max() > limit
        or not (data[starts] == OPEN).all()
        or not (data[ends - 2] == CLOSE).all()
    ):
        return None
    try:
        table = reader.read_json(
            pa.BufferReader(lines.data),
            read_options=reader.ReadOptions(use_threads=False, block_size=len(lines.data) + 1),
            parse_options=reader.ParseOptions(explicit_schema=shape.schema, unexpected_field_behavior="error"),
        )
    except (pa.ArrowException, ValueError):
        return None
    columns = set(shape.row.values())
    if table.num_rows != len(ends) or table.schema.names != shape.schema.names:
        return None
    if any(table.column(name).null_count for name in table.schema.names if name not in columns):
        return None
    table = table.combine_chunks()
    try:
        table.validate(full=True)
    except pa.ArrowInvalid:
        return None  # a byte that is no UTF-8
    return table if _has_text(table.column(shape.text).chunk(0)) else None


def _has_text(text: pa.StringArray) -> bool:
    """Whether every text has a character that is no white space; nearly all show it by their first byte."""
    offsets, data = np.frombuffer(text.buffers()[1], np.int32), text.buffers()[2]
    if (np.diff(offsets) == 0).any():
        return False
    first = np.frombuffer(data, np.uint8)[offsets[:-1]]
    view = memoryview(data)
    for at in np.flatnonzero(MAY_BE_SPACE[first]).tolist():
        start = int(offsets[at])
        if bytes(view[start : start + 4]).decode("utf-8", "ignore")[:1].isspace() and text[at].as_py().isspace():
            return False
    return True


def columns_of(
    table: pa.Table, lines: Lines, shape: Regular, defaults: Defaults, schema: pa.Schema,
    first_ids: Callable[[list[str | None] | None, list[bytes]], list[bytes]],
) -> tuple[pa.RecordBatch, bytes, bytes, np.ndarray | None] | None:  # fmt: skip
    """The batch, its first sample ids and content digests, and which rows have a key."""
    text = table.column(shape.text).chunk(0)
    offsets, data = np.frombuffer(text.buffers()[1], np.int32).tolist(), memoryview(text.buffers()[2])
    contents = [xxh3_128_digest(data[start:end]) for start, end in pairwise(offsets)]
    keys = _keys(table, shape)
    meta = _meta(table, lines, shape, keys)
    if meta is None:
        return None
    count = len(contents)
    ids, joined = b"".join(first_ids(keys, contents)), b"".join(contents)
    columns: dict[str, Any] = {
        "sample_id": hex_array(ids),
        "content_id": hex_array(joined),
        "text": text,
        "source": _column(table, shape, "source", defaults.source),
        "licence": _column(table, shape, "licence", defaults.licence),
        "url": _column(table, shape, "url"),
        "author": _column(table, shape, "author"),
        "created": _column(table, shape, "created"),
        "file": pa.repeat(pa.scalar(defaults.file, pa.string()), count),
        "line": int_array(np.arange(lines.line, lines.line + count, dtype=np.int64), pa.int64()),
        "offset": int_array(np.concatenate([[0], lines.ends[:-1]]) + lines.offset, pa.int64()),
        "meta": meta,
        "added": int_array(np.full(count, defaults.number, np.int32), pa.int32()),
        "chars": pc.utf8_length(text),
    }
    keyed = None if keys is None else np.array([key is not None for key in keys], bool)
    return pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema), ids, joined, keyed


def _keys(table: pa.Table, shape: Regular) -> list[str | None] | None:
    if shape.key is None:
        return None
    values = table.column(shape.key).to_pylist()
    return (
        [value or None for value in values]
        if shape.schema.field(shape.key).type == pa.string()
        else list(map(str, values))
    )


def _column(table: pa.Table, shape: Regular, name: str, default: str | None = None) -> pa.Array:
    source = shape.row.get(name)
    if source is None or source not in table.schema.names:
        count = table.num_rows
        return pa.nulls(count, pa.string()) if default is None else pa.repeat(pa.scalar(default, pa.string()), count)
    values = table.column(source).chunk(0)
    if name == "created":
        return pa.array([value and _parse_date(value) for value in values.to_pylist()], pa.string())
    return values if default is None else pc.fill_null(values, default)


def _meta(table: pa.Table, lines: Lines, shape: Regular, keys: list[str | None] | None) -> pa.StringArray | None:
    """What is left of each record, as JSON; None where a number cannot be told from its literal."""
    if not shape.kept:
        return pa.nulls(table.num_rows, pa.string())
    columns: dict[str, list[Any]] = {}
    for name in shape.kept:
        values = table.column(name)
        if name == shape.key and keys is not None and None not in keys and values.type == pa.string():
            columns[name] = keys
        elif values.type == pa.float64():
            found = _numbers(values, name, lines)
            if found is None:
                return None
            columns[name] = found
        else:
            columns[name] = values.to_pylist()
    formats = {name: FORMATS.get(table.schema.field(name).type) for name in shape.kept}
    if all(formats.values()) and (made := _formatted(columns, formats)) is not None:
        return made
    names = shape.kept
    return utf8_array([orjson.dumps(dict(zip(names, row, strict=True))) for row in zip(*columns.values(), strict=True)])


def _formatted(columns: dict[str, list[Any]], formats: dict[str, Any]) -> pa.StringArray | None:
    """Objects of strings and whole numbers, written at once; None where a character would have to be escaped."""
    parts = [orjson.dumps(name).decode().replace("%", "%%") + ":" + formats[name] for name in columns]
    template = "{" + ",".join(parts) + "}"
    rows = [template % row for row in zip(*columns.values(), strict=True)]
    body = "".join(rows)
    if body.count('"') != template.count('"') * len(rows) or ESCAPED.search(body):
        return None
    if not body.isascii():
        return utf8_array(list(map(str.encode, rows)))
    offsets = np.zeros(len(rows) + 1, np.int32)
    np.cumsum(np.fromiter(map(len, rows), np.int32, len(rows)), out=offsets[1:])
    return pa.StringArray.from_buffers(len(rows), pa.py_buffer(offsets), pa.py_buffer(body.encode()), None, 0)


def _numbers(values: pa.ChunkedArray, name: str, lines: Lines) -> list[Any] | None:
    """Floating-point values as their lines have them: 1 or 1.0. None where one is beyond all numbers."""
    numbers = values.to_numpy()
    if not np.isfinite(numbers).all():
        return None
    listed = numbers.tolist()
    for at in np.flatnonzero(numbers == np.floor(numbers)).tolist():
        start = int(lines.ends[at - 1]) if at else 0
        listed[at] = orjson.loads(lines.data[start : int(lines.ends[at])])[name]
    return listed
