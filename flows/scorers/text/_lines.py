"""Lines and paragraphs of a batch as spans of code points, cut as the Python expressions in the docstrings cut them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from flows.scorers.text._chars import BREAK, SPACE, Chars, span_sum

NEWLINE = ord("\n")


@dataclass(frozen=True)
class Spans:
    """Span s is the code points [start[s], end[s]) of `chars` and belongs to row `row[s]`; they may be empty."""

    chars: Chars
    start: np.ndarray
    end: np.ndarray
    row: np.ndarray

    @property
    def length(self) -> np.ndarray:
        return self.end - self.start

    def keep(self, mask: np.ndarray) -> Spans:
        return Spans(self.chars, self.start[mask], self.end[mask], self.row[mask])

    def per_row(self, values: np.ndarray | None = None) -> np.ndarray:
        """Sum of integer values over each row's spans; without values, their number."""
        total = np.bincount(self.row, values, minlength=len(self.chars))
        return total.astype(np.int64)

    def solid(self) -> np.ndarray:
        """Which spans hold anything but white space."""
        return span_sum((self.chars.bits & SPACE) == 0, self.start, self.end) > 0

    def strings(self) -> pa.LargeStringArray:
        return self.chars.strings(self.start, self.end)


def _cut(chars: Chars, low: np.ndarray, high: np.ndarray, breaks: np.ndarray, ends: np.ndarray) -> Spans:
    """Rows [low, high) without the breaks [breaks[i], ends[i]), which lie inside rows."""
    per_row = np.searchsorted(breaks, high) - np.searchsorted(breaks, low)
    row = np.repeat(np.arange(len(chars)), per_row + 1)
    return Spans(chars, np.sort(np.concatenate([low, ends])), np.sort(np.concatenate([breaks, high])), row)


def _runs(chars: Chars) -> tuple[np.ndarray, np.ndarray]:
    """Start and end of each run of newlines; a run ends where its row ends."""
    at = np.flatnonzero(chars.codes == NEWLINE)
    opens = np.ones(len(at), bool)
    opens[1:] = (np.diff(at) > 1) | np.isin(at[1:], chars.rows)
    start = at[opens]
    sizes = np.diff(np.append(np.flatnonzero(opens), len(at)))
    return start, start + sizes


def newline_lines(chars: Chars) -> Spans:
    """text.split("\\n")"""
    at = np.flatnonzero(chars.codes == NEWLINE)
    return _cut(chars, chars.rows[:-1], chars.rows[1:], at, at + 1)


def run_lines(chars: Chars) -> Spans:
    """re.split(r"\\n+", text)"""
    return _cut(chars, chars.rows[:-1], chars.rows[1:], *_runs(chars))


def paragraphs(chars: Chars) -> Spans:
    """re.split(r"\\n{2,}", text.strip())"""
    low, high = trim(chars, chars.rows[:-1], chars.rows[1:])
    start, end = _runs(chars)
    row = np.searchsorted(chars.rows, start, side="right") - 1
    keep = (end - start >= 2) & (start >= low[row]) & (end <= high[row])
    return _cut(chars, low, high, start[keep], end[keep])


def text_lines(chars: Chars) -> Spans:
    """text.splitlines()"""
    if "lines" not in chars.found:
        chars.found["lines"] = _text_lines(chars)
    return chars.found["lines"]


def _text_lines(chars: Chars) -> Spans:
    breaks = np.flatnonzero(chars.bits & BREAK)
    codes, last = chars.codes, np.zeros(len(chars.codes) + 1, bool)
    last[chars.rows] = True
    pair = breaks[(codes[breaks] == 13) & ~last[breaks + 1]]
    pair = pair[codes[pair + 1] == NEWLINE]  # \r\n is one break
    ends = breaks + 1 + np.isin(breaks, pair)
    second = np.isin(breaks, pair + 1)
    spans = _cut(chars, chars.rows[:-1], chars.rows[1:], breaks[~second], ends[~second])
    return spans.keep(spans.start < chars.rows[spans.row + 1])


def trim(chars: Chars, start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """str.strip() of spans; one without anything but white space becomes empty."""
    solid = np.flatnonzero((chars.bits & SPACE) == 0)
    solid = np.append(solid, len(chars.codes))
    low = np.minimum(solid[np.searchsorted(solid, start)], end)
    last = np.searchsorted(solid, end) - 1
    high = np.where(last >= 0, solid[last] + 1, 0)
    return low, np.maximum(high, low)


def ends_in_dots(chars: Chars, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Which spans end in three points or in one ellipsis character."""
    codes = np.concatenate([np.zeros(3, np.uint32), chars.codes])  # shifted by three: no index below 0
    dots = (codes[end + 2] == ord(".")) & (codes[end + 1] == ord(".")) & (codes[end] == ord("."))
    return (dots & (end - start >= 3)) | ((codes[end + 2] == 0x2026) & (end > start))
