"""Propose a mapping from the first records of an input: kind, dialect, fields, key, and why.

Dialects are tried from the most telling to the least; the first that accepts most of the sample wins. What the user
says (kind, roles, key) is taken as given and only the rest is proposed.
"""

from __future__ import annotations

from collections.abc import Mapping as Given
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from catalog.errors import BadInput
from catalog.ingest.dialect import Dialect, Row, dialects, find_field, match, plain, success
from catalog.ingest.mapping import KEYS, ROW_FIELDS, Mapped, Mapping, compile_mapping, hoisted
from catalog.ingest.records import Chunk, Source, get_reader
from catalog.schema import KINDS

SAMPLE = 200
ENOUGH = 0.5
LONG = 200
LAST = 90


def peek(source: Source, rows: int = SAMPLE) -> list[Row]:
    """The first records of a source that can be parsed."""
    found: list[Row] = []
    for chunk in islice(get_reader(source.reader).read(source, None), 8):
        found.extend(chunk.rows[: rows - len(found)])
        if len(found) >= rows:
            break
    return found


def infer_rows(
    rows: Sequence[Row],
    *,
    kind: str | None = None,
    given: Given[str, str] | None = None,
    key: str | None = None,
    guess: bool = True,
) -> Mapping:
    """The mapping for a sample. given: role or row column -> field; kind and key win over what is found.

    guess: whether the longest field may be taken for the text when no name says so.
    """
    if kind is not None and kind not in KINDS:
        raise BadInput(f"kind {kind!r} is not one of {', '.join(KINDS)}")
    rows = hoisted(rows, [*(given or {}).values(), key or ""])
    names = list(dict.fromkeys(name for row in rows for name in row))
    roles, columns, key = _split(dict(given or {}), names, key)
    tried: list[str] = []
    best: tuple[float, Dialect, dict[str, str]] | None = None
    for item in dialects():
        if (kind and item.kind != kind) or (item.forced and not (kind or roles)):
            continue
        fields, problem = match(item, rows, roles)
        share = success(item, rows, fields) if not problem else 0.0
        if not problem and share >= ENOUGH:
            return _finish(item, fields, columns, key, rows, names, share)
        tried.append(f"{item.name}: {problem or f'fits only {share:.0%} of the sample'}")
        if not problem and (kind or roles) and (best is None or share > best[0]):
            best = share, item, fields
        if guess and item.name == "text" and not roles and (name := _longest(rows, names, kind)):
            share = success(item, rows, {"text": name})
            found = _finish(item, {"text": name}, columns, key, rows, names, share)
            why = f"{name} is the longest string field; {found.why}"
            return replace(found, confidence=round(share / 2, 2), why=why)
    if best:  # it is what was asked for, though most records will be quarantined
        return _finish(best[1], best[2], columns, key, rows, names, best[0])
    asked = f"kind {kind}" if kind else "the roles given"
    raise BadInput(
        f"the records do not fit {asked} ({'; '.join(tried[:3])}); their fields are {', '.join(map(str, names[:12]))}; "
        "say which is which with --map role=field"
    )


def _split(
    given: dict[str, str], names: Sequence[str], key: str | None
) -> tuple[dict[str, str], dict[str, str], str | None]:
    """Overrides as (roles of dialects, row columns, key); a field nobody has is an error."""
    known = {role for item in dialects() for role in item.roles}
    for role, name in {**given, **({"key": key} if key else {})}.items():
        if names and name not in names:
            shown = ", ".join(map(str, names[:12])) or "no fields"
            raise BadInput(f"--map {role}={name}: the records have no field {name!r}; they have {shown}")
    key = given.pop("key", None) or given.pop("id", None) or key
    columns = {name: given.pop(name) for name in list(given) if name in ROW_FIELDS}
    if "license" in given:
        columns["licence"] = given.pop("license")
    if unknown := [role for role in given if role not in known]:
        legal = ", ".join(sorted(known | set(ROW_FIELDS) | {"key"}))
        raise BadInput(f"--map {unknown[0]}=...: no such role; the roles are {legal}")
    return given, columns, key


def _finish(
    item: Dialect,
    fields: dict[str, str],
    columns: dict[str, str],
    key: str | None,
    rows: Sequence[Row],
    names: Sequence[str],
    share: float,
) -> Mapping:
    used = {*fields.values(), *columns.values()}
    row = dict(columns)
    if item.kind != "knowledge":
        for column, usual in ROW_FIELDS.items():
            found = find_field(usual, [{n: v for n, v in r.items() if n not in used} for r in rows], 0.3)
            if column not in row and found and _is_scalar(rows, found):
                row[column] = found
                used.add(found)
    why = f"{item.doc.splitlines()[0] if item.doc else item.name} {share:.0%} of {len(rows)} sampled records fit."
    key = key or _find_key(rows)
    if item.rank >= LAST:  # nothing more telling fits
        share /= 2
    return Mapping(item.kind, item.name, fields, row, key, round(share, 2), why, columns=tuple(map(str, names)))


def _is_scalar(rows: Sequence[Row], name: str) -> bool:
    return all(isinstance(row.get(name), str | int | float | None) or hasattr(row[name], "isoformat") for row in rows)


def _find_key(rows: Sequence[Row]) -> str | None:
    """A usually named field that names every sampled record, each differently."""
    for name in dict.fromkeys(name for row in rows[:20] for name in row):
        if plain(str(name)) in KEYS:
            values = [row.get(name) for row in rows]
            if all(isinstance(value, str | int) and value != "" for value in values) and len(set(values)) == len(
                values
            ):
                return name
    return None


def _longest(rows: Sequence[Row], names: Sequence[str], kind: str | None) -> str | None:
    """The string field with most of the characters: long prose, or the main column of a file without a header."""
    totals = {
        name: sum(len(row[name]) for row in rows if isinstance(row.get(name), str)) for name in names
    }  # fmt: skip
    if not totals or not rows:
        return None
    best = max(totals, key=totals.__getitem__)
    mean = totals[best] / len(rows)
    headless = all(name == f"c{at}" for at, name in enumerate(names))
    if kind == "text" or (headless and mean >= 40) or (mean >= LONG and totals[best] >= 0.6 * sum(totals.values())):
        return best if mean else None
    return None


def preview(mapping: Mapping, rows: Sequence[Row], count: int = 5) -> list[dict[str, Any]]:
    """The first records as they would be stored; a record that would be quarantined shows its reason."""
    mapper, out = compile_mapping(mapping), []
    for at, row in enumerate(rows[:count]):
        mapped = Mapped()
        mapper(Chunk([_copy(row)], [at + 1], None, {}), mapped)
        if mapped.rejects:
            out.append({"line": at + 1, "quarantined": mapped.rejects[0].reason, "detail": mapped.rejects[0].detail})
            continue
        shown: dict[str, Any] = {
            "line": at + 1,
            "key": mapped.keys[0] if mapped.keys else None,
            "text": mapped.encoded[0].decode(),
        }
        shown |= {name: values[0] for name, values in {**mapped.own, **mapped.row}.items() if values[0] is not None}
        shown["meta"] = mapped.meta[0].decode() if mapped.meta[0] else None
        out.append(shown)
    return out


def _copy(row: Row) -> Row:
    from copy import deepcopy

    return deepcopy(row)


def infer_source(
    source: Source, *, kind: str | None = None, given: Given[str, str] | None = None, key: str | None = None,
    sample: int = SAMPLE,
) -> Mapping:  # fmt: skip
    """The mapping for one input, with five rendered rows."""
    reader = get_reader(source.reader)
    rows = peek(source, sample)
    if not rows:
        raise BadInput(
            f"{source.uri} has no record that can be read; is it empty, or of another format than {source.reader}?"
        )
    given = dict(given or {})
    mapping = infer_rows(rows, kind=kind, given=given, key=key or (reader.key if "key" not in given else None))
    mapping = replace(mapping, reader=source.reader)
    return replace(mapping, preview=tuple(preview(mapping, rows)))


def infer(uri: str, sample: int = SAMPLE, **options: Any) -> Mapping:
    """Propose a mapping for a path or URI; options: kind, given, key, and reading options (header, columns ...)."""
    from catalog.ingest.discover import discover

    reading = {name: options.pop(name) for name in ("header", "columns", "delimiter", "format") if name in options}
    return infer_source(discover([uri], **reading)[0], sample=sample, **options)
