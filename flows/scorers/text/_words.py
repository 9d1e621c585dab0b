"""Words and symbols of a batch, found in one pass for all rows and shared by every scorer that needs them.

The papers do not fix a tokeniser, so the splitter is a declared choice (parameter `words` of the scorers):

    split       a word is a run of letters, marks, digits and underscores. Inside it stay an apostrophe between letters
                (O'Neill), a point between letters unless it ends a sentence (www.site.org, but not end.Next), a point,
                comma, colon or slash between digits (3.14, 10:30, 1/2), an at sign between both, and the point of an
                initial (U.S.). English clitics are words ('s 're n't), as in the treebank convention that datatrove's
                tokeniser follows. An ideograph or kana is a word of its own. All else that is not white space is a
                symbol; a run of one symbol ("...") is one. Thai, Lao, Khmer and Burmese, which are written without
                spaces, are not segmented: a phrase is one word.
    whitespace  a word is a run of anything but white space

With the published thresholds and these words, 499 web pages get datatrove's verdict in 96.6 % (Gopher quality), 99.4 %
(Gopher repetition) and 100 % (FineWeb) of the cases; with datatrove's own words, in all.

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
    inside = (bits & WORD) > 0
    inside |= codes == ord("_")
    joiners, initials, clitics = _punctuation(chars)
    inside[joiners] = True
    alone = (bits & ALONE) > 0
    inside &= ~alone
    joined = inside[1:] & inside[:-1]
    joined |= (codes[1:] == codes[:-1]) & ~alone[1:]
    joined |= (bits[1:] & EXTEND) > 0
    joined |= (codes[:-1] == 0x200D) & ((bits[1:] & SYMBOL) > 0)  # emoji of several parts
    joined[initials - 1] = True
    joined[clitics - 1] = False
    return joined & ((bits[:-1] & SPACE) == 0) & ((bits[1:] & SPACE) == 0)


WORD = LETTER | MARK | DIGIT
QUOTE, POINT, NUMERIC, AT = 1, 2, 3, 4
PUNCTUATION = {"'": QUOTE, "’": QUOTE, ".": POINT, ",": NUMERIC, ":": NUMERIC, "/": NUMERIC, "@": AT}


def _punctuation(chars: Chars) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions of punctuation within words, of points behind initials, and of the first character of clitics."""
    kinds = np.zeros(0x2020, np.uint8)
    kinds[[ord(char) for char in PUNCTUATION]] = list(PUNCTUATION.values())
    at = np.flatnonzero(kinds[np.minimum(chars.codes, len(kinds) - 1)])
    low, high = _bounds(chars, at)
    at, low, high = (column[_worth_a_look(chars, at, low, high)] for column in (at, low, high))

    def near(values: np.ndarray, offset: int) -> np.ndarray:
        """The value `offset` characters on, 0 beyond the row."""
        within = (at + offset >= low) & (at + offset < high)
        return np.where(within, values[np.where(within, at + offset, at)], 0)

    kind, before, after = kinds[chars.codes[at]], near(chars.bits, -1), near(chars.bits, 1)
    letters, digits = (before & after & LETTER) > 0, (before & after & DIGIT) > 0
    sentence = letters & (kind == POINT)  # a capital behind a small letter: a sentence that ends without a space
    neighbours = zip(chars.codes[at[sentence] - 1], chars.codes[at[sentence] + 1], strict=True)
    sentence[sentence] = [chr(left).islower() and chr(right).isupper() for left, right in neighbours]
    joins = (letters & (kind != NUMERIC) & ~sentence) | (digits & (kind != QUOTE))
    joins |= (kind == AT) & ((before & (LETTER | DIGIT)) > 0) & ((after & (LETTER | DIGIT)) > 0)
    lone = ((near(chars.bits, -2) & WORD) == 0) & ~np.isin(near(chars.codes, -2), [ord("'"), ord("’")])
    initial = (kind == POINT) & ((before & LETTER) > 0) & lone & ~joins & (near(chars.codes, 1) != ord("."))
    first, second = near(chars.codes, 1) | 32, near(chars.codes, 2) | 32
    ends = [(near(chars.bits, offset) & WORD) == 0 for offset in (2, 3)]
    nt = (first == ord("t")) & (near(chars.codes, -1) | 32 == ord("n")) & ends[0]
    short = np.isin(first, [ord("s"), ord("m"), ord("d")]) & ends[0]
    pairs = [(first == ord(left)) & (second == ord(right)) for left, right in ("re", "ve", "ll")]
    clitic = joins & (kind == QUOTE) & (nt | short | (np.logical_or.reduce(pairs) & ends[1]))
    clitics = (at - nt)[clitic]
    return at[joins], at[initial], clitics[clitics > 0]


def _bounds(chars: Chars, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Start and end of the row of each position."""
    row = np.searchsorted(chars.rows, at, side="right") - 1
    return chars.rows[row], chars.rows[row + 1]


def _worth_a_look(chars: Chars, at: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Most punctuation stands between a word and a space and is settled: neither within a word nor an initial."""
    followed = (at + 1 < high) & ((chars.bits[np.minimum(at + 1, high - 1)] & WORD) > 0)
    lone = (at - 2 < low) | ((chars.bits[np.maximum(at - 2, 0)] & WORD) == 0)
    return (at > low) & (followed | (lone & (chars.codes[at] == ord("."))))


def given_words(rows: list[list[str]]) -> Words:
    """The same structure for words that another tokeniser found."""
    rows = [[word for word in words if word] for words in rows]
    chars = read_chars(pa.array([word for words in rows for word in words], pa.large_string()))
    row = np.repeat(np.arange(len(rows)), [len(words) for words in rows])
    return Words(chars, chars.rows[:-1], chars.rows[1:], row, len(rows))
