"""A stored order: item of a part -> position in its row set, for orders that no formula gives (sorted, folded, bucketed).

A side file of 4 bytes a position (5 where a part has 2^32 rows or more), named by its SHA-256 and mapped, never loaded.
It covers the items [begin, end) of one part; shorter than that range, it repeats, epoch after epoch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from catalog.errors import Corrupt
from catalog.pull import side_file

ALGORITHM = "stored-order-1"
MAGIC = 0x31_44_52_4F_52_54_53  # "STRORD1"
HEADER = 24  # bytes: magic, positions, bytes a position
CHECKED_AT_OPEN = 64 << 20
"""Bytes of a mix's orders; more are hashed by `verify` only: a mix must open in no time, and witnesses are read anyway."""


@dataclass(frozen=True, eq=False)
class Stored:
    """Items [begin, end) of a part are at `places[(item - begin) % len(places)]`."""

    begin: int
    end: int
    places: np.ndarray  # unsigned 32 bits each, or rows of five bytes
    digest: str

    def position(self, items: np.ndarray) -> np.ndarray:
        found = self.places[(items - self.begin) % len(self.places)]
        return found.astype(np.int64) if found.ndim == 1 else _wide(found)

    def to_json(self) -> dict[str, Any]:
        width = 4 if self.places.ndim == 1 else 5
        return {"begin": self.begin, "end": self.end, "file": self.digest, "rows": len(self.places), "width": width}


def _wide(found: np.ndarray) -> np.ndarray:
    out = np.zeros((len(found), 8), np.uint8)
    out[:, :5] = found
    return out.view("<i8").ravel()


def stored(begin: int, end: int, positions: np.ndarray, rows: int) -> Stored:
    """Pack positions of a part of `rows` rows."""
    if rows < 1 << 32:
        places = positions.astype("<u4")
    else:
        places = np.ascontiguousarray(positions.astype("<u8")).view(np.uint8).reshape(-1, 8)[:, :5].copy()
    digest = hashlib.sha256(_head(places))
    digest.update(places.data if places.ndim == 1 else places.tobytes())
    return Stored(begin, end, places, digest.hexdigest())


def _head(places: np.ndarray) -> bytes:
    return np.array([MAGIC, len(places), 4 if places.ndim == 1 else 5], "<u8").tobytes()


def save(order: Stored, folder: Path) -> None:
    """Write the side file, if its digest is not there yet; it appears whole or not at all."""
    path = folder / f"{order.digest}.order"
    if not path.exists():
        side_file.save(path, [_head(order.places), order.places.tobytes()])


def load(body: dict[str, Any], folder: Path, *, verify: bool = True) -> Stored:
    """Open an order as a lock names it; `Corrupt` when the side file is gone or its bytes are others."""
    path = folder / f"{body['file']}.order"
    side_file.must_exist(path, "order")
    if verify:
        check(body, folder)
    count, width = body["rows"], body["width"]
    with open(path, "rb") as file:
        head = file.read(HEADER)
    expected = np.array([MAGIC, count, width], "<u8").tobytes()
    if head != expected or path.stat().st_size != HEADER + count * width:
        raise Corrupt(f"order file {path} does not hold the {count} positions that the lock names")
    if width == 4:
        places = np.asarray(np.memmap(path, "<u4", mode="r", offset=HEADER))
    else:
        places = np.asarray(np.memmap(path, np.uint8, mode="r", offset=HEADER)).reshape(count, 5)
    return Stored(body["begin"], body["end"], places, body["file"])


def check(body: dict[str, Any], folder: Path) -> None:
    """Compare the bytes of a side file with its name."""
    side_file.check(folder / f"{body['file']}.order", "order", body["file"])


def which(orders: Sequence[Stored], items: np.ndarray) -> np.ndarray:
    """Number of the order (sorted by `begin`) that covers each item; -1 where none does."""
    begins = np.array([order.begin for order in orders], np.int64)
    ends = np.array([order.end for order in orders], np.int64)
    at = np.searchsorted(begins, items, side="right") - 1
    return np.where((at >= 0) & (items < ends[np.maximum(at, 0)]), at, -1)
