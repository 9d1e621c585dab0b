"""FineWeb2's filters with the settings of the row's language (Penedo et al. 2025, arXiv:2506.20920), as counts.

FineWeb2 runs Gopher's repetition and quality rules and FineWeb's line rules with stop words and thresholds of their own
for every language; `fineweb2.json` holds those of the languages that `langid` names (the released configurations of
github.com/huggingface/fineweb-2). A row is out of validity where its language has none: English, `unknown`.

The original splits Chinese, Japanese and Thai into words with dictionaries. Here an ideograph, kana or Thai letter with
its marks is a unit, a word of the thresholds is taken for UNITS units (about what the original's tokenisers make of
parallel paragraphs), an n-gram of words for one of round(n * UNITS) units, stop words are looked for anywhere in the
text, and the bounds of the mean word length do not apply. Lao, Khmer, Burmese and Tibetan are out of validity.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from catalog import states
from catalog.plugins import Context, Out, scorer
from flows.scorers.text._chars import ALONE, LETTER, Chars, chars_of, ratio, slices
from flows.scorers.text._units import UNITS, unit_words
from flows.scorers.text._words import words_of
from flows.scorers.text.fineweb_lines import Params as LineParams
from flows.scorers.text.fineweb_lines import line_measures
from flows.scorers.text.gopher_quality import quality
from flows.scorers.text.gopher_repetition import SIZES, repetition

LINES = LineParams.model_validate({})
WITHOUT = ("lo", "km", "my", "bo", "dz")
COMMON = {"hash_word_ratio": 0.1, "ellipsis_word_ratio": 0.1, "bullet_line_share": 0.9, "ellipsis_line_share": 0.3}
COMMON |= {"char_dup_ratio": 0.1}
"""Limits that are the same for every language."""


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    min_words: int = Field(50, ge=0, description="fewer words are too few (Gopher)")
    max_words: int = Field(100_000, ge=1, description="more words are too many (Gopher)")
    min_stop_words: int = Field(2, ge=0, description="fewer different stop words are too few")


@cache
def settings() -> dict[str, dict[str, Any]]:
    """Thresholds and stop words by language code."""
    held = json.loads((Path(__file__).parent / "fineweb2.json").read_text("utf-8"))
    return {code: value for code, value in held.items() if code not in WITHOUT}


def measures(chars: Chars, code: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The measures that the thresholds are for, and the number of words, in official words."""
    if code not in UNITS:
        words = words_of(chars, "split")
        values = quality(chars, words, []) | line_measures(chars, words, LINES) | repetition(chars, words)
        return values, values["word_count"]
    units, words = UNITS[code], unit_words(chars)
    values = quality(chars, words, []) | line_measures(chars, words, LINES)
    del values["mean_word_length"]
    alone = words.per_row((words.bits & ALONE) > 0)
    fewer = alone - alone / units  # words are fewer than tokens by this many, all of them with letters
    letters, total = words.per_row((words.bits & LETTER) > 0) - fewer, words.count - fewer
    for name in ("hash_word_ratio", "ellipsis_word_ratio", "newline_word_ratio"):
        values[name] = values[name] * ratio(words.count, total)
    values["alpha_word_share"] = ratio(letters, total)
    values |= repetition(chars, words, {n: round(n * units) for n in SIZES})
    return values, values["word_count"] - fewer


def stop_words_of(chars: Chars, texts: pa.Array, code: str) -> np.ndarray:
    """How many different stop words of the language each row holds."""
    total = np.zeros(len(chars), np.int64)
    for word in settings()[code]["stop_words"]:
        if code in UNITS:
            total += pc.match_substring(texts, word).fill_null(False).to_numpy(zero_copy_only=False)
        else:
            total += words_of(chars, "split").rows_with(word)
    return total


def broken_rules(
    values: dict[str, np.ndarray], count: np.ndarray, stop_words: np.ndarray, code: str, params: Params
) -> dict[str, np.ndarray]:
    """Which rows break which rule of the language. A limit of 0 switches the original's rule off."""
    config = settings()[code]
    broken = {"word_count": (count < params.min_words) | (count > params.max_words)}
    for name, limit in (config["max"] | COMMON).items():
        if name in values and limit:
            broken[name] = values[name] > limit
    for name, limit in config["min"].items():
        if name in values and limit:
            broken[name] = broken.get(name, False) | (values[name] < limit)
    return broken | {"stop_words": stop_words < params.min_stop_words}


def judge(texts: pa.Array, code: str, params: Params) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of rows of one language: stop words, number of broken rules, the first of them ("" for none), and which rows have
    a text to judge."""
    chars = chars_of(texts)
    stop_words = stop_words_of(chars, texts, code)
    broken = broken_rules(*measures(chars, code), stop_words, code, params)
    table = np.stack(list(broken.values()))
    first = np.where(table.any(0), np.array(list(broken))[table.argmax(0)], "")
    return stop_words, table.sum(0), first, np.diff(chars.rows) > 0


@scorer(
    "fineweb2",
    version="2",
    reads=["text", "language"],
    writes=[
        Out("fineweb2_stop_words", pa.int32(), "different stop words of the language present", "higher", (0, None)),
        Out(
            "fineweb2_broken", pa.int32(), "FineWeb2's rules for the language that the text breaks", "lower", (0, None)
        ),
        Out("fineweb2_rule", pa.string(), "the first of them: the measure outside its bounds; empty for none"),
    ],
    cost="cpu",
    citation="Penedo et al. 2025, arXiv:2506.20920",
    params=Params,
    stage="filter",
)
def fineweb2(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    languages = batch["language"]
    known = [code for code in pc.unique(languages).to_pylist() if code in settings()]
    counts = np.zeros((2, len(batch)), np.int32)
    rule, valid = np.full(len(batch), "", object), np.zeros(len(batch), bool)
    for code in known:
        mask = pc.equal(languages, code).fill_null(False)
        rows, done = np.flatnonzero(mask.to_numpy(zero_copy_only=False)), 0
        for texts in slices(batch["text"].filter(mask)):
            at = rows[done : done + len(texts)]
            counts[0, at], counts[1, at], rule[at], valid[at] = judge(texts, code, ctx.params)
            done += len(texts)
    null = batch["text"].is_null().to_numpy(zero_copy_only=False) | languages.is_null().to_numpy(zero_copy_only=False)
    empty = pc.equal(pc.binary_length(batch["text"].fill_null("")), 0).to_numpy(zero_copy_only=False)
    outside = np.where(null | empty, states.UNDEFINED, states.OUT_OF_VALIDITY)
    return {
        "fineweb2_stop_words": pa.array(counts[0], pa.int32(), mask=~valid),
        "fineweb2_broken": pa.array(counts[1], pa.int32(), mask=~valid),
        "fineweb2_rule": pa.array(rule, pa.string(), mask=~valid),
        "_state": pa.array(np.where(valid, states.VALUE, outside), pa.uint8()),
    }
