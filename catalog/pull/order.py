"""Which part serves global index i, and which item of that part: closed form, vectorised, no state.

A segment serves `counts[p]` items of every part p. Up to LIMIT items it is one period whose positions are given out by
the rule for the chairman assignment problem (R. Tijdeman, "The chairman assignment problem", Discrete Mathematics 32,
1980): of the parts that may be served, take the one that must be served first. After every prefix each of k parts is
then within 1 - 1/(2k - 2) of its exact share.

A longer segment turns a wheel: K = ceil(N / LIMIT) turns, and in each turn part p has floor(n_p / K) positions. What
the floors leave over (R items) gets floor or ceil(R / K) positions a turn, given to a smaller wheel over the leftovers,
so that a part too small for one position a turn is spread over the whole segment instead of piling up at its end. Turn
b starts at floor(b N / K); so there are two patterns, and index -> turn is a division. Each wheel adds less than three
items to the deviation; with a handful of parts two wheels reach 10^9 items, three 10^11.

Weights that are whole shares of LONGEST or fewer (7 : 2 : 1, or decimals of up to five digits) need no second wheel: a
long segment of them repeats one period, after which every part is exactly at its share, and is cut off at its length.
So the bound of one period holds at any length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache
from heapq import heappop, heappush
from math import gcd, lcm
from typing import Any

import numpy as np

from catalog.errors import BadInput

ALGORITHM = "chairman-wheel-1"
PERIODS = "whole-periods-1"
"""Named in the locks with a segment that says its turns."""
LIMIT = 65_536
LONGEST = 131_072
"""Most items of the period that weights repeat after."""
LARGEST = 1 << 39
"""Most items of a segment: index times turns stays inside 64 bits."""


@dataclass(frozen=True, eq=False)
class Pattern:
    """The positions of one turn: `slots[o]` is the slot at offset o; the rest answers "how many of slot s before o"."""

    slots: np.ndarray
    keys: np.ndarray  # slot * (length + 1) + offset, sorted
    starts: np.ndarray

    def before(self, slot: np.ndarray, offset: np.ndarray) -> np.ndarray:
        key = slot * (len(self.slots) + 1) + offset
        return np.searchsorted(self.keys, key) - self.starts[slot]


@lru_cache(maxsize=64)
def pattern(counts: tuple[int, ...]) -> Pattern:
    """Arrange counts[s] positions of every slot s by Tijdeman's rule; ties go to the lower slot."""
    slots = _chairman(np.array(counts, np.int64))
    by_slot = np.argsort(slots, kind="stable")
    keys = slots[by_slot] * (len(slots) + 1) + by_slot
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
    return Pattern(slots, keys, starts)


def _chairman(counts: np.ndarray) -> np.ndarray:
    used = np.flatnonzero(counts)
    total, k = int(counts.sum()), len(used)
    if k <= 1:
        return np.repeat(np.arange(len(counts)), counts)
    share = np.repeat(counts[used], counts[used])
    item = np.concatenate([np.arange(count) for count in counts[used]])
    slot = np.repeat(used, counts[used])
    # Item j may be served at time n once n c/N - j >= 1/(2k-2), and must be before n c/N - j > 1 - 1/(2k-2).
    scale = 2 * k - 2
    release = -((-(1 + scale * item) * total) // (scale * share))
    deadline = ((scale - 1 + scale * item) * total) // (scale * share)
    urgency = (deadline * len(counts) + slot).tolist()
    arrivals = np.argsort(release, kind="stable")
    due, waiting, heap, out = release[arrivals].tolist(), arrivals.tolist(), [], np.empty(total, np.int64)
    at = 0
    for now in range(1, total + 1):
        while at < total and due[at] <= now:
            heappush(heap, urgency[waiting[at]])
            at += 1
        out[now - 1] = heappop(heap) % len(counts)
    return out


@dataclass(frozen=True, eq=False)
class Wheel:
    """counts[p] items of each part in one order; see the module docstring. The slot after the last part is the rest."""

    counts: np.ndarray
    turns: int = 0
    total: int = field(init=False)
    fixed: np.ndarray = field(init=False)
    patterns: tuple[Pattern, Pattern] = field(init=False)
    inner: Wheel | None = field(init=False)

    def __post_init__(self) -> None:
        counts = np.asarray(self.counts, np.int64)
        total = int(counts.sum())
        turns = self.turns or max(1, -(-total // LIMIT))
        fixed = counts // turns
        rest = int((counts - turns * fixed).sum())
        low, high = rest // turns, -(-rest // turns)
        made = tuple(pattern((*fixed.tolist(), extra)) for extra in (low, high))
        inner = Wheel(counts - turns * fixed) if rest else None
        values = dict(counts=counts, total=total, turns=turns, fixed=fixed, patterns=made, inner=inner)
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _turn(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Turn of each index, offset in it, and whether the turn is a long one."""
        turn = ((index + 1) * self.turns - 1) // self.total
        start = turn * self.total // self.turns
        length = (turn + 1) * self.total // self.turns - start
        return turn, index - start, length > len(self.patterns[0].slots)

    def _before(self, slot: np.ndarray, turn: np.ndarray, offset: np.ndarray, long: np.ndarray) -> np.ndarray:
        """Positions of a slot before (turn, offset); `slot` may be the rest."""
        short, tall = (made.before(slot, offset) for made in self.patterns)
        in_turn = np.where(long, tall, short)
        rest = len(self.counts)
        start = turn * self.total // self.turns
        per_turn = self.fixed[np.minimum(slot, rest - 1)] * turn
        return in_turn + np.where(slot == rest, start - turn * int(self.fixed.sum()), per_turn)

    def part(self, index: np.ndarray) -> np.ndarray:
        """The part that serves each index."""
        turn, offset, long = self._turn(index)
        short, tall = (made.slots[np.minimum(offset, len(made.slots) - 1)] for made in self.patterns)
        slot = np.where(long, tall, short)
        rest = len(self.counts)
        if self.inner is not None and (mask := slot == rest).any():
            where = self._before(slot[mask], turn[mask], offset[mask], long[mask])
            slot[mask] = self.inner.part(where)
        return slot

    def served(self, part: np.ndarray, index: np.ndarray) -> np.ndarray:
        """Items of `part` at positions before `index`: what the part has given when the cursor stands there."""
        turn, offset, long = self._turn(index)
        count = self._before(part, turn, offset, long)
        if self.inner is not None:
            rest = self._before(np.full_like(part, len(self.counts)), turn, offset, long)
            count = count + self.inner.served(part, rest)
        return count


def period_of(weights: Sequence[Fraction]) -> tuple[int, ...]:
    """Items of every part in a turn of about LIMIT items that holds the weights exactly; () when none is short enough."""
    scale = lcm(*(weight.denominator for weight in weights))
    shares = [int(weight * scale) for weight in weights]
    each = gcd(*shares) or 1
    length = sum(shares) // each
    if not 0 < length <= LONGEST:
        return ()
    return tuple(share // each * max(1, LIMIT // length) for share in shares)


def beginning(period: Sequence[int], total: int) -> list[int]:
    """Items of every part among the first `total` of an order that repeats a period."""
    turns, rest = divmod(total, sum(period))
    some = np.bincount(pattern((*period, 0)).slots[:rest], minlength=len(period))
    return [turns * each + int(more) for each, more in zip(period, some, strict=True)]


def exact(total: int, weights: Sequence[Fraction]) -> list[int] | None:
    """Counts of `total` items by weight that keep every window within two at any length, None where there are none."""
    if not LIMIT < total <= LARGEST // 2 or not (period := period_of(weights)):
        return None
    return beginning(period, total)


@dataclass(frozen=True)
class Segment:
    """`length` indices from `start`, in the order of the wheel over `counts`; part p goes on at item `cursors[p]`.

    A segment cut short (a change of weights) has a length below the sum of its counts. turns: of the wheel, where it
    repeats one period; 0 where the length decides.
    """

    start: int
    length: int
    counts: tuple[int, ...]
    cursors: tuple[int, ...]
    turns: int = 0

    def to_json(self) -> dict[str, Any]:
        return {
            "start": self.start,
            "length": self.length,
            "counts": list(self.counts),
            "cursors": list(self.cursors),
            **({"turns": self.turns} if self.turns else {}),
        }


def whole(counts: Sequence[int], weights: Sequence[Fraction] | None = None) -> Segment:
    """The one segment that serves counts[p] items of every part. weights: what the counts came from, if known."""
    total = sum(counts)
    if total > LARGEST:
        raise BadInput(f"a mix of {total:,} items is past the limit of {LARGEST:,}; split it into stages")
    held, none = tuple(int(count) for count in counts), (0,) * len(counts)
    for known in (weights, [Fraction(count) for count in held]):
        if known is not None and exact(total, known) == list(held):
            period = period_of(known)
            turns = -(-total // sum(period))
            return Segment(0, total, tuple(turns * each for each in period), none, turns)
    return Segment(0, total, held, none)


def chained(
    before: Sequence[Segment],
    counts: Sequence[int],
    cursors: Sequence[int],
    weights: Sequence[Fraction] | None = None,
) -> Segment:
    """The segment that serves counts[p] items of every part after others, each part from its cursor on."""
    start = before[-1].start + before[-1].length if before else 0
    return replace(whole(counts, weights), start=start, cursors=tuple(int(cursor) for cursor in cursors))


class Order:
    """The order of a mix: index -> (part, item of that part), and how many items of each part precede an index."""

    def __init__(self, segments: Sequence[Segment]) -> None:
        self.segments = list(segments)
        self.starts = np.array([segment.start for segment in self.segments], np.int64)
        self.total = sum(segment.length for segment in self.segments)
        self._wheels: dict[int, Wheel] = {}

    @classmethod
    def from_json(cls, segments: list[dict[str, Any]]) -> Order:
        return cls([
            Segment(s["start"], s["length"], tuple(s["counts"]), tuple(s["cursors"]), s.get("turns", 0))
            for s in segments
        ])  # fmt: skip

    def _wheel(self, number: int) -> Wheel:
        if number not in self._wheels:
            held = self.segments[number]
            self._wheels[number] = Wheel(np.array(held.counts, np.int64), held.turns)
        return self._wheels[number]

    def locate(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Part and item number (over all epochs) of each global index."""
        indices = np.asarray(indices, np.int64)
        if len(indices) and (indices.min() < 0 or indices.max() >= self.total):
            raise BadInput(f"index {int(indices.max())} is outside the mix, which has {self.total} items")
        part, item = np.empty_like(indices), np.empty_like(indices)
        number = np.searchsorted(self.starts, indices, side="right") - 1
        for at in np.unique(number):
            mask = number == at
            segment, wheel = self.segments[at], self._wheel(int(at))
            local = indices[mask] - segment.start
            parts = wheel.part(local)
            part[mask] = parts
            item[mask] = wheel.served(parts, local) + np.array(segment.cursors, np.int64)[parts]
        return part, item

    def served(self, index: int) -> list[int]:
        """Items that each part has given when the next index is `index`: the cursors of a segment that starts there."""
        if not 0 <= index <= self.total:
            raise BadInput(f"index {index} is outside the mix, which has {self.total} items")
        at = max(0, int(np.searchsorted(self.starts, index, side="left")) - 1)
        segment = self.segments[at]
        if index - segment.start == sum(segment.counts):  # all of it: no wheel has to be made to know
            return [count + cursor for count, cursor in zip(segment.counts, segment.cursors, strict=True)]
        parts = np.arange(len(segment.counts))
        given = self._wheel(at).served(parts, np.full(len(parts), index - segment.start))
        return (given + np.array(segment.cursors, np.int64)).tolist()

    def ranges(self) -> list[list[tuple[int, int]]]:
        """For every segment, the items [begin, end) that each part gives in it."""
        ends = [self.served(segment.start + segment.length) for segment in self.segments]
        return [list(zip(segment.cursors, end, strict=True)) for segment, end in zip(self.segments, ends, strict=True)]

    def index_of(self, part: int, items: np.ndarray) -> np.ndarray:
        """Global indices at which a part serves these items (over all epochs), ascending; items never served have none."""
        items = np.unique(np.asarray(items, np.int64))
        found = []
        for number, segment in enumerate(self.segments):
            wheel, first = self._wheel(number), segment.cursors[part]
            ends = int(wheel.served(np.array([part]), np.array([segment.length]))[0])
            mine = items[(items >= first) & (items < first + ends)] - first
            low, high = np.zeros(len(mine), np.int64), np.full(len(mine), segment.length)
            while len(mine) and (high - low).max() > 1:  # served() before `low` is at most the item, before `high` more
                middle = (low + high) // 2
                more = wheel.served(np.full(len(mine), part), middle) > mine
                low, high = np.where(more, low, middle), np.where(more, middle, high)
            found.append(low + segment.start)
        return np.concatenate(found) if found else items[:0]
