"""Hashed uni- and bigram features of DSIR, with a bounded cache in front of SHA-256.

A feature's bucket is int(sha256(n-gram)) modulo the number of buckets, as published. Hashing every occurrence costs some
2 microseconds; natural text repeats itself, so words get numbers from a dictionary and bigrams, as pairs of numbers,
are looked up in one numpy gather. The cache only saves work: an evicted entry is hashed again.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from itertools import chain, count, islice
from threading import Lock

import numpy as np

from flows.scorers.ngram._hashing import mix, owners

_TOKENS = re.compile(r"\w+|[^\w\s]+")  # the WordPunct tokeniser
_SLOTS = 22  # 2^22 bigrams: 50 MB
_WORDS, _CHARACTERS = 500_000, 20_000_000  # the dictionary starts afresh beyond these: some 100 MB


class Features:
    """Buckets of words and bigrams; one object a process for each (number of buckets, n)."""

    def __init__(self, buckets: int, ngrams: int) -> None:
        self.buckets, self.ngrams, self.lock = buckets, ngrams, Lock()
        self._clear()

    def __call__(self, texts: Sequence[str | None]) -> tuple[np.ndarray, np.ndarray]:
        """Bucket of every n-gram of all texts, and the index of the text that holds it; words first, then bigrams."""
        tokens = [_TOKENS.findall(text.lower()) if text else [] for text in texts]
        offsets = np.cumsum([0, *map(len, tokens)])
        with self.lock:  # worker threads share the dictionary
            words = np.fromiter(map(self.numbers.__getitem__, chain.from_iterable(tokens)), np.int64, offsets[-1])
            self._learn()
            owner = owners(offsets)
            buckets = self.word_buckets[words]
            if self.ngrams == 2 and words.size > 1:
                inside = np.flatnonzero(owner[1:] == owner[:-1])
                buckets = np.concatenate([buckets, self._bigrams(words[inside], words[inside + 1])])
                owner = np.concatenate([owner, owner[inside]])
            if len(self.words) > _WORDS or self.characters > _CHARACTERS:
                self._clear()
        return buckets, owner

    def _clear(self) -> None:
        self.numbers: defaultdict[str, int] = defaultdict(count().__next__)
        self.words: list[str] = []
        self.characters = 0
        self.word_buckets = np.empty(1024, np.int64)
        self.pairs = np.zeros(0, np.uint64)  # 1 + (first << 32 | second) of the bigram in each slot; 0: empty

    def _learn(self) -> None:
        """Buckets of the words that the dictionary met for the first time."""
        held, total = len(self.words), len(self.numbers)
        if held == total:
            return
        new = list(islice(reversed(self.numbers), total - held))[::-1]  # dictionaries keep insertion order
        if total > self.word_buckets.size:
            self.word_buckets = np.concatenate([self.word_buckets[:held], np.empty(total, np.int64)])
        self.word_buckets[held:total] = sha256_buckets(new, self.buckets)
        self.words += new
        self.characters += sum(map(len, new))

    def _bigrams(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        if not self.pairs.size:
            self.pairs, self.pair_buckets = np.zeros(1 << _SLOTS, np.uint64), np.zeros(1 << _SLOTS, np.uint32)
        keys = (first.astype(np.uint64) << np.uint64(32) | second.astype(np.uint64)) + np.uint64(1)
        slots = (mix(keys) >> np.uint64(64 - _SLOTS)).astype(np.int64)
        buckets = self.pair_buckets[slots].astype(np.int64)
        missing = np.flatnonzero(self.pairs[slots] != keys)
        if missing.size:
            _, once, back = np.unique(keys[missing], return_index=True, return_inverse=True)
            once = missing[once]
            pairs = zip(first[once].tolist(), second[once].tolist(), strict=True)
            fresh = sha256_buckets([f"{self.words[a]} {self.words[b]}" for a, b in pairs], self.buckets)
            buckets[missing] = fresh[back]
            self.pairs[slots[once]], self.pair_buckets[slots[once]] = keys[once], fresh
        return buckets


@cache
def features(buckets: int, ngrams: int) -> Features:
    return Features(buckets, ngrams)


def sha256_buckets(ngrams: Sequence[str], buckets: int) -> np.ndarray:
    """int(sha256(n-gram in UTF-8), big-endian) modulo buckets, of each; the 256-bit remainder is taken word by word."""
    digests = b"".join([sha256(ngram.encode("utf-8", "surrogatepass")).digest() for ngram in ngrams])
    rest = np.zeros(len(ngrams), np.uint64)
    for word in np.frombuffer(digests, ">u4").reshape(-1, 8).T:
        rest = (rest << np.uint64(32) | word.astype(np.uint64)) % np.uint64(buckets)
    return rest.astype(np.int64)
