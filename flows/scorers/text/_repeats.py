"""What occurs twice: exact counts of repeated strings and n-grams within each row, by renumbering instead of hashing.

Items become small integers in order of first appearance (Arrow's dictionary encoding), an n-gram is the pair of its
first n-1 words' number and its last word's, and only n-grams whose first n-1 words occur twice are looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from flows.scorers.text._lines import Spans
from flows.scorers.text._words import Words


def renumber(keys: np.ndarray) -> np.ndarray:
    """0, 1, 2 ... in order of first appearance; equal keys get equal numbers."""
    return pa.array(keys).dictionary_encode().indices.to_numpy().astype(np.int64)


def first_seen(numbers: np.ndarray) -> np.ndarray:
    """Mask of the first occurrence of each number of `renumber`."""
    before = np.maximum.accumulate(np.append(-1, numbers))[:-1]
    return numbers > before


def duplicate_spans(spans: Spans) -> tuple[np.ndarray, np.ndarray]:
    """Per row: how many spans repeat an earlier span of the row, and how many characters they hold."""
    encoded = spans.strings().dictionary_encode()
    numbers = renumber(spans.row * max(len(encoded.dictionary), 1) + encoded.indices.to_numpy())
    again = ~first_seen(numbers)
    return spans.per_row(again), spans.per_row(again * spans.length)


def repeated(keys: np.ndarray) -> np.ndarray:
    """Mask of the keys that occur more than once; sorting is cheaper than numbering what is mostly unique."""
    order = np.argsort(keys)
    alike = keys[order][1:] == keys[order][:-1]
    mask = np.zeros(len(keys), bool)
    mask[order[1:][alike]] = True
    mask[order[:-1][alike]] = True
    return mask


@dataclass(frozen=True)
class Grams:
    """The n-grams that occur more than once in their row, by position of their first word."""

    n: int
    at: np.ndarray
    number: np.ndarray  # equal for equal n-grams of one row, ascending with first appearance


def repeated_grams(words: Words, largest: int) -> Iterator[Grams]:
    """For n = 2 ... largest; what follows a pruned n-gram cannot repeat either."""
    vocabulary = max(len(words.encoded.dictionary), 1)
    row_end = words.first[1:][words.row]
    at = np.arange(len(words.row))
    number = words.row * vocabulary + words.ids  # below 2^42 in a slice of 1 MB, and so is any product here below 2^63
    for n in range(2, largest + 1):
        fits = at + n <= row_end[at]
        at, keys = at[fits], number[fits] * vocabulary
        keys += words.ids[at + n - 1]
        again = repeated(keys)
        at, number = at[again], renumber(keys[again])
        yield Grams(n, at, number)


def top_gram_chars(words: Words, grams: Grams) -> np.ndarray:
    """Per row: length of the commonest n-gram (the earliest of equals), words joined by a space, times its count."""
    total = np.append(0, np.cumsum(words.length))
    chars = np.zeros(words.n_rows, np.int64)
    has = words.count >= grams.n  # rows without a repetition: their first n-gram, once
    first = words.first[:-1][has]
    chars[has] = total[first + grams.n] - total[first] + grams.n - 1
    at, count = grams.at[first_seen(grams.number)], np.bincount(grams.number)
    row = words.row[at]
    order = np.lexsort((at, -count, row))
    best = order[np.diff(row[order], prepend=-1) > 0]
    at, count = at[best], count[best]
    chars[row[best]] = (total[at + grams.n] - total[at] + grams.n - 1) * count
    return chars


def duplicate_gram_chars(words: Words, grams: Grams) -> np.ndarray:
    """Per row: characters in n-grams seen before, read left to right; a counted n-gram is stepped over as a whole."""
    seen: set[int] = set()
    found: list[int] = []
    resume = 0
    for at, number in zip(grams.at.tolist(), grams.number.tolist(), strict=True):
        if at < resume:
            continue
        if number in seen:
            found.append(at)
            resume = at + grams.n
        else:
            seen.add(number)
    at = np.array(found, np.int64)
    total = np.append(0, np.cumsum(words.length))
    return np.bincount(words.row[at], total[at + grams.n] - total[at], minlength=words.n_rows).astype(np.int64)
