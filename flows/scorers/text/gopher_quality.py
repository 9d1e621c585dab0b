"""Gopher quality measures (Rae et al. 2021, arXiv:2112.11446, appendix A1.1), as numbers.

The paper keeps a document with 50 to 100,000 words, a mean word length of 3 to 10 characters, at most 0.1 hash symbols
and 0.1 ellipses per word, at most 0.9 of its lines starting with a bullet and 0.3 ending in an ellipsis, at least 0.8 of
its words with a letter, and at least two different of eight English stop words. As in datatrove, ratios are over words
and symbols together, `word_count` and the mean length are over words that hold a letter or digit, a bullet is "•" or
"-", and stop words are compared as written. The stop words are English; `stop_words` takes another language's.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog.plugins import Better, Context, Out, scorer
from flows.scorers.text._chars import DIGIT, LETTER, Chars, ratio, score_slices
from flows.scorers.text._lines import ends_in_dots, text_lines, trim
from flows.scorers.text._words import SPLITTER_DOC, Splitter, Words, words_of

ELLIPSIS, BULLET = 0x2026, 0x2022


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    words: Splitter = Field("split", description=SPLITTER_DOC)
    stop_words: str = Field("the,be,to,of,and,that,have,with", description="stop words, joined by commas")


def quality(chars: Chars, words: Words, stop_words: list[str]) -> dict[str, np.ndarray]:
    """The measures of each row, for given words."""
    solid = (words.bits & (LETTER | DIGIT)) > 0
    count = words.per_row(solid)
    hashes = chars.count(chars.codes == ord("#"))
    lines = text_lines(chars)
    n_lines = lines.per_row()
    start, end = trim(chars, lines.start, lines.end)
    leading = np.append(chars.codes, np.uint32(0))[start]
    bullet = (end > start) & ((leading == BULLET) | (leading == ord("-")))
    return {
        "word_count": count,
        "mean_word_length": ratio(words.per_row(words.length * solid), count),
        "hash_word_ratio": ratio(hashes, words.count),
        "ellipsis_word_ratio": ratio(count_ellipses(chars), words.count),
        "bullet_line_share": ratio(lines.per_row(bullet), n_lines),
        "ellipsis_line_share": ratio(lines.per_row(ends_in_dots(chars, start, end)), n_lines),
        "alpha_word_share": ratio(words.per_row((words.bits & LETTER) > 0), words.count),
        "stop_word_count": sum((words.rows_with(word) for word in stop_words), np.zeros(len(chars), np.int64)),
    }


def count_ellipses(chars: Chars) -> np.ndarray:
    """text.count("...") + text.count("…"), per row: a run of n points holds n // 3."""
    at = np.flatnonzero(chars.codes == ord("."))
    row = np.searchsorted(chars.rows, at, side="right") - 1
    opens = np.append(True, (np.diff(at) > 1) | (np.diff(row) > 0))[: len(at)]
    first = np.flatnonzero(opens)
    runs = np.diff(np.append(first, len(at))) // 3
    return np.bincount(row[first], runs, minlength=len(chars)).astype(np.int64) + chars.count(chars.codes == ELLIPSIS)


def _share(name: str, doc: str, better: Better = "lower", high: float | None = 1) -> Out:
    return Out(name, pa.float32(), doc, better=better, range=(0, high))


@scorer(
    "gopher_quality",
    version="3",
    reads=["text"],
    writes=[
        Out("word_count", pa.int32(), "words that hold a letter or digit", range=(0, None)),
        Out("mean_word_length", pa.float32(), "characters per such word", range=(1, None)),
        _share("hash_word_ratio", "hash symbols per word or symbol", high=None),
        _share("ellipsis_word_ratio", "ellipses per word or symbol", high=None),
        _share("bullet_line_share", "share of lines that start with a bullet"),
        _share("ellipsis_line_share", "share of lines that end in an ellipsis"),
        _share("alpha_word_share", "share of words and symbols that hold a letter", "higher"),
        Out(
            "stop_word_count", pa.int32(), "different stop words present (default: 8 English ones)", "higher", (0, None)
        ),
    ],
    cost="cpu",
    citation="Rae et al. 2021, arXiv:2112.11446, appendix A1.1",
    params=Params,
    stage="filter",
)
def gopher_quality(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    stop_words = [word.strip() for word in ctx.params.stop_words.split(",") if word.strip()]
    return score_slices(batch["text"], lambda chars: quality(chars, words_of(chars, ctx.params.words), stop_words))
