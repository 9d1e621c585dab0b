"""What changed between two mixes: parts, shares, tokens, and the samples that one serves and the other does not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc

from catalog.mixes.lock import load_lock
from catalog.mixes.orders import epochs
from catalog.pull.fetch import take_rows
from catalog.pull.layout import Layout
from catalog.pull.sources import Sources, open_sources
from catalog.store.columns import find

if TYPE_CHECKING:
    from catalog.catalog import Catalog

CHUNK = 16_384


def diff_mixes(cat: Catalog, a: str, b: str) -> dict[str, Any]:
    """Compare mix `a` with mix `b`; "added" is in b only. A sample is known by its sample id, however often served.

    Rows are compared by row id first; sample ids are read only where those differ. Memory: 8 bytes a served sample and
    32 a sample that differs.
    """
    locks = [load_lock(cat, ref) for ref in (a, b)]
    sides = [_Side(cat, ref, lock) for ref, lock in zip((a, b), locks, strict=True)]
    removed, added = (_only(side, other) for side, other in (sides, sides[::-1]))
    removed, added = (_unserved(only, other) for only, other in ((removed, sides[1]), (added, sides[0])))
    totals = [lock["totals"] for lock in locks]
    return {
        "a": a,
        "b": b,
        "same": locks[0]["digest"] == locks[1]["digest"],
        "same_order": locks[0]["order_digest"] == locks[1]["order_digest"],
        "samples": _change(totals[0]["samples"], totals[1]["samples"]),
        "tokens": _change(totals[0]["tokens"], totals[1]["tokens"]),
        "distinct_samples": _change(sides[0].distinct, sides[1].distinct),
        "rows_added": _facts(added),
        "rows_removed": _facts(removed),
        "parts": _parts(*locks),
        "licences": _counters(locks[0]["licences"]["rows"], locks[1]["licences"]["rows"]),
        "contamination": [lock["contamination"]["verdict"] for lock in locks],
        "settings": {
            name: [lock[name] for lock in locks]
            for name in ("unit", "seed", "order")
            if locks[0][name] != locks[1][name]
        },
    }


class _Side:
    """The rows one mix serves at least once, by dataset id."""

    def __init__(self, cat: Catalog, ref: str, lock: dict[str, Any]) -> None:
        self.sources: Sources = open_sources(cat, lock, ref)
        layout = Layout.from_lock(lock, cat.settings.locks, verify=False)
        self.rows: dict[str, np.ndarray] = {}
        for number, part in enumerate(lock["parts"]):
            served = _served(layout, number)
            held = self.rows.get(part["dataset_id"], np.empty(0, np.int64))
            every = np.sort(np.concatenate([held, served]))  # several times faster here than np.union1d
            self.rows[part["dataset_id"]] = every[np.diff(every, prepend=-1) > 0]
        self.number = {part["dataset_id"]: self.sources.of_part[at] for at, part in enumerate(lock["parts"])}

    @property
    def distinct(self) -> int:
        return sum(len(rows) for rows in self.rows.values())


def _served(layout: Layout, number: int) -> np.ndarray:
    """Row ids that a part serves at least once."""
    rows = layout.parts[number].rows
    ranges = [held[number] for held in layout.order.ranges()]
    pieces = [piece for begin, end in ranges for piece in epochs(begin, end, rows.rows)]
    if any(end - begin == rows.rows for begin, end in pieces):
        return rows.select(np.arange(rows.rows))
    found = [
        layout.rows_of(number, at, min(at + CHUNK, end)) for begin, end in pieces for at in range(begin, end, CHUNK)
    ]
    return np.concatenate([np.empty(0, np.int64), *found])


def _read(side: _Side, dataset: str, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Sample ids and sources of rows, in chunks."""
    at = side.number[dataset]
    for begin in range(0, len(rows), CHUNK):
        found = take_rows(
            side.sources.tables[at], rows[begin : begin + CHUNK], ["sample_id", "source"], side.sources.names[at]
        )
        source = pc.fill_null(found.column("source"), "unknown")
        yield found.column("sample_id").to_numpy().astype("S32"), source.to_numpy()


def _only(side: _Side, other: _Side) -> dict[str, np.ndarray]:
    """Samples of `side` whose row the other does not serve: sorted ids and their sources."""
    ids, sources = [np.empty(0, "S32")], [np.empty(0, object)]
    for dataset, rows in side.rows.items():
        rows = np.setdiff1d(rows, other.rows.get(dataset, np.empty(0, np.int64)), assume_unique=True)
        for names, origin in _read(side, dataset, rows):
            ids.append(names)
            sources.append(origin)
    every, first = np.unique(np.concatenate(ids), return_index=True)
    return {"ids": every, "sources": np.concatenate(sources)[first]}


def _unserved(only: dict[str, np.ndarray], other: _Side) -> dict[str, np.ndarray]:
    """Leave out samples that the other mix serves from another row: of another dataset, or a copy after a rollback."""
    ids = only["ids"]
    keep = np.ones(len(ids), bool)
    for dataset, rows in other.rows.items() if len(ids) else ():
        for names, _ in _read(other, dataset, rows):
            at, served = find(ids, names)
            keep[at[served]] = False
    return {name: values[keep] for name, values in only.items()}


def _facts(only: dict[str, np.ndarray]) -> dict[str, Any]:
    return {
        "count": len(only["ids"]),
        "sources": dict(Counter(only["sources"].tolist()).most_common()),
        "examples": [name.decode() for name in only["ids"][:5]],
    }


def _parts(a: dict[str, Any], b: dict[str, Any]) -> list[dict[str, Any]]:
    """Parts matched by dataset name and filter."""
    tables = []
    for lock in (a, b):
        tables.append(
            {
                (part["dataset"], part["where"]): {
                    "version": part["version"],
                    "rows": part["rows"]["rows"],
                    **{name: served[name] for name in ("samples", "tokens", "epochs", "share")},
                }
                for part, served in zip(lock["parts"], lock["totals"]["parts"], strict=True)
            }
        )
    out = []
    for key in dict.fromkeys([*tables[0], *tables[1]]):
        old, new = tables[0].get(key), tables[1].get(key)
        status = "added" if old is None else "removed" if new is None else "same" if old == new else "changed"
        out.append({"dataset": key[0], "where": key[1], "status": status, "a": old, "b": new})
    return out


def _change(old: int | None, new: int | None) -> dict[str, int | None]:
    return {"a": old, "b": new, "change": None if old is None or new is None else new - old}


def _counters(old: dict[str, int], new: dict[str, int]) -> dict[str, dict[str, int | None]]:
    return {name: _change(old.get(name, 0), new.get(name, 0)) for name in sorted({*old, *new})}
