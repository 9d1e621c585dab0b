"""The rows of a part: position k -> stable row id, and back.

Consecutive row ids are a range. Anything else is a bitmap over row ids in a side file, with counts of ones before every
512 bits, so that rank and select read one block (G. Jacobson, "Space-efficient static trees and graphs", FOCS 1989;
R. González et al., "Practical implementation of rank and select queries", WEA 2005). The file is named by its SHA-256
and mapped, never loaded: a billion rows are 125 MB of bits and 16 MB of counts on disk.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from catalog.errors import Corrupt
from catalog.pull import side_file

ALGORITHM = "rowset-1"
MAGIC = 0x31_57_4F_52_52_54_53  # "STRROW1"
HEADER = 4  # 64-bit words: magic, first row id of the bitmap, rows, words
BLOCK = 8  # words a counted block
BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little")
BYTE_SELECT = np.argsort(1 - BITS.astype(np.int8), axis=1, kind="stable").astype(np.uint8)
"""BYTE_SELECT[b, n]: position of the n-th one of byte b."""


@dataclass(frozen=True)
class RowSet:
    """`words` is None for a range that starts at row id `base`."""

    base: int
    rows: int
    words: np.ndarray | None = None
    counts: np.ndarray | None = None
    digest: str | None = None

    def select(self, positions: np.ndarray) -> np.ndarray:
        """Row ids of positions 0 <= k < rows."""
        positions = np.asarray(positions, np.int64)
        if self.words is None or self.counts is None:
            return positions + self.base
        block = np.searchsorted(self.counts, positions, side="right") - 1
        left = positions - self.counts[block]
        words = self.words[block[:, None] * BLOCK + np.arange(BLOCK)]
        number, left = _which(np.bitwise_count(words), left)
        word = np.ascontiguousarray(words[np.arange(len(words)), number])
        octets = word.astype("<u8").view(np.uint8).reshape(-1, 8)
        octet, left = _which(np.bitwise_count(octets), left)
        bit = BYTE_SELECT[octets[np.arange(len(octets)), octet], left]
        return self.base + (block * BLOCK + number) * 64 + octet * 8 + bit

    def rank(self, row_ids: np.ndarray) -> np.ndarray:
        """Positions of row ids that are in the set."""
        local = np.asarray(row_ids, np.int64) - self.base
        if self.words is None or self.counts is None:
            return local
        word, block = local // 64, local // 64 // BLOCK
        words = self.words[block[:, None] * BLOCK + np.arange(BLOCK)]
        ones = np.bitwise_count(words).astype(np.int64)
        ones[np.arange(BLOCK) >= (word % BLOCK)[:, None]] = 0
        below = (np.uint64(1) << (local % 64).astype(np.uint64)) - np.uint64(1)
        return self.counts[block] + ones.sum(axis=1) + np.bitwise_count(self.words[word] & below)

    def contains(self, row_ids: np.ndarray) -> np.ndarray:
        """Which row ids are in the set."""
        local = np.asarray(row_ids, np.int64) - self.base
        if self.words is None:
            return (local >= 0) & (local < self.rows)
        inside = (local >= 0) & (local < 64 * len(self.words))
        at = np.where(inside, local, 0)
        return inside & (self.words[at // 64] >> (at % 64).astype(np.uint64) & np.uint64(1)).astype(bool)

    def to_json(self) -> dict[str, Any]:
        if self.words is None:
            return {"kind": "range", "first": self.base, "rows": self.rows}
        return {"kind": "bitmap", "digest": self.digest, "rows": self.rows}

    def to_bytes(self) -> bytes:
        """The side file of a bitmap."""
        assert self.words is not None and self.counts is not None
        head = np.array([MAGIC, self.base, self.rows, len(self.words)], "<u8")
        return head.tobytes() + self.words.astype("<u8").tobytes() + self.counts.astype("<u8").tobytes()


def _which(ones: np.ndarray, left: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The column that holds the `left`-th one of each row, and what is left inside it."""
    sums = np.cumsum(ones, axis=1, dtype=np.int64)
    column = (sums <= left[:, None]).sum(axis=1)
    before = np.where(column > 0, sums[np.arange(len(sums)), column - 1], 0)
    return column, left - before


class RowSetBuilder:
    """Collect row ids in any order, one bit each."""

    def __init__(self) -> None:
        self.words = np.zeros(1024, np.uint64)

    def add(self, row_ids: np.ndarray) -> None:
        if not len(row_ids):
            return
        ids = np.sort(np.asarray(row_ids).astype(np.uint64))
        word = (ids >> np.uint64(6)).astype(np.int64)
        if word[-1] >= len(self.words):
            grown = np.zeros(max(int(word[-1]) + 1, 2 * len(self.words)), np.uint64)
            grown[: len(self.words)] = self.words
            self.words = grown
        first = np.flatnonzero(np.diff(word, prepend=-1))
        self.words[word[first]] |= np.bitwise_or.reduceat(np.uint64(1) << (ids & np.uint64(63)), first)

    def build(self) -> RowSet:
        """A range where it can be one, else a bitmap cut to whole blocks around its ones."""
        used = np.flatnonzero(self.words)
        if not len(used):
            return RowSet(0, 0)
        rows = int(np.bitwise_count(self.words).sum(dtype=np.int64))
        head, tail = int(self.words[used[0]]), int(self.words[used[-1]])
        first = int(used[0]) * 64 + ((head & -head).bit_length() - 1)
        if int(used[-1]) * 64 + tail.bit_length() - first == rows:
            return RowSet(first, rows)
        low, high = int(used[0]) // BLOCK * BLOCK, -(-(int(used[-1]) + 1) // BLOCK) * BLOCK
        words = np.zeros(high - low, np.uint64)
        part = self.words[low:high]
        words[: len(part)] = part
        ones = np.bitwise_count(words).reshape(-1, BLOCK).sum(axis=1, dtype=np.int64)
        made = RowSet(low * 64, rows, words, np.concatenate([[0], np.cumsum(ones)]).astype(np.int64))
        digest = hashlib.sha256(made.to_bytes()).hexdigest()
        return RowSet(made.base, made.rows, made.words, made.counts, digest)


def row_set(batches: Iterable[np.ndarray]) -> RowSet:
    """The set of all row ids in the batches."""
    builder = RowSetBuilder()
    for ids in batches:
        builder.add(ids)
    return builder.build()


def save(rows: RowSet, folder: Path) -> None:
    """Write the side file of a bitmap, if its digest is not there yet; it appears whole or not at all."""
    if rows.words is None:
        return
    path = folder / f"{rows.digest}.rows"
    if not path.exists():
        side_file.save(path, [rows.to_bytes()])


def load(body: dict[str, Any], folder: Path, *, verify: bool = True) -> RowSet:
    """Open a row set as a lock names it; `Corrupt` when the side file is gone or its bytes are others."""
    if body["kind"] == "range":
        return RowSet(body["first"], body["rows"])
    path = folder / f"{body['digest']}.rows"
    side_file.must_exist(path, "row-set")
    if verify:
        side_file.check(path, "row-set", body["digest"])
    mapped = np.asarray(np.memmap(path, "<u8", mode="r"))
    magic, base, rows, words = (int(value) for value in mapped[:HEADER])
    if magic != MAGIC or rows != body["rows"]:
        raise Corrupt(f"row-set file {path} does not hold the {body['rows']} rows that the lock names")
    counts = mapped[HEADER + words :].view(np.int64)
    return RowSet(base, rows, mapped[HEADER : HEADER + words], counts, body["digest"])
