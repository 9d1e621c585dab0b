"""Where the windows of a pack begin and end, before and after a mix was revised.

A window is `size` consecutive indices. A revision at index N ends a window there, and windows are counted on from N; so
what comes before N is packed as if the revision had never been, but for the one window that N cuts short. Every window
is packed under the name of the oldest lock that has it whole, which makes its sequences the same in all of them.

A place in the old lock is a place in the new one when nothing of what was served by then comes from a window that the
revision changed: at the beginning of a window up to N, or inside one that ends by N.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Windows:
    """The windows of a mix of `total` indices that was revised at `cuts`, ascending."""

    size: int
    total: int
    cuts: tuple[int, ...] = ()

    def _regions(self) -> tuple[np.ndarray, np.ndarray]:
        """Where each stretch between cuts begins, and the number of its first window; the end comes last."""
        inner = sorted({cut for cut in self.cuts if 0 < cut < self.total})
        begins = np.array([0, *inner, self.total], np.int64)
        counts = -(-np.diff(begins) // self.size)
        return begins, np.concatenate([[0], np.cumsum(counts)])

    def __len__(self) -> int:
        return int(self._regions()[1][-1])

    def bounds(self, number: int) -> tuple[int, int]:
        """First index of a window and the one after its last; past the last window both are the end."""
        begins, first = self._regions()
        if number >= first[-1]:
            return self.total, self.total
        region = int(np.searchsorted(first, number, side="right")) - 1
        begin = int(begins[region]) + (number - int(first[region])) * self.size
        return begin, min(begin + self.size, int(begins[region + 1]))

    def before(self, index: int) -> int:
        """How many windows end at `index` or before."""
        begins, first = self._regions()
        if index >= self.total:
            return int(first[-1])
        region = int(np.searchsorted(begins, index, side="right")) - 1
        return int(first[region]) + (index - int(begins[region])) // self.size


@dataclass(frozen=True)
class Ancestor:
    """A lock that this one revises, directly or not: the same below index `same`."""

    digest: str
    ref: str
    same: int
    windows: Windows


def lineage(lock: Mapping[str, Any], total: int, size: int) -> tuple[Windows, list[Ancestor]]:
    """The windows of a lock, and the locks before it, newest first.

    Locks published before revisions said how long the old mix was (`samples`) are packed without cuts, by themselves.
    """
    chain = []
    for held in lock.get("revises", ()):
        if "samples" not in held:
            break
        chain.append(held)
    cuts = [held.get("cut", held["at"]) for held in chain]
    ancestors = [
        Ancestor(held["digest"], held["ref"], held["at"], Windows(size, held["samples"], _in_force(cuts[at + 1 :])))
        for at, held in enumerate(chain)
    ]
    return Windows(size, total, _in_force(cuts)), ancestors


def _in_force(cuts: Sequence[int]) -> tuple[int, ...]:
    """Cuts, newest first, without those that a newer one came before."""
    return tuple(sorted(set(np.minimum.accumulate(cuts).tolist()))) if cuts else ()


def origin(number: int, windows: Windows, ancestors: Sequence[Ancestor]) -> Ancestor | None:
    """The oldest lock that has this very window; None: this one."""
    begin, end = windows.bounds(number)
    for held in reversed(ancestors):
        if end <= held.same and held.windows.bounds(number) == (begin, end):
            return held
    return None
