"""Best-fit-decreasing packing of documents into sequences of one length.

Long documents are cut into full sequences and a remainder; what is left is packed, longest first, each piece into the
fullest sequence it fits (H. Ding et al., "Fewer Truncations Improve Language Modeling", ICML 2024). The sequences with
room are a bit mask over the room they have, so that the best fit is one shift and one lowest bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from catalog.errors import BadInput
from catalog.pull import permute

ALGORITHM = "best-fit-decreasing-1"
LONG = ("split", "cut", "drop")


@dataclass(frozen=True)
class Plan:
    """Pieces of documents, sorted by (sequence, place in it). doc: number in the window; begin, length: its tokens;
    at: where the piece stands in its sequence; starts[s]:starts[s + 1]: the pieces of sequence s."""

    doc: np.ndarray
    begin: np.ndarray
    length: np.ndarray
    at: np.ndarray
    starts: np.ndarray

    def __len__(self) -> int:
        return len(self.starts) - 1

    def pieces(self, sequence: int) -> slice:
        return slice(int(self.starts[sequence]), int(self.starts[sequence + 1]))


def best_fit(lengths: np.ndarray, capacity: int) -> np.ndarray:
    """Sequence of each piece, numbered as they are opened. Every length is in [1, capacity]."""
    order = np.argsort(-lengths, kind="stable")
    out = np.empty(len(lengths), np.int64)
    room_of: dict[int, list[int]] = {}
    mask, opened = 0, 0
    for piece, length in zip(order.tolist(), lengths[order].tolist(), strict=True):
        fitting = mask >> length
        if fitting:
            room = length + (fitting & -fitting).bit_length() - 1
            held = room_of[room]
            sequence = held.pop()
            if not held:
                mask ^= 1 << room
        else:
            room, sequence, opened = capacity, opened, opened + 1
        out[piece] = sequence
        if left := room - length:
            room_of.setdefault(left, []).append(sequence)
            mask |= 1 << left
    return out


def cut(lengths: np.ndarray, capacity: int, long: str = "split") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pieces (document, first token, tokens) of documents; what is longer than a sequence is split, cut or dropped."""
    if long not in LONG:
        raise BadInput(f"long is one of {', '.join(LONG)}, not {long!r}")
    lengths = np.asarray(lengths, np.int64)
    if long == "drop":
        lengths = np.where(lengths > capacity, 0, lengths)
    elif long == "cut":
        lengths = np.minimum(lengths, capacity)
    pieces = -(-lengths // capacity)
    doc = np.repeat(np.arange(len(lengths)), pieces)
    nth = np.arange(len(doc)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    begin = nth * capacity
    return doc, begin, np.minimum(lengths[doc] - begin, capacity)


def plan(lengths: np.ndarray, capacity: int, seed: int, key: str, long: str = "split") -> Plan:
    """Pack documents of these lengths. Sequences are shuffled by (seed, key): the longest documents come not first."""
    doc, begin, length = cut(lengths, capacity, long)
    sequence = best_fit(length, capacity)
    count = int(sequence.max()) + 1 if len(sequence) else 0
    if count > 1:
        keys = permute.round_keys(seed, key, 0)
        sequence = permute.permute(sequence, count, keys)
    order = np.lexsort((begin, doc, sequence))
    doc, begin, length, sequence = doc[order], begin[order], length[order], sequence[order]
    starts = np.searchsorted(sequence, np.arange(count + 1))
    before = np.cumsum(length) - length
    at = before - before[starts[sequence]] if len(sequence) else before
    return Plan(doc, begin, length, at, starts)
