"""Shuffle [0, rows) by runs: position -> place, closed form, backwards too, so that neighbours are read together.

The rows are cut into runs of `size`; the runs are permuted, and the rows of every `buffer` consecutive runs are
permuted among themselves. A reader that takes the stream in order finds its rows in `buffer` runs at a time: remote
reads are sequential, as behind a shuffle buffer, but any position can be computed and nothing is held in memory.
Both permutations are those of catalog.pull.permute; a group's round keys are derived from the epoch's by SplitMix64.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from catalog.pull import permute

ALGORITHM = "blocks-1"
SIZE, BUFFER = 1024, 16


@dataclass(frozen=True)
class Blocks:
    """The runs of one epoch of one part; only the last run may be short, wherever the permutation puts it."""

    rows: int
    size: int
    buffer: int
    outer: np.ndarray
    inner: np.ndarray

    @classmethod
    def of(cls, rows: int, size: int, buffer: int, seed: int, key: str, epoch: int) -> Blocks:
        outer = permute.round_keys(seed, f"{ALGORITHM}|runs|{key}", epoch)
        return cls(rows, size, buffer, outer, permute.round_keys(seed, f"{ALGORITHM}|rows|{key}", epoch))

    @property
    def runs(self) -> int:
        return -(-self.rows // self.size)

    @property
    def _lack(self) -> int:
        """Rows that the last run lacks."""
        return self.runs * self.size - self.rows

    def _short(self) -> int:
        """Where in the order of the runs the short one comes."""
        return int(permute.inverse(np.array([self.runs - 1]), self.runs, self.outer)[0])

    def _start(self, turn: np.ndarray, short: int) -> np.ndarray:
        """Position at which the run that comes as number `turn` begins."""
        turn = np.minimum(turn, self.runs)
        return turn * self.size - self._lack * (turn > short)

    def _turn(self, position: np.ndarray, short: int) -> np.ndarray:
        before = np.minimum(position // self.size, short)
        after = (position + self._lack) // self.size
        return np.where(position < (short + 1) * self.size - self._lack, before, after)

    def _inside(self, step, turn: np.ndarray, position: np.ndarray, short: int) -> np.ndarray:
        """Permute positions inside their groups of runs, forwards or backwards."""
        group = turn // self.buffer
        begin = self._start(group * self.buffer, short)
        length = self._start((group + 1) * self.buffer, short) - begin
        out = np.empty_like(position)
        for rows in np.unique(length):  # two or three lengths: whole groups, that of the short run, the last
            mine = length == rows
            keys = permute.mixed(group[mine].astype(np.uint64)[None, :], self.inner[:, None])
            out[mine] = begin[mine] + step(position[mine] - begin[mine], int(rows), keys)
        return out

    def place(self, position: np.ndarray) -> np.ndarray:
        """Row at each position of the epoch."""
        position, short = np.asarray(position, np.int64), self._short()
        moved = self._inside(permute.permute, self._turn(position, short), position, short)
        turn = self._turn(moved, short)
        return permute.permute(turn, self.runs, self.outer) * self.size + moved - self._start(turn, short)

    def position(self, place: np.ndarray) -> np.ndarray:
        """Position at which each row comes."""
        place, short = np.asarray(place, np.int64), self._short()
        turn = permute.inverse(place // self.size, self.runs, self.outer)
        moved = self._start(turn, short) + place % self.size
        return self._inside(permute.inverse, turn, moved, short)
