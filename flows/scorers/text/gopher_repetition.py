"""Gopher repetition measures (Rae et al. 2021, arXiv:2112.11446, table A1): how much of a document repeats itself.

Lines are cut at runs of newlines and paragraphs at runs of two or more, as in datatrove. A fraction of characters is
of all characters of the text. The paper drops a document where a value is above: lines 0.30, paragraphs 0.30, their
characters 0.20; top 2, 3, 4-gram 0.20, 0.18, 0.16; duplicate 5 ... 10-grams 0.15, 0.14, 0.13, 0.12, 0.11, 0.10.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog.plugins import Context, Out, scorer
from flows.scorers.text._chars import Chars, ratio, score_slices
from flows.scorers.text._lines import paragraphs, run_lines
from flows.scorers.text._repeats import duplicate_gram_chars, duplicate_spans, repeated_grams, top_gram_chars
from flows.scorers.text._words import SPLITTER_DOC, Splitter, Words, words_of

TOP, DUPLICATE = (2, 3, 4), (5, 6, 7, 8, 9, 10)
SIZES = {n: n for n in (*TOP, *DUPLICATE)}


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    words: Splitter = Field("split", description=SPLITTER_DOC)


def repetition(chars: Chars, words: Words, sizes: dict[int, int] = SIZES) -> dict[str, np.ndarray]:
    """The measures of each row, for given words. `sizes`: n of a measure's name -> words in its n-grams."""
    length = np.diff(chars.rows)
    values = {}
    for name, spans in (("line", run_lines(chars)), ("para", paragraphs(chars))):
        number, held = duplicate_spans(spans)
        values[f"dup_{name}_frac"] = np.where(length > 0, ratio(number, spans.per_row()), np.nan)
        values[f"dup_{name}_char_frac"] = ratio(held, length)
    grams = {held.n: held for held in repeated_grams(words, max(sizes.values()))}
    for n, size in sizes.items():
        if n in TOP:
            values[f"top_{n}gram_char_frac"] = ratio(top_gram_chars(words, grams[size]), length)
        if n in DUPLICATE:
            values[f"dup_{n}gram_char_frac"] = ratio(duplicate_gram_chars(words, grams[size]), length)
    return values


def _out(name: str, doc: str, high: float | None = 1) -> Out:
    return Out(name, pa.float32(), doc, better="lower", range=(0, high))


@scorer(
    "gopher_repetition",
    version="3",
    reads=["text"],
    writes=[
        _out("dup_line_frac", "share of lines that repeat an earlier line"),
        _out("dup_line_char_frac", "share of characters in lines that repeat an earlier line"),
        _out("dup_para_frac", "share of paragraphs that repeat an earlier paragraph"),
        _out("dup_para_char_frac", "share of characters in paragraphs that repeat an earlier one"),
        *(
            _out(f"top_{n}gram_char_frac", f"length of the commonest {n}-gram times its count, per character", None)
            for n in TOP
        ),
        *(_out(f"dup_{n}gram_char_frac", f"share of characters in {n}-grams seen before") for n in DUPLICATE),
    ],
    cost="cpu",
    citation="Rae et al. 2021, arXiv:2112.11446, table A1",
    params=Params,
    stage="filter",
)
def gopher_repetition(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    return score_slices(batch["text"], lambda chars: repetition(chars, words_of(chars, ctx.params.words)))
