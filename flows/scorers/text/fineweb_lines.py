"""FineWeb's custom line measures (Penedo et al. 2024, arXiv:2406.17557, section 3.6), as numbers.

FineWeb drops a document where the share of lines ending in punctuation is at most 0.12, the share of characters in
repeated lines at least 0.1 (0.01 in the released code), or the share of lines of at most 30 characters at least 0.67;
its code also drops more than 0.3 newlines per word. Lines are those of split("\\n") that are not blank. Closing
punctuation is any character with the Unicode property Sentence_Terminal, as in the code of today; the first release
used the characters .'"!? which `stop_chars` can bring back.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog.plugins import Context, Out, scorer
from flows.scorers.text._chars import Chars, ratio, score_slices
from flows.scorers.text._lines import NEWLINE, newline_lines
from flows.scorers.text._repeats import duplicate_spans
from flows.scorers.text._words import SPLITTER_DOC, Splitter, Words, words_of


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    short_line: int = Field(30, ge=0, description="a line of at most this many characters is short")
    stop_chars: str = Field("", description="characters that close a line; empty: Unicode Sentence_Terminal")
    words: Splitter = Field("split", description=SPLITTER_DOC)


@cache
def terminal_table(stop_chars: str = "") -> np.ndarray:
    """Which code points close a line."""
    table = np.zeros(0x110000, bool)
    if stop_chars:
        table[[ord(char) for char in stop_chars]] = True
        return table
    for line in (Path(__file__).parent / "sentence_terminal.txt").read_text("utf-8").splitlines():
        if not line.startswith("#"):
            table[[int(code, 16) for code in line.split()]] = True
    return table


def line_measures(chars: Chars, words: Words, params: Params) -> dict[str, np.ndarray]:
    """The measures of each row, for given words."""
    lines = newline_lines(chars)
    lines = lines.keep(lines.solid())
    number = lines.per_row()
    newlines = chars.count(chars.codes == NEWLINE)
    closed = terminal_table(params.stop_chars)[chars.codes[lines.end - 1]]
    _, repeated = duplicate_spans(lines)
    return {
        "line_punct_ratio": ratio(lines.per_row(closed), number),
        "short_line_ratio": ratio(lines.per_row(lines.length <= params.short_line), number),
        "char_dup_ratio": ratio(repeated, np.diff(chars.rows) - newlines),
        "newline_word_ratio": ratio(newlines, words.count),
    }


@scorer(
    "fineweb_lines",
    version="3",
    reads=["text"],
    writes=[
        Out("line_punct_ratio", pa.float32(), "share of lines that end in closing punctuation", "higher", (0, 1)),
        Out("short_line_ratio", pa.float32(), "share of short lines", "lower", (0, 1)),
        Out(
            "char_dup_ratio", pa.float32(), "share of characters in lines that repeat an earlier line", "lower", (0, 1)
        ),
        Out("newline_word_ratio", pa.float32(), "newlines per word or symbol", "lower", (0, None)),
    ],
    cost="cpu",
    citation="Penedo et al. 2024, arXiv:2406.17557",
    params=Params,
    stage="filter",
)
def fineweb_lines(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    params = ctx.params
    return score_slices(batch["text"], lambda chars: line_measures(chars, words_of(chars, params.words), params))
