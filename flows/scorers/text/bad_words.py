"""Words of the "List of Dirty, Naughty, Obscene and Otherwise Bad Words", by which C4 drops pages, counted.

Raffel et al. 2020, arXiv:1910.10683, section 2.2: a page that holds any word of the list goes. `bad_words.json` holds the
lists of 26 languages (github.com/LDNOOBW, CC BY 4.0; English at the commit that C4 names). A word counts where no letter,
digit or underscore touches it, in Chinese, Japanese and Thai anywhere; the four entries that C4's authors allow in Chinese
and Japanese are not looked for. The released code lowers the text but not the list, so that its entries with capitals
(61 of 68 in Spanish) never match: `fold` lowers both.

A list says that a word occurs, not that the text is toxic: pages on medicine, law and the speech of minorities hold such
words too (Dodge et al. 2021, arXiv:2104.08758). `toxicity` asks a model.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from catalog import states
from catalog.plugins import Context, Out, scorer

ANYWHERE = ("ja", "th", "zh")
ALLOWED = frozenset(("sm", "グロ", "女の子", "性"))


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    add: list[str] = Field(default_factory=list, description="further words, looked for in every language")
    allow: list[str] = Field(default_factory=list, description="words of the list that are not looked for")
    fold: bool = Field(True, description="lower the list as well as the text; false: as the released code")


@lru_cache(maxsize=1)
def lists() -> dict[str, list[str]]:
    """Entries by language code."""
    return json.loads((Path(__file__).parent / "bad_words.json").read_text("utf-8"))["words"]


@lru_cache(maxsize=256)
def patterns(code: str, add: tuple[str, ...], allow: frozenset[str], fold: bool) -> tuple[str, re.Pattern[str]] | None:
    """A linear-time sieve that matches every text with an entry, and the pattern that counts; longest entries first."""
    listed = [*lists()[code], *(word.lower() for word in add)]
    found = {word.lower() if fold else word for word in listed} - ALLOWED - allow
    words = sorted(map(re.escape, found), key=lambda word: (-len(word), word))
    if not words:
        return None
    joined = "|".join(words)
    if code in ANYWHERE:
        return joined, re.compile(joined)
    return f"(?:^|[^a-z0-9_])(?:{joined})(?:[^a-z0-9_]|$)", re.compile(rf"(?<!\w)(?:{joined})(?!\w)")


def count_words(texts: list[str], code: str, params: Params) -> np.ndarray:
    """Listed words of each text, without overlaps."""
    counts = np.zeros(len(texts), np.int32)
    found = patterns(code, tuple(params.add), frozenset(word.lower() for word in params.allow), params.fold)
    if found is None:
        return counts
    sieve, pattern = found
    lower = [text.lower() for text in texts]
    sieved = pc.match_substring_regex(pa.array(lower, pa.large_string()), sieve).to_numpy(zero_copy_only=False)
    for row in np.flatnonzero(sieved).tolist():
        counts[row] = sum(1 for _ in pattern.finditer(lower[row]))
    return counts


@scorer(
    "bad_words",
    version="1",
    reads=["text", "language"],
    writes=[
        Out("bad_words", pa.int32(), "listed words that occur; C4 drops a page with any", "lower", (0, None)),
        Out("bad_words_per_1000", pa.float32(), "listed words per 1,000 characters", "lower", (0, None)),
    ],
    cost="cpu",
    citation="Raffel et al. 2020, arXiv:1910.10683, section 2.2; list: LDNOOBW, CC BY 4.0",
    params=Params,
    stage="filter",
)
def bad_words(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    languages, texts = batch["language"], batch["text"]
    counts, valid = np.zeros(len(batch), np.int32), np.zeros(len(batch), bool)
    usable = pc.greater(pc.utf8_length(texts), 0).fill_null(False)
    for code in [code for code in pc.unique(languages).to_pylist() if code in lists()]:
        mask = pc.and_(pc.equal(languages, code).fill_null(False), usable)
        rows = np.flatnonzero(mask.to_numpy(zero_copy_only=False))
        counts[rows], valid[rows] = count_words(texts.filter(mask).to_pylist(), code, ctx.params), True
    size = pc.fill_null(pc.utf8_length(texts), 0).to_numpy(zero_copy_only=False)
    known = np.array([code in lists() for code in languages.to_pylist()], bool) | languages.is_null().to_numpy(
        zero_copy_only=False
    )
    empty = ~usable.to_numpy(zero_copy_only=False)
    outside = np.where(known | empty, states.UNDEFINED, states.OUT_OF_VALIDITY)
    return {
        "bad_words": pa.array(counts, pa.int32(), mask=~valid),
        "bad_words_per_1000": pa.array((1000 * counts / np.maximum(size, 1)).astype(np.float32), mask=~valid),
        "_state": pa.array(np.where(valid, states.VALUE, outside), pa.uint8()),
    }
