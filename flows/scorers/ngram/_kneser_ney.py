"""Interpolated modified Kneser-Ney over word hashes, in numpy.

Chen and Goodman 1999, "An empirical study of smoothing techniques for language modeling", section 3; estimated as in
Heafield et al. 2013, "Scalable modified Kneser-Ney language model estimation" (KenLM): counts of the highest order are
plain, lower ones count different words to the left, except n-grams that begin a sentence, which keep plain counts;
three discounts an order from counts of counts, with 0.5, 1, 1.5 where these allow none; unigrams are interpolated with
the uniform distribution over the vocabulary with the unknown word and the end of sentence.

A model is, for each order, sorted 64-bit keys of n-grams, their probabilities (lower orders already mixed in), and
sorted keys of contexts with the mass left to the lower order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from flows.scorers.ngram._hashing import mix

BEGIN, END = np.uint64(0x243F6A8885A308D3), np.uint64(0x13198A2E03707344)
_STEP = np.uint64(0xD6E8FEB86659FD93)
_FALLBACK = (0.5, 1.0, 1.5)


def sentences(words: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The words of every text that has any, between a begin and an end mark; and how many words lie to the left."""
    sizes = np.diff(offsets)
    sizes = sizes[sizes > 0] + 2
    ends = np.cumsum(sizes)
    stream = np.empty(int(sizes.sum()), np.uint64)
    inner = np.ones(stream.size, bool)
    inner[ends - 1], inner[ends - sizes] = False, False
    stream[inner], stream[ends - 1], stream[ends - sizes] = words, END, BEGIN
    return stream, np.arange(stream.size) - np.repeat(ends - sizes, sizes)


def estimate(stream: np.ndarray, left: np.ndarray, order: int) -> dict[str, Any]:
    """Keys and probabilities of orders 1 .. order, from sentences with their marks."""
    held = [_grams(stream, left, n) for n in range(1, order + 1)]
    state: dict[str, Any] = {"order": order}
    words = held[0]["keys"].size  # all words and the end mark; the begin mark is never predicted
    lower = np.full(1, 1.0 / (words + 1))  # the unknown word is one more
    for n, grams in enumerate(held, 1):
        counts = grams["count"] if n == order else _continuations(grams, held[n])
        discounts = _discounts(counts)
        taken = np.select([counts == 1, counts == 2], discounts[:2], discounts[2])
        contexts, place = np.unique(grams["context"], return_inverse=True)
        total = np.bincount(place, counts)
        below = lower[0] if n == 1 else lower[np.searchsorted(held[n - 2]["keys"], grams["suffix"])]
        left_over = np.bincount(place, taken) / total
        probability = (counts - taken) / total[place] + left_over[place] * below
        state |= {f"keys_{n}": grams["keys"], f"p_{n}": probability, f"contexts_{n}": contexts, f"rest_{n}": left_over}
        lower = probability
    state["unknown"] = float(state["rest_1"][0] / (words + 1))
    return state


def log_probabilities(state: dict[str, Any], stream: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Natural logarithm of the probability of every word and end mark of the stream, in order."""
    at = np.flatnonzero(left > 0)
    value = np.full(at.size, state["unknown"])
    for n in range(1, state["order"] + 1):
        rows = np.flatnonzero(left[at] >= n - 1)
        keys, contexts, _ = ngram_keys(stream, at[rows], n)
        rest = np.ones(rows.size)
        if n > 1:
            place = _find(state[f"contexts_{n}"], contexts)
            rest[place >= 0] = state[f"rest_{n}"][place[place >= 0]]
        place = _find(state[f"keys_{n}"], keys)
        known, value[rows] = place >= 0, rest * value[rows]
        value[rows[known]] = state[f"p_{n}"][place[known]]
    return np.log(value)


def ngram_keys(stream: np.ndarray, at: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Keys of the n-grams that end at the places `at`, of their first n - 1 words and of their last n - 1 words."""
    total, suffix = np.zeros(at.size, np.uint64), np.zeros(at.size, np.uint64)
    context = total
    for back in range(n - 1, -1, -1):
        context = total
        total = total * _STEP + stream[at - back]
        suffix = suffix * _STEP + stream[at - back] if back < n - 1 else suffix
    size = np.uint64(n)
    return mix(total + size), mix(context + size - np.uint64(1)), mix(suffix + size - np.uint64(1))


def _grams(stream: np.ndarray, left: np.ndarray, n: int) -> dict[str, np.ndarray]:
    """The different n-grams that predict something: key, context, suffix, count, and whether they begin a sentence."""
    at = np.flatnonzero(left >= max(n - 1, 1))
    keys, context, suffix = ngram_keys(stream, at, n)
    keys, first, count = np.unique(keys, return_index=True, return_counts=True)
    begins = left[at[first]] == n - 1
    return {"keys": keys, "context": context[first], "suffix": suffix[first], "count": count, "begins": begins}


def _continuations(grams: dict[str, np.ndarray], above: dict[str, np.ndarray]) -> np.ndarray:
    """Different words to the left of each n-gram; the plain count where a sentence begins with it."""
    place = np.searchsorted(grams["keys"], above["suffix"])
    counts = np.bincount(place, minlength=grams["keys"].size)
    return np.where(grams["begins"], grams["count"], counts)


def _discounts(counts: np.ndarray) -> tuple[float, float, float]:
    n1, n2, n3, n4 = (int((counts == size).sum()) for size in (1, 2, 3, 4))
    if not (n1 and n2 and n3):
        return _FALLBACK
    y = n1 / (n1 + 2 * n2)
    found = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    return found if all(0 <= value <= size for size, value in enumerate(found, 1)) else _FALLBACK


def _find(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Place of each wanted key, -1 where it is not held."""
    if not keys.size:
        return np.full(wanted.size, -1)
    place = np.minimum(np.searchsorted(keys, wanted), keys.size - 1)
    return np.where(keys[place] == wanted, place, -1)
