"""C4's cleaning rules (Raffel et al. 2020, JMLR 21(140), section 2.2), counted instead of applied.

C4 keeps a line that ends in a terminal mark (. ! ? or a double quote, not "..."), holds enough words (3 in the paper, 5
in its released code), no word over 1,000 characters, no "javascript" and no phrase of a cookie or terms-of-use notice;
Wikipedia's citation marks are cut out first. It drops a page with "lorem ipsum", a curly bracket, or too few sentences
in the lines kept (5 in the paper, 3 in the code). mC4 asks for three lines of 200 characters. Sentences are counted by
closing punctuation that no lower-case letter follows; the original used the Punkt model. The phrases are English.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from catalog.plugins import Better, Context, Out, scorer
from flows.scorers.text._chars import Chars, ratio, read_chars, score_slices
from flows.scorers.text._lines import ends_in_dots, text_lines, trim
from flows.scorers.text._words import split_words

CITATION = r"\[\d*\]|\[edit\]|\[citation needed\]"
POLICY = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
SENTENCE_END = r"[。！？｡]+[\"”’」』）]*|[.!?…]+[\"'”’»)\]]*(?:\s+[^\s\p{Ll}]|\s*$)"
TERMINAL = [ord(char) for char in '.?!"']


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    min_words: int = Field(3, ge=0, description="a line of fewer words is short; the released code used 5")
    max_word_length: int = Field(1000, ge=1, description="a line with a longer word is not kept")
    long_line: int = Field(200, ge=1, description="characters of a long line (mC4)")


def line_rules(chars: Chars, params: Params) -> dict[str, np.ndarray]:
    """The measures of each row."""
    spans = text_lines(chars)
    start, end = trim(chars, spans.start, spans.end)
    raw = chars.strings(start, end)
    lines = pc.replace_substring_regex(raw, CITATION, "")
    lower = pc.ascii_lower(lines)  # the phrases are ASCII, and the Unicode tables take a second to load
    inner = read_chars(lines)
    filled = inner.rows[1:] > inner.rows[:-1]
    words = split_words(inner, "whitespace")
    last = np.append(np.uint32(0), inner.codes)[inner.rows[1:]]
    terminal = filled & np.isin(last, TERMINAL) & ~ends_in_dots(inner, inner.rows[:-1], inner.rows[1:])
    short = words.count < params.min_words
    long_word = words.per_row(words.length > params.max_word_length) > 0
    javascript = _mask(pc.match_substring(lower, "javascript"))
    policy = np.logical_or.reduce([_mask(pc.match_substring(lower, phrase)) for phrase in POLICY])
    kept = terminal & ~short & ~long_word & ~javascript & ~policy
    sentences = np.zeros(len(lines), np.int64)
    found = pc.count_substring_regex(lines.filter(pa.array(kept)), SENTENCE_END).to_numpy()
    sentences[kept] = np.maximum(found, 1)
    number = spans.per_row()
    return {
        "c4_lines": number,
        "c4_terminal_share": ratio(spans.per_row(terminal), number),
        "c4_short_share": ratio(spans.per_row(short), number),
        "c4_javascript_share": ratio(spans.per_row(javascript), number),
        "c4_policy_share": ratio(spans.per_row(policy), number),
        "c4_kept_share": ratio(spans.per_row(kept), number),
        "c4_sentences": spans.per_row(sentences),
        "c4_long_lines": spans.per_row(spans.length >= params.long_line),
        "c4_curly_brackets": chars.count(chars.codes == ord("{")),
        "c4_lorem_ipsum": spans.per_row(_mask(pc.match_substring(lower, "lorem ipsum"))),
    }


def _mask(found: pa.BooleanArray) -> np.ndarray:
    return found.to_numpy(zero_copy_only=False)


def _share(name: str, doc: str, better: Better) -> Out:
    return Out(name, pa.float32(), f"share of lines {doc}", better, (0, 1))


def _count(name: str, doc: str, better: Better) -> Out:
    return Out(name, pa.int32(), doc, better, (0, None))


@scorer(
    "c4_lines",
    version="2",
    reads=["text"],
    writes=[
        _count("c4_lines", "lines", None),
        _share("c4_terminal_share", "that end in a terminal mark", "higher"),
        _share("c4_short_share", "of too few words", "lower"),
        _share("c4_javascript_share", "that name JavaScript", "lower"),
        _share("c4_policy_share", "of a cookie, privacy or terms-of-use notice", "lower"),
        _share("c4_kept_share", "that C4 keeps", "higher"),
        _count("c4_sentences", "sentences in the lines that C4 keeps", "higher"),
        _count("c4_long_lines", "long lines (mC4: 200 characters)", "higher"),
        _count("c4_curly_brackets", "opening curly brackets", "lower"),
        _count("c4_lorem_ipsum", "lines with 'lorem ipsum'", "lower"),
    ],
    cost="cpu",
    citation="Raffel et al. 2020, JMLR 21(140), arXiv:1910.10683",
    params=Params,
    stage="filter",
)
def c4_lines(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    return score_slices(batch["text"], lambda chars: line_rules(chars, ctx.params))
