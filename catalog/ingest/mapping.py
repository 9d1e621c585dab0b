"""A mapping says how records become samples: kind, dialect, which field plays which role, which field is the key.

Compiled, it is a function from a chunk of records to columns. Kind `text` has a lane of its own that works on whole
columns; a chunk with an irregular record, and every other kind, goes record by record.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson
from xxhash import xxh3_128_digest, xxh3_128_hexdigest

from catalog.digests import content_digest, sorted_json
from catalog.ingest.dialect import Convert, Row, get_dialect
from catalog.ingest.records import OVERSIZE, SURROGATE, Chunk, Reject, excerpt
from catalog.ingest.turns import Unusable, json_bytes
from catalog.schema import OWN

ROW_FIELDS = {
    "url": ("url", "source_url", "link", "uri", "page_url", "web_url", "warc_target_uri", "permalink"),
    "author": ("author", "authors", "creator", "byline", "username"),
    "created": ("created", "created_at", "date", "timestamp", "crawl_date", "published", "published_at", "publish_date",
                "date_published", "creation_date"),
    "licence": ("licence", "license"),
    "source": (),
}  # fmt: skip
"""Provenance columns and the field names they are taken from without being told; `source` only on request."""
KEYS = (
    "id", "uid", "uuid", "guid", "doc_id", "docid", "document_id", "sample_id", "example_id", "task_id", "question_id",
    "prompt_id", "conversation_id", "row_id", "record_id", "warc_record_id", "key", "hash", "sha", "sha1", "sha256", "md5",
)  # fmt: skip
ABSENT: Any = object()
VERSION = 1
"""Counts changes of what a mapping produces; part of its digest, so that files are read again after one."""


@dataclass(frozen=True)
class Mapping:
    """How the records of a file become samples. preview: rendered rows, for people."""

    kind: str
    dialect: str
    fields: dict[str, str]
    row: dict[str, str] = field(default_factory=dict)
    key: str | None = None
    confidence: float = 1.0
    why: str = ""
    reader: str = ""
    columns: tuple[str, ...] = field(default=(), compare=False)
    preview: tuple[dict[str, Any], ...] = field(default=(), compare=False, repr=False)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def digest(self) -> str:
        """Of what decides the outcome; confidence and reasons do not."""
        parts = [VERSION, self.kind, self.dialect, self.fields, self.row, self.key, self.reader]
        return xxh3_128_hexdigest(sorted_json(parts))


@dataclass(slots=True)
class Mapped:
    """Columns of the records that became samples, filled chunk by chunk.

    encoded: UTF-8 of text; chars: its length in characters; contents: 16-byte digests; own: columns of the kind; row:
    provenance columns; keys: None where no record has one.
    """

    encoded: list[bytes] = field(default_factory=list)
    chars: list[int] = field(default_factory=list)
    contents: list[bytes] = field(default_factory=list)
    own: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    row: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    keys: list[str | None] | None = None
    meta: list[bytes | None] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    offsets: list[int | None] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)


Mapper = Callable[[Chunk, Mapped], None]


def compile_mapping(mapping: Mapping, limit: int = 16 << 20) -> Mapper:
    """One closure for this dialect and these fields: it adds the records of a chunk to what was mapped before."""
    convert = get_dialect(mapping.dialect).compile(mapping.fields)
    columns, kind, key = mapping.row, mapping.kind, mapping.key
    text_field = mapping.fields["text"] if mapping.dialect == "text" else None
    nested = [name for name in {*mapping.fields.values(), *columns.values(), key or ""} if "." in name]

    def mapper(chunk: Chunk, out: Mapped) -> None:
        out.rejects += chunk.rejects
        for path in nested:
            _hoist(chunk.rows, path)
        most = 0 if chunk.read <= limit and chunk.offsets is not None else limit
        if not (text_field and _documents(chunk.rows, text_field, most, out)):
            chunk = _one_by_one(chunk, convert, kind, limit, out)
        rows = chunk.rows
        if key:
            out.keys = out.keys or []
            out.keys += _keys(rows, key)
        for name, source in columns.items():
            out.row[name] += _provenance(rows, source, name)
        metas = _metas(rows)
        out.meta += metas
        if kind == "knowledge":
            out.contents += [content_digest(kind, {"meta": meta or b"{}"}) for meta in metas]
        out.lines += chunk.lines
        out.offsets += chunk.offsets if chunk.offsets is not None else [None] * len(rows)
        if chunk.files:
            out.files += chunk.files

    return mapper


def _documents(rows: list[Row], name: str, limit: int, out: Mapped) -> bool:
    """Take the texts out of the rows if every record is regular; else leave all as it is and say False.

    limit: bytes of a text, 0 where the chunk is no longer than that.
    """
    texts = [row.pop(name, ABSENT) for row in rows]
    regular = set(map(type, texts)) <= {str} and "" not in texts and not any(map(str.isspace, texts))
    encoded: list[bytes] = []
    if regular:
        try:
            encoded = list(map(str.encode, texts))
        except UnicodeEncodeError:
            regular = False
        if limit and encoded and max(map(len, encoded)) > limit:
            regular = False
    if not regular:
        for row, text in zip(rows, texts, strict=True):
            if text is not ABSENT:
                row[name] = text
        return False
    out.encoded += encoded
    out.chars += map(len, texts)
    out.contents += map(xxh3_128_digest, encoded)
    return True


def _hoist(rows: list[Row], path: str) -> None:
    """Make a nested field ("data.body") a field of its own, unless it is spelled like that."""
    *parents, leaf = path.split(".")
    for row in rows:
        held: Any = row
        for name in parents:
            held = held.get(name) if isinstance(held, dict) else None
        if path not in row and isinstance(held, dict) and leaf in held:
            row[path] = held.pop(leaf)


def hoisted(rows: Sequence[Row], fields: Iterable[str]) -> Sequence[Row]:
    """The rows as a mapping with these fields sees them: copies where one of the fields is nested, else themselves."""
    paths = [name for name in fields if "." in name]
    if not paths:
        return rows
    copies = deepcopy(list(rows))
    for path in paths:
        _hoist(copies, path)
    return copies


def _one_by_one(chunk: Chunk, convert: Convert, kind: str, limit: int, out: Mapped) -> Chunk:
    """Convert record by record; the chunk that is left holds the good ones, without what was taken out of them."""
    kept = []
    for at, row in enumerate(chunk.rows):
        raw = dict(row)
        try:
            sample = convert(row)
            body = sample["text"].encode()
            if len(body) > limit:
                raise Unusable(OVERSIZE, f"{len(body)} bytes of text, the limit is {limit}")
            json_bytes(row)  # what stays must be writable too
            if kind != "knowledge":
                out.contents.append(content_digest(kind, sample))
        except Unusable as problem:
            reason, detail = problem.args
        except UnicodeEncodeError as error:
            reason, detail = SURROGATE, f"U+{ord(error.object[error.start]):04X} without its other half"
        else:
            kept.append(at)
            out.encoded.append(body)
            out.chars.append(len(sample["text"]))
            for column in OWN[kind]:
                out.own[column.name].append(sample.get(column.name))
            continue
        offset = None if chunk.offsets is None else chunk.offsets[at]
        file = chunk.files[at] if chunk.files else ""
        out.rejects.append(Reject(chunk.lines[at], offset, reason, detail, excerpt(raw), file))
    return Chunk(
        [chunk.rows[at] for at in kept],
        [chunk.lines[at] for at in kept],
        None if chunk.offsets is None else [chunk.offsets[at] for at in kept],
        chunk.next,
        files=[chunk.files[at] for at in kept] if chunk.files else None,
    )


def _metas(rows: list[Row]) -> list[bytes | None]:
    """What is left of each record, as JSON."""
    try:
        return [orjson.dumps(row) if row else None for row in rows]
    except TypeError:
        return [json_bytes(row) if row else None for row in rows]


def _provenance(rows: list[Row], source: str, name: str) -> list[str | None]:
    """A provenance column, taken out of the rows; what is no scalar stays where it is."""
    values = [row.pop(source, None) for row in rows]
    if set(map(type, values)) <= {str, type(None)} and name != "created":
        return values
    out: list[str | None] = []
    for row, value in zip(rows, values, strict=True):
        known = _date(value) if name == "created" else (value if isinstance(value, str) else _words(value))
        if known is None and value is not None:
            row[source] = value
        out.append(known)
    return out


def _words(value: Any) -> str | None:
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


@lru_cache(4096)
def _parse_date(text: str) -> str:
    from email.utils import parsedate_to_datetime

    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            return parse(text.strip()).isoformat()
        except (ValueError, TypeError, IndexError):
            continue
    return text


def _date(value: Any) -> str | None:
    """A date in ISO 8601 where it parses, else as declared; numbers are seconds or milliseconds since 1970."""
    if isinstance(value, str):
        return _parse_date(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = value / 1000 if abs(value) > 1e11 else value
        if 0 < seconds < 1e11 and seconds > 1e7:
            return datetime.fromtimestamp(seconds, UTC).isoformat()
        return str(value)
    stamp = getattr(value, "isoformat", None)
    return str(stamp()) if callable(stamp) else None


def _keys(rows: list[Row], name: str) -> list[str | None]:
    values = [row.get(name) for row in rows]
    return values if set(map(type, values)) == {str} and "" not in values else list(map(_key, values))


def _key(value: Any) -> str | None:
    """A record key as a string; null, empty and compound values are no keys."""
    if isinstance(value, str):
        return value or None
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
