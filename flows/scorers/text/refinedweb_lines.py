"""RefinedWeb's line-wise corrections (Penedo et al. 2023, arXiv:2306.01116, appendix G.2), counted instead of applied.

RefinedWeb discards a line that is mainly uppercase letters, holds only numeric characters, is a counter ("3 likes"), or
holds one word; of lines of at most ten words it removes the pattern, which starts the line (sign-in), ends it (Read
more...) or lies in it (items in cart); a page of which that takes more than 5 % of the words is dropped. The paper names
the classes and one example of each: mainly is taken for more than half of the letters, a counter for a number before one
of NOUNS, and the patterns are those below. No reference code was published.
"""

from __future__ import annotations

import re

import pyarrow as pa

from catalog.plugins import Context, Out, scorer
from flows.scorers.text._rows import Values, score_rows

NOUNS = "likes?|shares?|comments?|retweets?|reposts?|quotes?|bookmarks?|upvotes?|downvotes?|downloads?|views?|followers?|votes?|replies|reply"
COUNTER = re.compile(rf"\W*\d[\d.,]*\s?[KkMm]?\s+(?:{NOUNS})\W*", re.I)
START = re.compile(r"\W*(?:sign[ -]?in|log[ -]?in|sign[ -]?up)\b", re.I)
END = re.compile(r"\b(?:read more|continue reading|see more|learn more)\W*$", re.I)
INSIDE = re.compile(r"\bitems? in (?:your )?cart\b", re.I)
SHORT = 10

OUTS = (
    Out("rw_uppercase_lines", pa.float32(), "share of lines that are mainly uppercase", "lower", (0, 1)),
    Out("rw_numeric_lines", pa.float32(), "share of lines of digits alone", "lower", (0, 1)),
    Out("rw_counter_lines", pa.float32(), "share of lines that are a counter", "lower", (0, 1)),
    Out("rw_one_word_lines", pa.float32(), "share of lines of one word", "lower", (0, 1)),
    Out(
        "rw_removed_words",
        pa.float32(),
        "share of words that the corrections take; above 0.05 a page goes",
        "lower",
        (0, 1),
    ),
)


def line_class(line: str) -> str:
    """Name of the rule that discards a line, or ""."""
    letters = [char for char in line if char.isalpha()]
    if sum(map(str.isupper, letters)) * 2 > len(letters):
        return "uppercase"
    if line.replace(" ", "").isnumeric():
        return "numeric"
    if COUNTER.fullmatch(line):
        return "counter"
    return "one_word" if len(line.split()) == 1 else ""


def pattern_words(line: str) -> int:
    """Words that the patterns take from a short line."""
    if len(line.split()) > SHORT:
        return 0
    kept = INSIDE.sub("", END.sub("", START.sub("", line)))
    return len(line.split()) - len(kept.split())


def measure(text: str) -> Values:
    """The shares of one text; none without words."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    classes = [line_class(line) for line in lines]
    words = sum(len(line.split()) for line in lines)
    gone = sum(len(line.split()) if kind else pattern_words(line) for line, kind in zip(lines, classes, strict=True))
    names = ("uppercase", "numeric", "counter", "one_word")
    return {f"rw_{name}_lines": classes.count(name) / len(lines) for name in names} | {"rw_removed_words": gone / words}


@scorer(
    "refinedweb_lines",
    version="1",
    reads=["text"],
    writes=OUTS,
    cost="cpu",
    citation="Penedo et al. 2023, arXiv:2306.01116, appendix G.2",
    stage="filter",
    experimental=True,
)
def refinedweb_lines(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    return score_rows(batch["text"], OUTS, measure, lambda text: bool(text.strip()))
