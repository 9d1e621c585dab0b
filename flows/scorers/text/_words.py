"""Words and symbols of a batch, found in one pass for all rows and shared by every scorer that needs them.

The papers do not fix a tokeniser, so the splitter is a declared choice (parameter `words` of the scorers):

    split       a word is a run of letters, marks, digits and underscores; an apostrophe between two letters and a
                point or comma between two digits stay inside (don't, 3.14, 10,000). An ideograph or kana is a word
                of its own. Everything else that is not white space is a symbol; a run of one symbol ("...") is one.
                Thai, Lao, Khmer and Burmese, written without spaces, are not segmented: a phrase is one word.
    whitespace  a word is a run of anything but white space

`given_words` builds the same structure from any other tokeniser's words; the measures take it unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pyarrow as pa

from flows.scorers.text._chars import ALONE, DIGIT, EXTEND, LETTER, MARK, SPACE, SYMBOL, Chars, read_chars, span_sum

Splitter = Literal["split", "whitespace"]
SPLITTER_DOC = "split: words and symbols apart, as datatrove's tokenisers do; whitespace: runs between white space"


@dataclass(frozen=True)
class Words:
    """Tokens of a slice: token t is the code points [start[t], end[t]) of `chars` and belongs to row `row[t]`."""

    chars: Chars
    start: np.ndarray
    end: np.ndarray
    row: np.ndarray
    n_rows: int

    @cached_property
    def first(self) -> np.ndarray:
        """Position of each row's first token, and the number of tokens."""
        return np.searchsorted(self.row, np.arange(self.n_rows + 1))

    @cached_property
    def count(self) -> np.ndarray:
        """Tokens of each row."""
        return np.diff(self.first)

    @cached_property
    def length(self) -> np.ndarray:
        """Characters of each token."""
        return self.end - self.start

    @cached_property
    def encoded(self) -> pa.DictionaryArray:
        """Tokens as (id, string); equal strings have equal ids."""
        return self.chars.strings(self.start, self.end).dictionary_encode()

    @cached_property
    def ids(self) -> np.ndarray:
        return self.encoded.indices.to_numpy().astype(np.int64)

    @cached_property
    def bits(self) -> np.ndarray:
        """Class bits of all characters of each token, and of the white space behind it."""
        return np.bitwise_or.reduceat(self.chars.bits, self.start) if len(self.start) else np.zeros(0, np.uint8)

    def per_row(self, values: np.ndarray) -> np.ndarray:
        """Sum over each row's tokens."""
        return span_sum(values, self.first[:-1], self.first[1:])

    def rows_with(self, word: str) -> np.ndarray:
        """Which rows hold the word; compared by code points, as the dictionary costs more than a few words."""
        at = np.flatnonzero(self.length == len(word))
        for offset, char in enumerate(word):
            at = at[self.chars.codes[self.start[at] + offset] == ord(char)]
        return np.bincount(self.row[at], minlength=self.n_rows) > 0


def words_of(chars: Chars, splitter: Splitter) -> Words:
    """The words of a slice, split once."""
    if splitter not in chars.found:
        chars.found[splitter] = split_words(chars, splitter)
    return chars.found[splitter]


def split_words(chars: Chars, splitter: Splitter = "split") -> Words:
    """Split every row."""
    space = (chars.bits & SPACE) > 0
    before = np.zeros(len(space) + 1, bool)  # is there a boundary before the character
    before[1:-1] = (space[1:] | space[:-1]) if splitter == "whitespace" else ~_joined(chars)
    before[chars.rows] = True  # a row never continues the row before it
    start = np.flatnonzero(before[:-1] & ~space)
    end = np.flatnonzero(before[1:] & ~space) + 1
    return Words(chars, start, end, np.searchsorted(chars.rows, start, side="right") - 1, len(chars))


def _joined(chars: Chars) -> np.ndarray:
    """Does each character but the first continue the one before it?"""
    bits, codes = chars.bits, chars.codes
    inside = (bits & (LETTER | MARK | DIGIT)) > 0
    inside |= codes == ord("_")
    inside |= _joiners(chars)
    alone = (bits & ALONE) > 0
    inside &= ~alone
    same = (codes[1:] == codes[:-1]) & ~alone[1:]
    after_joiner = (codes[:-1] == 0x200D) & ((bits[1:] & SYMBOL) > 0)  # emoji of several parts
    joined = (inside[1:] & inside[:-1]) | same | ((bits[1:] & EXTEND) > 0) | after_joiner
    return joined & ((bits[:-1] & SPACE) == 0) & ((bits[1:] & SPACE) == 0)


def _joiners(chars: Chars) -> np.ndarray:
    """Is the character an apostrophe within a word, or a point or comma within a number?"""
    codes, bits = chars.codes, chars.bits
    at = np.flatnonzero((codes == ord("'")) | (codes == 0x2019) | (codes == ord(".")) | (codes == ord(",")))
    edge = np.zeros(len(codes) + 1, bool)
    edge[chars.rows] = True
    at = at[~edge[at] & ~edge[at + 1]]  # both neighbours are of the same row
    quote = (codes[at] == ord("'")) | (codes[at] == 0x2019)
    kind = np.where(quote, LETTER, DIGIT)
    joiners = np.zeros(len(codes), bool)
    joiners[at] = (bits[at - 1] & bits[at + 1] & kind) > 0
    return joiners


def given_words(rows: list[list[str]]) -> Words:
    """The same structure for words that another tokeniser found."""
    rows = [[word for word in words if word] for words in rows]
    chars = read_chars(pa.array([word for words in rows for word in words], pa.large_string()))
    row = np.repeat(np.arange(len(rows)), [len(words) for words in rows])
    return Words(chars, chars.rows[:-1], chars.rows[1:], row, len(rows))
