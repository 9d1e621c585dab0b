"""From global index to stable row id: the order of the parts, the shuffle inside a part, the part's row set.

A layout is all of a lock that decides the sequence. It holds no rows and reads none: a few integers, twelve keys a part
and epoch, and mapped bitmaps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from catalog.errors import BadInput
from catalog.pull import order, permute, rowset
from catalog.pull.order import Order
from catalog.pull.rowset import RowSet

ALGORITHMS = {"schedule": order.ALGORITHM, "permutation": permute.ALGORITHM, "rowset": rowset.ALGORITHM}
PROBES = 10_000


@dataclass(frozen=True)
class PartRows:
    """The rows of a part and the key of its shuffle."""

    rows: RowSet
    key: str


@dataclass(frozen=True)
class Located:
    """Where a block of global indices leads; `row` is a stable row id of the part's dataset."""

    part: np.ndarray
    epoch: np.ndarray
    row: np.ndarray


@dataclass(frozen=True)
class Layout:
    """order + parts + seed + shuffle; the same for every rank, worker and machine."""

    order: Order
    parts: Sequence[PartRows]
    seed: int
    shuffle: str

    @classmethod
    def from_lock(cls, lock: dict[str, Any], folder: Path, *, verify: bool = True) -> Layout:
        """Open the side files a lock names. Refuses algorithms of another release."""
        for what, found in lock["algorithms"].items():
            if ALGORITHMS.get(what) != found:
                raise BadInput(f"mix {lock['name']} was locked with {what} {found}; use the Strata release that has it")
        parts = [PartRows(rowset.load(part["rows"], folder, verify=verify), part["key"]) for part in lock["parts"]]
        return cls(Order.from_json(lock["segments"]), parts, lock["seed"], lock["order"]["shuffle"])

    def __len__(self) -> int:
        return self.order.total

    def locate(self, indices: np.ndarray) -> Located:
        """Part, epoch of the part, and row id of each global index."""
        part, item = self.order.locate(indices)
        epoch, row = np.zeros_like(item), np.empty_like(item)
        for number in np.unique(part):
            mine = np.flatnonzero(part == number)
            rows = self.parts[number].rows
            epoch[mine], position = np.divmod(item[mine], rows.rows)
            row[mine] = rows.select(self._shuffled(int(number), epoch[mine], position))
        return Located(part, epoch, row)

    def _shuffled(self, number: int, epoch: np.ndarray, position: np.ndarray) -> np.ndarray:
        if self.shuffle == "none":
            return position
        part, out = self.parts[number], np.empty_like(position)
        for value in np.unique(epoch):
            mine = epoch == value
            keys = permute.round_keys(self.seed, part.key, int(value))
            out[mine] = permute.permute(position[mine], part.rows.rows, keys)
        return out

    def rows_of(self, number: int, begin: int, end: int) -> np.ndarray:
        """Row ids of items begin to end of one part, in the order it serves them."""
        rows = self.parts[number].rows
        epoch, position = np.divmod(np.arange(begin, end), rows.rows)
        return rows.select(self._shuffled(number, epoch, position))

    def in_last_epoch(self, number: int, row_ids: np.ndarray, items: int) -> np.ndarray:
        """Which rows the unfinished last epoch serves when the part gives `items` in all."""
        rows = self.parts[number].rows
        epoch, left = divmod(items, rows.rows)
        position = rows.rank(row_ids)
        if self.shuffle != "none":
            keys = permute.round_keys(self.seed, self.parts[number].key, epoch)
            position = permute.inverse(position, rows.rows, keys)
        return position < left

    def probes(self, count: int = PROBES) -> np.ndarray:
        """Evenly spread global indices, first and last among them."""
        return np.unique(np.linspace(0, len(self) - 1, min(count, len(self))).astype(np.int64))


def digest_of(body: Any) -> str:
    """SHA-256 of canonical JSON."""
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()


def order_digest(layout: Layout, indices: np.ndarray, found: Located, content_ids: Sequence[str]) -> str:
    """Digest of everything that decides the sequence, and of what it resolves to at the probes."""
    rule = {
        "algorithms": ALGORITHMS,
        "seed": layout.seed,
        "shuffle": layout.shuffle,
        "segments": [segment.to_json() for segment in layout.order.segments],
        "parts": [{"key": part.key, **part.rows.to_json()} for part in layout.parts],
    }
    seen = hashlib.sha256(digest_of(rule).encode())
    for column in (indices, found.part, found.epoch, found.row):
        seen.update(np.ascontiguousarray(column, "<i8").tobytes())
    seen.update("\n".join(content_ids).encode())
    return seen.hexdigest()
