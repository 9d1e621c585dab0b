"""Word and word n-gram hashes of many texts at once, in numpy.

One normalisation for near-duplicates, eval overlap and the linear classifier: Unicode NFKC and case folding; a word is
a run of letters, digits and their marks, everything else separates words. Scripts written without spaces (Han, Kana,
Thai, Lao, Tibetan, Burmese, Khmer) count every character as a word, so that n words are a useful window there too.
Invisible format characters (soft hyphen, zero-width joiners, variation selectors) are deleted.

A word's hash is the polynomial of its code points modulo 2^64, finished by the splitmix64 mixer; the prefix form
`sum(code[i] * P^i) * P^-start` needs no loop over words. Most texts are folded code point by code point by a table;
only those with a character that folds to several or may compose with its neighbour go through `fold` itself.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np

_PRIME = 0x9E3779B97F4A7C15  # odd, hence invertible modulo 2^64
_STEP = np.uint64(0xD6E8FEB86659FD93)
RUN = 1 << 17  # characters hashed at once: keeps the scratch arrays in the cache
_LIMIT = 0x40000  # no letters are assigned above plane 3
_INVISIBLE = re.compile("[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff]+")
_UNSPACED = (
    (0x0E00, 0x1100),  # Thai, Lao, Tibetan, Burmese
    (0x1780, 0x1800),  # Khmer
    (0x3005, 0x3008),
    (0x3040, 0x3100),  # Hiragana, Katakana
    (0x31F0, 0x3200),
    (0x3400, 0x4DC0),  # Han
    (0x4E00, 0xA000),
    (0xF900, 0xFB00),
    (0x20000, _LIMIT),
)
_PLAIN = (
    (0x3400, 0x4DC0),
    (0x4E00, 0xA000),
    (0xAC00, 0xD7A4),
    (0x20000, 0x2F800),
    (0x2FA20, _LIMIT),
)  # fold to themselves
_OUTSIDE, _LETTER, _ALONE, _MARK, _ALONE_MARK = range(5)
_SLOW = 8


def fold(text: str) -> str:
    """Case-folded NFKC without invisible characters."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", _INVISIBLE.sub("", text)).casefold()


def word_hashes(texts: Sequence[str | None]) -> tuple[np.ndarray, np.ndarray]:
    """Hashes (uint64) of the words of all texts in order; text i has those of [offsets[i] : offsets[i + 1]]."""
    texts = [text or "" for text in texts]
    parts, counts = [np.empty(0, np.uint64)], np.zeros(len(texts), np.int64)
    for start, stop in runs(texts):
        hashes, counts[start:stop] = _hash_run(texts[start:stop])
        parts.append(hashes)
    offsets = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    return np.concatenate(parts), offsets


def ngram_hashes(words: np.ndarray, offsets: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Hash of every window of n words that lies within one text, and the index of each window's first word."""
    windows = words.size - n + 1
    if windows <= 0:
        return np.empty(0, np.uint64), np.empty(0, np.int64)
    total = words[:windows].copy()
    for shift in range(1, n):
        total *= _STEP
        total += words[shift : windows + shift]
    end = np.repeat(offsets[1:], np.diff(offsets))[:windows]
    first = np.flatnonzero(np.arange(n, n + windows) <= end)
    return mix(total[first]), first


def mix(values: np.ndarray) -> np.ndarray:
    """The splitmix64 finaliser: every input bit reaches every output bit."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def span_hashes(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Polynomial hash of values[start : next start], for each start; separators must be 0, they add nothing."""
    powers, inverses = _powers(max(RUN, 1 << values.size.bit_length()))
    prefix = np.zeros(values.size + 1, np.uint64)
    np.cumsum(values * powers[: values.size], out=prefix[1:])
    bounds = prefix[np.append(starts, values.size)]
    return (bounds[1:] - bounds[:-1]) * inverses[starts]


def owners(offsets: np.ndarray) -> np.ndarray:
    """For each item of a flat array, the index of the text that holds it."""
    return np.repeat(np.arange(offsets.size - 1), np.diff(offsets))


def runs(texts: list[str]) -> Iterator[tuple[int, int]]:
    """Bounds of groups of whole texts that hold about `RUN` characters."""
    start = size = 0
    for index, text in enumerate(texts):
        if size and size + len(text) > RUN:
            yield start, index
            start, size = index, 0
        size += len(text) + 1
    if start < len(texts):
        yield start, len(texts)


def _hash_run(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    folded, kinds = _tables()
    codes, ends = _codes(texts)
    kind = kinds[codes]
    irregular = np.flatnonzero(kind >= _SLOW)
    if irregular.size:
        for index in np.unique(np.searchsorted(ends, irregular, side="right")):
            texts[index] = fold(texts[index])
        codes, ends = _codes(texts)
        kind = kinds[codes] & np.uint8(_SLOW - 1)
    before = np.empty_like(kind)
    before[:1], before[1:] = _OUTSIDE, kind[:-1]
    marks = (kind == _MARK) | (kind == _ALONE_MARK)
    joins = (marks & (before != _OUTSIDE)) | ((kind == _LETTER) & ((before == _LETTER) | (before == _MARK)))
    starts = np.flatnonzero((kind != _OUTSIDE) & ~joins)
    counts = np.diff(np.searchsorted(starts, ends), prepend=0)
    if not starts.size:
        return np.empty(0, np.uint64), counts
    return mix(span_hashes(folded[codes], starts)), counts


def _codes(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Code points of the joined texts (clipped to the tables), and the position behind each text's separator."""
    codes = np.frombuffer("\n".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
    return np.minimum(codes, _LIMIT).astype(np.intp), np.cumsum([len(text) + 1 for text in texts])


@cache
def _tables() -> tuple[np.ndarray, np.ndarray]:
    """By code point: folded code point + 1 (0 for separators); kind, plus `_SLOW` where a text needs `fold` itself."""
    codes = np.arange(_LIMIT + 1)
    folded, kinds = (codes + 1).astype(np.uint64), np.full(_LIMIT + 1, _LETTER, np.uint8)
    plain = np.zeros(_LIMIT + 1, bool)
    for low, high in _PLAIN:
        plain[low:high] = True
    for code in codes[~plain].tolist():
        folded[code], kinds[code] = _entry(chr(code))
    kinds[0x1100:0x1200] |= _SLOW  # Hangul letters compose to syllables
    for low, high in _UNSPACED:
        part = kinds[low:high]
        part[part == _LETTER], part[part == _MARK | _SLOW] = _ALONE, _ALONE_MARK | _SLOW
    return folded, kinds


def _entry(character: str) -> tuple[int, int]:
    kind, as_folded = _kind(character), fold(character)
    if as_folded == character:
        return (ord(character) + 1 if kind else 0), (kind | _SLOW if kind == _MARK else kind)
    parts = [_kind(part) for part in as_folded]
    if not any(parts) and as_folded:  # "..." for an ellipsis is as good a separator as the ellipsis
        return 0, _OUTSIDE
    if len(parts) == 1 and parts[0] != _MARK:
        return ord(as_folded) + 1, parts[0]
    return (ord(character) + 1 if kind else 0), kind | _SLOW


def _kind(character: str) -> int:
    return {"L": _LETTER, "N": _LETTER, "M": _MARK}.get(unicodedata.category(character)[0], _OUTSIDE)


@cache
def _powers(size: int) -> tuple[np.ndarray, np.ndarray]:
    tables = []
    for prime in (_PRIME, pow(_PRIME, -1, 1 << 64)):
        table = np.full(size, prime, np.uint64)
        table[0] = 1
        tables.append(np.multiply.accumulate(table))
    return tables[0], tables[1]
