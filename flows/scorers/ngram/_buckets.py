"""Hashed uni- and bigram features of DSIR, with a bounded cache in front of SHA-256.

A feature's bucket is int(sha256(n-gram)) modulo the number of buckets, as published, and hashing every occurrence costs
microseconds. Natural text repeats itself: words are found in numpy, every n-gram gets a 64-bit key, and a table maps
keys to buckets. Only n-grams that the table does not hold become strings and go through SHA-256. Two n-grams of one key
would share a bucket: with 10^8 distinct ones the chance that any two do is 3 in 10,000.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from threading import Lock

import numpy as np

from flows.scorers.ngram._hashing import mix, ngram_hashes, owners, runs, span_hashes

_SLOTS = 22  # 2^22 n-grams: 50 MB; a newcomer takes its slot from whoever had it
_SPACE, _WORD, _PUNCTUATION = range(3)


class Features:
    """The buckets of texts; one object a process for each (number of buckets, n)."""

    def __init__(self, buckets: int, ngrams: int) -> None:
        self.buckets, self.ngrams, self.lock = buckets, ngrams, Lock()
        self.keys, self.held = np.zeros(1 << _SLOTS, np.uint64), np.zeros(1 << _SLOTS, np.uint32)

    def __call__(self, texts: Sequence[str | None]) -> tuple[np.ndarray, np.ndarray]:
        """Bucket of every n-gram of all texts, and the index of the text that holds it, in the order of the texts."""
        lowered = [text.lower() if text else "" for text in texts]
        buckets, owner = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for start, stop in runs(lowered):
            found, of = self._run(lowered[start:stop])
            buckets.append(found)
            owner.append(of + start)
        return np.concatenate(buckets), np.concatenate(owner)

    def _run(self, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
        text = "\n".join(texts)
        starts, ends, keys = tokens(text)
        bounds = np.cumsum([0, *(len(part) + 1 for part in texts)])
        offsets = np.searchsorted(starts, bounds)
        owner, first = owners(offsets), np.arange(starts.size)
        if self.ngrams == 2:
            pairs, left = ngram_hashes(keys, offsets, 2)
            keys, owner, first = np.append(keys, pairs), np.append(owner, owner[left]), np.append(first, left)

        slots = (keys >> np.uint64(64 - _SLOTS)).astype(np.int64)
        with self.lock:  # worker threads share the table
            buckets = self.held[slots].astype(np.int64)
            missing = np.flatnonzero(self.keys[slots] != keys)
            if missing.size:
                _, once, back = np.unique(keys[missing], return_index=True, return_inverse=True)
                order = np.argsort(once)  # words first, then pairs
                new = missing[once[order]]
                words = int(np.searchsorted(new, starts.size))
                made = sha256_buckets(_strings(text, starts, ends, first[new], words), self.buckets)
                place = np.empty_like(order)
                place[order] = np.arange(order.size)
                buckets[missing] = made[place[back]]
                self.keys[slots[new]], self.held[slots[new]] = keys[new], made
        return buckets, owner


@cache
def features(buckets: int, ngrams: int) -> Features:
    return Features(buckets, ngrams)


def tokens(text: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""Start, end and key of every match of ``\w+|[^\w\s]+``, the WordPunct tokeniser."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    kind = _kinds()[codes]
    bounds = np.flatnonzero(np.append(True, kind[1:] != kind[:-1])) if codes.size else np.empty(0, np.int64)
    ends = np.append(bounds[1:], codes.size)[: bounds.size]
    token = kind[bounds] != _SPACE
    values = np.where(kind == _SPACE, 0, codes.astype(np.uint64) + np.uint64(1))
    return bounds[token], ends[token], mix(span_hashes(values, bounds[token]))


def _strings(text: str, starts: np.ndarray, ends: np.ndarray, first: np.ndarray, words: int) -> list[str]:
    """The n-grams that begin at the tokens `first`: `words` single ones, then pairs joined by one space."""
    alone, left = first[:words], first[words:]
    made = [text[a:b] for a, b in zip(starts[alone].tolist(), ends[alone].tolist())]
    corners = (starts[left], ends[left], starts[left + 1], ends[left + 1])
    return made + [f"{text[a:b]} {text[c:d]}" for a, b, c, d in zip(*(corner.tolist() for corner in corners))]


def sha256_buckets(ngrams: Sequence[str], buckets: int) -> np.ndarray:
    """int(sha256(n-gram in UTF-8), big-endian) modulo buckets, of each; the 256-bit remainder is taken word by word."""
    digests = b"".join([sha256(ngram.encode("utf-8", "surrogatepass")).digest() for ngram in ngrams])
    rest = np.zeros(len(ngrams), np.uint64)
    for word in np.frombuffer(digests, ">u4").reshape(-1, 8).T:
        rest = (rest << np.uint64(32) | word.astype(np.uint64)) % np.uint64(buckets)
    return rest.astype(np.int64)


@cache
def _kinds() -> np.ndarray:
    """Kind of every code point as Python's `re` sees it."""
    kinds, everything = np.full(0x110000, _PUNCTUATION, np.uint8), "".join(map(chr, range(0x110000)))
    for kind, pattern in ((_WORD, r"\w+"), (_SPACE, r"\s+")):
        for match in re.finditer(pattern, everything):
            kinds[slice(*match.span())] = kind
    return kinds
