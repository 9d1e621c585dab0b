"""Rows of text as flat arrays of code points, so that character rules run over a whole batch at once.

One Python step per character or word is what makes heuristic filters slow. Here the rows of a batch lie one after
another in one array; a rule is a mask over it, and a value per row is a difference of running sums.
"""

from __future__ import annotations

import unicodedata
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

from catalog import states

LETTER, MARK, DIGIT, SYMBOL, SPACE, BREAK, EXTEND, ALONE = (np.uint8(1 << bit) for bit in range(8))
"""Class bits of a code point. LETTER: str.isalpha. MARK: combining mark or joiner inside a word. DIGIT: category N.
SYMBOL: punctuation, symbol, control. SPACE: str.isspace. BREAK: ends a line for str.splitlines. EXTEND: belongs to the
character before it. ALONE: ideograph or kana, which is written without spaces and stands for itself."""

SLICE_BYTES = 1 << 20
"""Rows are worked on in slices of this many bytes (a longer row is a slice of its own), so that memory stays bounded."""

_ALONE = ((0x2E80, 0x2FDF), (0x3005, 0x3007), (0x3041, 0x30FF), (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF))
_ALONE += ((0xF900, 0xFAFF), (0xFF66, 0xFF9D), (0x1B000, 0x1B16F), (0x20000, 0x323AF))
_EXTEND = ((0x200C, 0x200D), (0xFE00, 0xFE0F), (0x1F3FB, 0x1F3FF), (0xE0020, 0xE007F), (0xE0100, 0xE01EF))


@cache
def class_table() -> np.ndarray:
    """Class bits by code point, from the Unicode tables of this Python."""
    table = np.full(0x110000, SYMBOL, np.uint8)
    for code in range(0x323B0):
        char, category = chr(code), unicodedata.category(chr(code))
        bits = SPACE if char.isspace() else np.uint8(0)
        bits |= LETTER if char.isalpha() else 0
        bits |= DIGIT if category[0] == "N" else 0
        bits |= MARK | EXTEND if category[0] == "M" else 0
        table[code] = bits or SYMBOL
    for low, high in _EXTEND:
        table[low : high + 1] = EXTEND | SYMBOL
    table[0x200C:0x200E] = EXTEND | MARK  # the joiners of Persian and the Indic scripts stand inside words
    for low, high in _ALONE:
        table[low : high + 1] |= np.where(table[low : high + 1] & LETTER, ALONE, np.uint8(0))
    table[[*range(0x0A, 0x0E), 0x1C, 0x1D, 0x1E, 0x85, 0x2028, 0x2029]] |= BREAK
    return table


@dataclass(frozen=True)
class Chars:
    """The rows of one slice. Row r is codes[rows[r]:rows[r + 1]]; null rows are empty and not `valid`."""

    codes: np.ndarray  # uint32 code points
    bits: np.ndarray  # uint8 class bits
    rows: np.ndarray  # int64, one entry more than rows
    valid: np.ndarray  # bool
    utf8: np.ndarray  # uint8, the same text in UTF-8
    utf8_at: np.ndarray  # int64 position in `utf8` of each code point, and its end
    found: dict[Any, Any] = field(default_factory=dict)  # words and lines of this slice, once somebody asked

    def __len__(self) -> int:
        return len(self.rows) - 1

    def count(self, mask: np.ndarray) -> np.ndarray:
        """How many characters of each row are in the mask."""
        return span_sum(mask, self.rows[:-1], self.rows[1:])

    def strings(self, start: np.ndarray, end: np.ndarray) -> pa.LargeStringArray:
        """The text of the spans [start, end), which are in order and do not overlap."""
        first, last = self.utf8_at[start], self.utf8_at[end]
        filled = last > first
        inside = np.zeros(len(self.utf8) + 1, np.int8)
        inside[first[filled]] += 1
        inside[last[filled]] -= 1
        data = self.utf8[np.cumsum(inside[:-1], dtype=np.int8).view(bool)]
        offsets = np.concatenate([[0], np.cumsum(last - first)])
        return pa.LargeStringArray.from_buffers(len(start), pa.py_buffer(offsets), pa.py_buffer(data))


def span_sum(values: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Sum of `values` over each span [start, end)."""
    total = np.zeros(len(values) + 1, np.int64)
    np.cumsum(values, out=total[1:])
    return total[end] - total[start]


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole in float64, NaN where the whole is 0: undefined."""
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)


def read_chars(texts: pa.Array) -> Chars:
    """Decode a string array."""
    texts = texts.cast(pa.large_string())
    valid = texts.is_valid().to_numpy(zero_copy_only=False)
    texts = texts.fill_null("")
    offsets = _offsets(texts)
    utf8 = np.frombuffer(texts.buffers()[2] or b"", np.uint8)[offsets[0] : offsets[-1]]
    offsets = offsets - offsets[0]
    codes = np.frombuffer(utf8.tobytes().decode("utf-8").encode("utf-32-le"), np.uint32)
    if len(codes) == len(utf8):
        at, rows = np.arange(len(utf8) + 1), offsets
    else:
        at = np.append(np.flatnonzero((utf8 & 0xC0) != 0x80), len(utf8))
        rows = np.searchsorted(at, offsets)
    return Chars(codes, class_table()[codes], rows, valid, utf8, at)


def _offsets(texts: pa.LargeStringArray) -> np.ndarray:
    if not len(texts):
        return np.zeros(1, np.int64)
    return np.frombuffer(texts.buffers()[1], np.int64)[texts.offset : texts.offset + len(texts) + 1]


_LAST: tuple[Any, pa.Array, Chars] | None = None
_MADE: weakref.ref[Chars] | None = None


def chars_of(texts: pa.Array) -> Chars:
    """`read_chars`, remembering the last array: several scorers in turn ask for the words of the same batch."""
    global _LAST, _MADE
    key = (texts.type, texts.offset, len(texts), *(b and (b.address, b.size) for b in texts.buffers()))
    last = _LAST
    if last is not None and last[0] == key:  # the array is held, so that no other can have taken its addresses
        return last[2]
    if (older := _MADE and _MADE()) is not None:
        older.found.clear()  # words point back at their characters: a ring that only the cycle collector would free
    chars = read_chars(texts)
    _MADE, _LAST = weakref.ref(chars), (key, texts, chars) if len(chars.utf8) <= SLICE_BYTES else None
    return chars


def slices(texts: pa.Array) -> Iterator[pa.Array]:
    """Slices of at most SLICE_BYTES, or of one row; one empty slice for no rows."""
    offsets, first = _offsets(texts.cast(pa.large_string())), 0
    while first < len(texts) or first == 0:
        end = int(np.searchsorted(offsets, offsets[first] + SLICE_BYTES, side="right")) - 1
        end = max(end, first + 1)
        yield texts.slice(first, end - first)
        first = end


def score_slices(texts: pa.Array, measure: Callable[[Chars], dict[str, np.ndarray]]) -> dict[str, pa.Array]:
    """Apply `measure` to slices of bounded size and turn its arrays into columns.

    Floats become float32 with NaN as null; integers become int32, null where the text is null. A row with a null is
    UNDEFINED.
    """
    parts = [(chars.valid, measure(chars)) for chars in map(chars_of, slices(texts))]
    defined = np.concatenate([valid for valid, _ in parts])
    every = defined.copy()
    columns = {}
    for name in parts[0][1]:
        values = np.concatenate([part[name] for _, part in parts])
        null = ~defined | np.isnan(values) if values.dtype.kind == "f" else ~defined
        every &= ~null
        kind = pa.float32() if values.dtype.kind == "f" else pa.int32()
        columns[name] = pa.array(values.astype(kind.to_pandas_dtype()), kind, mask=null)
    columns["_state"] = pa.array(np.where(every, states.VALUE, states.UNDEFINED), pa.uint8())
    return columns
