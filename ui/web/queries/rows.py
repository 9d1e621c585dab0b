"""Pages of samples: which rows a view holds, in which order, and one page of them.

Table order pages by limit and offset inside Lance. An order by a column reads that column alone, once, and keeps the
stable row ids of the first ORDERED rows, 8 bytes each; a page is then a take of its rows. Text is read for the rows of
the page only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog import Catalog
from catalog.errors import BadInput, NotFound
from catalog.schema import table_schema

ORDERED = 2_000_000
"""Rows kept of an order by a column; further pages are refused with advice."""
CHUNK = 65_536


@dataclass(frozen=True)
class View:
    """What somebody looks at: hashable, so that a session may keep what was computed for it."""

    ref: str  # "web@v3"
    lance_version: int
    where: str = ""
    missing: str = "error"
    sort: str = ""
    descending: bool = True
    words: str = ""
    mode: str = "text"
    like: str = ""


def view(cat: Catalog, ref: str, **options: Any) -> View:
    """A view at the published head; a change of the table makes another view."""
    found = cat.resolve(ref)
    return View(found.ref, found.dataset.lance_version, **options)


def count(cat: Catalog, held: View) -> int:
    """Rows of a view; without a filter the stored number."""
    found = cat.resolve(held.ref)
    if not held.where:
        return found.version.rows if found.version else 0
    return _table(cat, held).count_rows(_filter(cat, held))


def _table(cat: Catalog, held: View) -> Any:
    return cat.lance(held.ref.split("@")[0], held.lance_version)


def _filter(cat: Catalog, held: View) -> str | None:
    return cat.predicate(held.ref, held.where or None, held.missing)


def physical(cat: Catalog, ref: str, names: Sequence[str]) -> dict[str, str]:
    """Short name -> stored name, of sample fields and computed columns."""
    found = cat.resolve(ref)
    held = {column.alias: column.physical for column in cat.columns(found.dataset.name)}
    own = table_schema(found.dataset.kind, found.dataset.tier).names
    for name in names:
        if name not in held and name not in own:
            raise NotFound(f"column of {found.dataset.name}", name, [*own, *held])
    return {name: held.get(name, name) for name in names}


def table_ids(cat: Catalog, held: View, offset: int, limit: int) -> np.ndarray:
    """Row ids of a page in table order."""
    scanner = _table(cat, held).scanner(
        columns=[], filter=_filter(cat, held), limit=limit, offset=offset, with_row_id=True, scan_in_order=True
    )
    return scanner.to_table().column("_rowid").to_numpy().astype(np.uint64)


def ordered_ids(cat: Catalog, held: View, keep: int = ORDERED) -> np.ndarray:
    """Row ids in the order of a column, at most `keep`; rows without a value come last, ties in table order.

    One pass over that column. A small `keep` never sorts the table: it looks for the value that ends the first `keep`
    rows and sorts those.
    """
    stored = physical(cat, held.ref, [held.sort])[held.sort]
    table = _table(cat, held)
    kind = table.schema.field(stored).type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not (pa.types.is_primitive(kind) or pa.types.is_boolean(kind) or pa.types.is_string(kind)):
        raise BadInput(f"rows cannot be sorted by {held.sort!r}, which is {kind}; choose a number, a flag or a text")
    first = pa.table({"key": pa.array([], kind), "row": pa.array([], pa.uint64())})
    waiting: list[pa.Table] = []
    size = 0
    for batch in table.scanner(
        columns=[stored], filter=_filter(cat, held), with_row_id=True, batch_size=CHUNK, scan_in_order=True
    ).to_batches():
        came = pa.table({"key": batch.column(stored).cast(kind), "row": batch.column("_rowid").cast(pa.uint64())})
        waiting.append(came)
        size += len(came)
        if size >= 2 * keep + 4 * CHUNK:
            first = _first(pa.concat_tables([first, *waiting]), held.descending, keep)
            waiting, size = [], len(first)
    first = _first(pa.concat_tables([first, *waiting]), held.descending, keep)
    return first.column("row").to_numpy()


def _first(held: pa.Table, descending: bool, keep: int) -> pa.Table:
    """The first `keep` rows by key, in order; ties as they stand."""
    keys = held.column("key").combine_chunks()
    values, missing = _values(keys)
    if descending:
        values = -values if values.dtype.kind == "f" else ~values
    present = np.flatnonzero(~missing) if missing.any() else np.arange(len(values))
    values = values[present]
    if keep < len(values) // 4:
        last = np.partition(values, keep - 1)[keep - 1]
        before, ties = np.flatnonzero(values < last), np.flatnonzero(values == last)
        chosen = np.sort(np.concatenate([before, ties[: keep - len(before)]]))
    else:
        chosen = np.arange(len(values))
    order = present[chosen[np.argsort(values[chosen], kind="stable")]]
    order = np.concatenate([order, np.flatnonzero(missing)])[:keep]
    return pa.table({"key": keys.take(pa.array(order)), "row": held.column("row").to_numpy()[order]})


def _values(keys: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Numbers that order as the keys do, and where there is none: nulls and NaN. Texts order by their bytes."""
    missing = keys.is_null(nan_is_null=True).to_numpy(zero_copy_only=False)
    if pa.types.is_string(keys.type):
        coded = keys.dictionary_encode()
        place = np.empty(len(coded.dictionary) + 1, np.int64)
        place[pc.sort_indices(coded.dictionary).to_numpy()] = np.arange(len(coded.dictionary))
        return place[coded.indices.fill_null(len(coded.dictionary)).to_numpy()], missing
    if pa.types.is_boolean(keys.type):
        keys = keys.cast(pa.uint8())
    elif not (pa.types.is_integer(keys.type) or pa.types.is_floating(keys.type)):  # times, as their ticks
        keys = keys.cast(pa.int32() if keys.type.bit_width == 32 else pa.int64())
    return keys.fill_null(0).to_numpy(zero_copy_only=False), missing


def take(cat: Catalog, held: View, ids: np.ndarray, columns: list[str]) -> list[dict[str, Any]]:
    """Rows by id, in the order asked, columns under their short names, and "_rowid"."""
    if not len(ids):
        return []
    stored = physical(cat, held.ref, columns)
    rows = _table(cat, held)._take_rows(pa.array(ids, pa.uint64()), columns=list(dict.fromkeys(stored.values())))
    found = [{name: row[source] for name, source in stored.items()} for row in rows.to_pylist()]
    return [{**row, "_rowid": int(at)} for row, at in zip(found, ids, strict=True)]


def one(cat: Catalog, held: View, row: int) -> dict[str, Any]:
    """Every field and computed column of one row of the version, under short names; "_wide" names vectors left out."""
    found = cat.resolve(held.ref)
    columns = cat.columns(found.dataset.name)
    schema = _table(cat, held).schema
    wide = {column.alias for column in columns if pa.types.is_nested(schema.field(column.physical).type)}
    own = table_schema(found.dataset.kind, found.dataset.tier).names
    names = [*own, *(column.alias for column in columns if column.alias not in wide)]
    try:
        got = take(cat, held, np.array([row], np.uint64), names)
    except (ValueError, OSError, OverflowError):
        got = []
    if not got or not _in_version(got[0], found.number):
        raise NotFound("row", str(row), remedy=f"it is not in {found.ref}, or it was retracted")
    return {**got[0], "_wide": sorted(wide)}


def _in_version(row: dict[str, Any], number: int) -> bool:
    return row["added"] <= number and (row["removed"] is None or row["removed"] > number)
