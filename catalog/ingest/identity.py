"""Which sample is this? Sample ids, repeats, and rows the dataset already holds.

A record with a key is named by (source, key), one without by (source, file label, content): that is its first id. A
record whose first id is taken gets a further id from (first id, content, occurrence), counted from 0, so nothing that
is in a file is lost. Taken means: an earlier record of this ingest has it, or a live row has it with other content.

    same key, same content, again in one ingest     kept, as an occurrence
    same key, other content                         kept beside the first; the newer does not replace the older
    same id and content as a live row               held: the row is there already and is skipped
    same id as a retracted row                      skipped: what was retracted does not come back

Ids of records with equal names do not depend on their order, except that the first claims the first id. Memory is 16 to 24
bytes a row of this ingest and 8 a live row (32 more where one is met again): sorted arrays of half the id, merged like
the levels of a log-structured tree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from xxhash import xxh3_128_digest

from catalog.digests import digest_words, id_words

NEW, HELD, RETRACTED = 0, 1, 2
FORGET = 1_000_000  # occurrence counters kept; beyond, they are found again by probing


class Seen:
    """A set of 64-bit words that only grows: a few sorted arrays of rising size, behind a table of their first bits.

    The table answers most questions for new words; it has 8 to 16 slots of one byte a word.
    """

    def __init__(self) -> None:
        self.levels: list[np.ndarray] = []
        self.bits = 20
        self.table = np.zeros(1 << self.bits, bool)

    def add(self, words: np.ndarray) -> None:
        if not len(words):
            return
        level = np.sort(words)
        while self.levels and len(self.levels[-1]) < 2 * len(level):
            level = np.sort(np.concatenate([self.levels.pop(), level]), kind="stable")
        self.levels.append(level)
        if len(self) * 8 > len(self.table):
            while len(self) * 8 > 1 << self.bits:
                self.bits += 1
            self.table = np.zeros(1 << self.bits, bool)
            words = np.concatenate(self.levels)
        self.table[self._slots(words)] = True

    def contains(self, words: np.ndarray) -> np.ndarray:
        found = self.table[self._slots(words)]
        maybe = np.flatnonzero(found)
        if len(maybe):
            asked = words[maybe]
            exact = np.zeros(len(maybe), bool)
            for level in self.levels:
                exact |= level[np.minimum(np.searchsorted(level, asked), len(level) - 1)] == asked
            found[maybe] = exact
        return found

    def holds(self, word: int) -> bool:
        asked = np.uint64(word)
        return bool(self.table[int(asked >> np.uint64(64 - self.bits))]) and any(
            (at := int(np.searchsorted(level, asked))) < len(level) and level[at] == asked for level in self.levels
        )

    def _slots(self, words: np.ndarray) -> np.ndarray:
        return (words >> np.uint64(64 - self.bits)).astype(np.intp)

    def __len__(self) -> int:
        return sum(map(len, self.levels))


class Known:
    """Sample ids that a dataset holds, live or retracted. `load` yields batches of sample_id, content_id, removed."""

    def __init__(self, load: Callable[[list[str]], Iterable[Any]] | None) -> None:
        self.load = load
        self.exact: tuple[np.ndarray, ...] | None = None
        parts = [id_words(batch.column("sample_id"))[:, 0] for batch in load(["sample_id"])] if load else []
        self.words = np.sort(np.concatenate(parts)) if parts else np.empty(0, np.uint64)

    def contains(self, words: np.ndarray) -> np.ndarray:
        if not len(self.words):
            return np.zeros(len(words), bool)
        return self.words[np.minimum(np.searchsorted(self.words, words), len(self.words) - 1)] == words

    def get(self, digest: bytes) -> tuple[bytes, bool] | None:
        """(first half of the content id, retracted) of the row with this id, if there is one."""
        if not len(self.words):
            return None
        first, second = np.uint64(_word(digest)), np.uint64(int.from_bytes(digest[8:], "big"))
        at = int(np.searchsorted(self.words, first))
        if at >= len(self.words) or self.words[at] != first:
            return None
        if self.exact is None:
            self.exact = self._exact()
        ids, rest, contents, retracted = self.exact
        while at < len(ids) and ids[at] == first:
            if rest[at] == second:
                return int(contents[at]).to_bytes(8, "big"), bool(retracted[at])
            at += 1
        return None

    def _exact(self) -> tuple[np.ndarray, ...]:
        """Both halves of the id, half of the content id, and whether retracted: read when a live row is first met."""
        ids, contents, gone = [], [], []
        assert self.load is not None
        for batch in self.load(["sample_id", "content_id", "removed"]):
            ids.append(id_words(batch.column("sample_id")))
            contents.append(id_words(batch.column("content_id"))[:, 0])
            gone.append(batch.column("removed").is_valid().to_numpy(zero_copy_only=False))
        both, content, retracted = np.concatenate(ids), np.concatenate(contents), np.concatenate(gone)
        order = np.argsort(both[:, 0], kind="stable")
        return both[order, 0], both[order, 1], content[order], retracted[order]


class Identity:
    """Gives each record of one ingest its sample id, from the first ids of `catalog.ingest.prepare`."""

    def __init__(self, known: Known | None = None) -> None:
        self.known, self.seen = known or Known(None), Seen()
        self.counters: dict[bytes, int] = {}
        self.fresh: set[int] = set()

    def assign(
        self, ids: bytes, contents: bytes, keyed: np.ndarray | None, *, goes_on: bool = False
    ) -> tuple[bytes, np.ndarray]:
        """Sample ids and NEW, HELD or RETRACTED for the records of a chunk, given their first ids (16 bytes each).

        goes_on: the file goes on where an earlier ingest ended, so that a live id is taken, not met again.
        """
        words = digest_words(ids)[:, 0].copy()
        met, live = self.seen.contains(words), self.known.contains(words)
        doubtful = np.flatnonzero(met | live | _repeated(words)).tolist()
        state = np.zeros(len(words), np.uint8)
        if doubtful:
            self.fresh, changed = set(), bytearray(ids)
            for at in doubtful:
                here = slice(16 * at, 16 * at + 16)
                taken = bool(met[at]) or int(words[at]) in self.fresh
                has_key = keyed is not None and bool(keyed[at])
                changed[here], state[at] = self._settle(
                    ids[here], contents[here], taken, bool(live[at]), has_key, goes_on
                )
            ids = bytes(changed)
            words = digest_words(ids)[:, 0]
        self.seen.add(words)
        return ids, state

    def _settle(
        self, first: bytes, content: bytes, taken: bool, live: bool, keyed: bool, goes_on: bool
    ) -> tuple[bytes, int]:
        """The id of a record whose first id may be taken, in the order of the file."""
        if not taken:
            row = self.known.get(first) if live else None
            if row is None:
                return self._claim(first), NEW
            if row[1]:
                return self._claim(first), RETRACTED
            if not goes_on and (not keyed or row[0] == content[:8]):
                return self._claim(first), HELD
        base = first + content
        at = self.counters.get(base)
        if at is None:
            at = self._first_free(base, goes_on)
        digest = _occurrence(base, at)
        if len(self.counters) >= FORGET:
            self.counters.clear()
        self.counters[base] = at + 1
        row = None if goes_on else self.known.get(digest)
        return self._claim(digest), NEW if row is None else (RETRACTED if row[1] else HELD)

    def again(self, ids: bytes, contents: bytes) -> tuple[bytes, np.ndarray]:
        """Look at ids given earlier once more, now that `known` holds rows others have published since."""
        words = digest_words(ids)[:, 0]
        state, out = np.zeros(len(words), np.uint8), bytearray(ids)
        self.fresh = set()
        for at in np.flatnonzero(self.known.contains(words)).tolist():
            here = slice(16 * at, 16 * at + 16)
            row = self.known.get(ids[here])
            if row is None:
                continue
            if row[1] or row[0] == contents[here][:8]:
                state[at] = RETRACTED if row[1] else HELD
            else:  # a key that another content has taken
                out[here], state[at] = self._settle(ids[here], contents[here], True, True, True, False)
        return bytes(out), state

    def _first_free(self, base: bytes, goes_on: bool) -> int:
        """The first unclaimed occurrence. Claims have no gaps, so doubling and halving finds it."""

        def taken(at: int) -> bool:
            digest = _occurrence(base, at)
            return self._claimed(digest) or (goes_on and self.known.get(digest) is not None)

        if not taken(0):
            return 0
        high = 1
        while taken(high):
            high *= 2
        low = high // 2
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if taken(middle) else (low, middle)
        return high

    def _claim(self, digest: bytes) -> bytes:
        self.fresh.add(_word(digest))
        return digest

    def _claimed(self, digest: bytes) -> bool:
        word = _word(digest)
        return word in self.fresh or self.seen.holds(word)


def _word(digest: bytes) -> int:
    return int.from_bytes(digest[:8], "big")


def _occurrence(base: bytes, at: int) -> bytes:
    return xxh3_128_digest(base + b"\0o\0" + at.to_bytes(8, "big"))


def _repeated(words: np.ndarray) -> np.ndarray:
    """Which words stand more than once in an array."""
    order = np.argsort(words, kind="stable")
    ranked = words[order]
    same = ranked[1:] == ranked[:-1]
    out = np.zeros(len(words), bool)
    out[order[1:][same]] = True
    out[order[:-1][same]] = True
    return out
