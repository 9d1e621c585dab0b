"""From global index to stable row id: the order of the parts, the shuffle inside a part, the part's row set.

A layout is all of a lock that decides the sequence. It holds no rows and reads none: a few integers, twelve keys a part
and epoch, mapped bitmaps, and mapped orders where a stage is sorted by a column. The row of (part, item) never depends
on the stage that serves it: stages and revisions only move on along the items of a part.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from catalog.errors import BadInput
from catalog.pull import blocks, order, permute, rowset, stored
from catalog.pull.blocks import Blocks
from catalog.pull.order import Order
from catalog.pull.rowset import RowSet
from catalog.pull.stored import Stored

ALGORITHMS = {"schedule": order.ALGORITHM, "permutation": permute.ALGORITHM, "rowset": rowset.ALGORITHM}
OPTIONAL = {"blocks": blocks.ALGORITHM, "stored_order": stored.ALGORITHM, "periods": order.PERIODS}
"""Named in the locks that use them only, so that older locks keep their digest."""
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
    """order + parts + seed + shuffle; the same for every rank, worker and machine.

    shuffle: full | blocks | none. runs: size and buffer of blocks. stored: part -> its stored orders, by first item.
    """

    order: Order
    parts: Sequence[PartRows]
    seed: int
    shuffle: str
    runs: tuple[int, int] = (blocks.SIZE, blocks.BUFFER)
    stored: Mapping[int, Sequence[Stored]] = field(default_factory=dict)

    @classmethod
    def from_lock(cls, lock: dict[str, Any], folder: Path, *, verify: bool = True) -> Layout:
        """Open the side files a lock names. Refuses algorithms of another release."""
        for what, found in lock["algorithms"].items():
            if {**ALGORITHMS, **OPTIONAL}.get(what) != found:
                raise BadInput(f"mix {lock['name']} was locked with {what} {found}; use the Strata release that has it")
        parts = [PartRows(rowset.load(part["rows"], folder, verify=verify), part["key"]) for part in lock["parts"]]
        held: dict[int, list[Stored]] = {}
        orders = lock.get("orders", ())
        hashed = verify and sum(body["rows"] * body["width"] for body in orders) <= stored.CHECKED_AT_OPEN
        for body in orders:
            held.setdefault(body["part"], []).append(stored.load(body, folder, verify=hashed))
        shuffle, runs = lock["order"]["shuffle"], runs_of(lock["order"])
        return cls(Order.from_json(lock["segments"]), parts, lock["seed"], shuffle, runs, held)

    @property
    def algorithms(self) -> dict[str, str]:
        """What this layout is made by, for the lock."""
        turned = any(segment.turns for segment in self.order.segments)
        used = {"blocks": self.shuffle == "blocks", "stored_order": bool(self.stored), "periods": turned}
        return {**ALGORITHMS, **{name: OPTIONAL[name] for name, wanted in used.items() if wanted}}

    def __len__(self) -> int:
        return self.order.total

    def locate(self, indices: np.ndarray) -> Located:
        """Part, epoch of the part, and row id of each global index."""
        part, item = self.order.locate(indices)
        epoch, row = np.zeros_like(item), np.empty_like(item)
        for number in np.unique(part):
            mine = np.flatnonzero(part == number)
            rows = self.parts[number].rows
            epoch[mine] = item[mine] // rows.rows
            row[mine] = rows.select(self.positions(int(number), item[mine]))
        return Located(part, epoch, row)

    def positions(self, number: int, items: np.ndarray) -> np.ndarray:
        """Positions in the row set at which items of one part are."""
        held = self.stored.get(number)
        if not held:
            return self.shuffled(number, items)
        out, chosen = np.empty_like(items), stored.which(held, items)
        for at in np.unique(chosen):
            mine = chosen == at
            out[mine] = held[at].position(items[mine]) if at >= 0 else self.shuffled(number, items[mine])
        return out

    def shuffled(self, number: int, items: np.ndarray) -> np.ndarray:
        """The same without stored orders: the part's own shuffle, each epoch anew."""
        part, out = self.parts[number], np.empty_like(items)
        epoch, position = np.divmod(items, part.rows.rows)
        if self.shuffle == "none":
            return position
        for value in np.unique(epoch):
            mine = epoch == value
            if self.shuffle == "blocks":
                out[mine] = self._blocks(number, int(value)).place(position[mine])
            else:
                keys = permute.round_keys(self.seed, part.key, int(value))
                out[mine] = permute.permute(position[mine], part.rows.rows, keys)
        return out

    def _blocks(self, number: int, epoch: int) -> Blocks:
        part = self.parts[number]
        return Blocks.of(part.rows.rows, *self.runs, self.seed, part.key, epoch)

    def rows_of(self, number: int, begin: int, end: int) -> np.ndarray:
        """Row ids of items begin to end of one part, in the order it serves them."""
        return self.parts[number].rows.select(self.positions(number, np.arange(begin, end)))

    def in_items(self, number: int, row_ids: np.ndarray, begin: int, end: int) -> np.ndarray:
        """Which rows are among items begin to end, all of one epoch, by the part's own shuffle.

        A stored order moves rows inside its range only, so that this holds for any range that cuts none.
        """
        part = self.parts[number]
        epoch, first = divmod(begin, part.rows.rows)
        position = part.rows.rank(row_ids)
        if self.shuffle == "blocks":
            position = self._blocks(number, epoch).position(position)
        elif self.shuffle != "none":
            position = permute.inverse(position, part.rows.rows, permute.round_keys(self.seed, part.key, epoch))
        return (position >= first) & (position < first + end - begin)

    def probes(self, count: int = PROBES) -> np.ndarray:
        """Evenly spread global indices, first and last among them."""
        return np.unique(np.linspace(0, len(self) - 1, min(count, len(self))).astype(np.int64))


def runs_of(order: Mapping[str, Any]) -> tuple[int, int]:
    """Size and buffer of `shuffle: blocks`, as a lock or a spec writes them."""
    return order.get("size") or blocks.SIZE, order.get("buffer") or blocks.BUFFER


def orders_json(layout: Layout) -> list[dict[str, Any]]:
    """The stored orders as a lock names them."""
    return [{"part": number, **held.to_json()} for number in sorted(layout.stored) for held in layout.stored[number]]


def digest_of(body: Any) -> str:
    """SHA-256 of canonical JSON."""
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()


def order_digest(layout: Layout, indices: np.ndarray, found: Located, content_ids: Sequence[str]) -> str:
    """Digest of everything that decides the sequence, and of what it resolves to at the probes."""
    rule = {
        "algorithms": layout.algorithms,
        "seed": layout.seed,
        "shuffle": layout.shuffle,
        "segments": [segment.to_json() for segment in layout.order.segments],
        "parts": [{"key": part.key, **part.rows.to_json()} for part in layout.parts],
    }
    if layout.shuffle == "blocks":
        rule["runs"] = layout.runs
    if layout.stored:
        rule["orders"] = orders_json(layout)
    seen = hashlib.sha256(digest_of(rule).encode())
    for column in (indices, found.part, found.epoch, found.row):
        seen.update(np.ascontiguousarray(column, "<i8").tobytes())
    seen.update("\n".join(content_ids).encode())
    return seen.hexdigest()
