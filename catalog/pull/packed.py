"""Packed sequences as arrays, the place of a run among them, and the counts of windows that became known."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from catalog.pull.pack import PackedReader, Window

IGNORED = -100
"""Label of a token that has no loss, as torch's cross-entropy has it."""


class Place(NamedTuple):
    """Where a run stands: the next sequence is `offset` of `window`, and number `sequence` of the mix."""

    window: int
    offset: int
    sequence: int


@dataclass(frozen=True)
class Packed:
    """Sequences as (rows, length) arrays.

    labels equal input_ids where the loss counts and are -100 elsewhere: in padding, at the first token of a document
    (nothing before it may predict it) and outside of a chat's answers; a model that shifts labels takes them as they are.
    documents: 0 in padding, else 1, 2, ... in a row: tokens may attend to their own number only. positions start at 0 in
    each document. cu_seqlens: bounds of the documents (and stretches of padding) over the rows laid end to end.
    sources: one row a document: row, begin, tokens, global index, part, epoch, first token of the document.
    weights: of each label, that of its sample; 0 where the loss does not count. None where samples are not weighed.
    """

    sequences: np.ndarray
    input_ids: np.ndarray
    labels: np.ndarray
    positions: np.ndarray
    documents: np.ndarray
    cu_seqlens: np.ndarray
    sources: np.ndarray
    weights: np.ndarray | None = None


SOURCES = ("row", "begin", "tokens", "index", "part", "epoch", "first")


def assemble(packed: PackedReader, wanted: list[tuple[int, Window, int]]) -> Packed:
    """Lay out sequences (number, window, offset) as one batch."""
    shape = (len(wanted), packed.length)
    ids = np.full(shape, packed.tokenizer.pad, np.int64)
    labels = np.full(shape, IGNORED, np.int64)
    positions, documents = np.zeros(shape, np.int64), np.zeros(shape, np.int32)
    bounds, sources = [0], []
    weights = np.zeros(shape, np.float32) if packed.weighed else None
    for row, (_, window, offset) in enumerate(wanted):
        piece, base, end = window.plan.pieces(offset), row * packed.length, 0
        for number, at in enumerate(range(piece.start, piece.stop), 1):
            doc, first = int(window.plan.doc[at]), int(window.plan.begin[at])
            begin, count = int(window.plan.at[at]), int(window.plan.length[at])
            end = begin + count
            bounds.append(base + end)
            positions[row, begin:end] = np.arange(count)
            if not window.live[doc]:  # its place stays empty
                continue
            tokens, mask = window.tokens[doc], window.masks[doc]
            assert tokens is not None
            ids[row, begin:end] = found = tokens[first : first + count]
            documents[row, begin:end] = number
            labels[row, begin:end] = found if mask is None else np.where(mask[first : first + count], found, IGNORED)
            labels[row, begin] = IGNORED
            if weights is not None and window.weights is not None:
                weights[row, begin:end] = np.where(labels[row, begin:end] == IGNORED, 0, window.weights[doc])
            sources.append((row, begin, count, window.indices[doc], window.part[doc], window.epoch[doc], first))
        if end < packed.length:
            positions[row, end:] = np.arange(packed.length - end)
            bounds.append(base + packed.length)
    return Packed(
        np.array([number for number, _, _ in wanted], np.int64), ids, labels, positions, documents,
        np.array(bounds, np.int32), np.array(sources, np.int64).reshape(-1, len(SOURCES)), weights,
    )  # fmt: skip


class Counts:
    """Sequences of each window, as they become known: four bytes a window in one file, 0 for unknown, else count + 1.

    Every writer writes the same number at the same place, so ranks share it without a lock.
    """

    def __init__(self, path: Path, windows: int) -> None:
        self.path, self.windows = path, windows
        self.known = np.zeros(windows, "<u4")
        self.first = np.zeros(windows + 1, np.int64)  # of the first `ready` windows and the one after
        self.ready = 0
        try:
            held = np.fromfile(path, "<u4")[:windows]
            self.known[: len(held)] = held
        except OSError:
            return

    def take(self, path: Path, windows: int) -> None:
        """Counts of the first windows from another file, where they are unknown here."""
        try:
            held = np.fromfile(path, "<u4")[: min(windows, self.windows)]
        except OSError:
            return
        mine = self.known[: len(held)]
        mine[mine == 0] = held[mine == 0]

    def get(self, window: int) -> int | None:
        found = int(self.known[window])
        return found - 1 if found else None

    def extend(self) -> int:
        """How many windows from the first on are known; their bounds are in `first`."""
        if self.ready < self.windows and self.known[self.ready]:
            rest = self.known[self.ready :]
            gaps = np.flatnonzero(rest == 0)
            end = self.ready + (int(gaps[0]) if len(gaps) else len(rest))
            counts = self.known[self.ready : end].astype(np.int64) - 1
            self.first[self.ready + 1 : end + 1] = self.first[self.ready] + np.cumsum(counts)
            self.ready = end
        return self.ready

    def window_of(self, sequence: int) -> int | None:
        """The window that holds a sequence; None while it lies beyond what is known."""
        ready = self.extend()
        if sequence >= self.first[ready]:
            return None
        return int(np.searchsorted(self.first[: ready + 1], sequence, side="right")) - 1

    def put(self, window: int, count: int) -> None:
        if self.known[window]:
            return
        self.known[window] = count + 1
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                os.pwrite(file, np.array([count + 1], "<u4").tobytes(), 4 * window)
            finally:
                os.close(file)
        except OSError:
            return
