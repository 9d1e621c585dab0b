"""Overlap of a row's text with every dataset of role eval: shared word n-grams, and the eval items it holds.

`eval_overlap` follows the contamination study of Brown et al., "Language Models are Few-Shot Learners", 2020,
arXiv:2005.14165, appendix C: lower-cased words without punctuation, a shared run of 13 words; an item of 8 to 12 words
is looked for whole. It says how much of the row is eval. `eval_leak` says how much of an eval item the row holds, by
runs of 8 words as in the decontamination of Tülu 3 (Lambert et al. 2024, arXiv:2411.15124), so that a short item in a
long page counts in full; `eval_leak_numbers` is the same with every number masked, which finds a maths problem with
other numbers. Each eval declares which fields are a leak and from which share on (see `catalog/evals.py`). Items that
cannot be told from common phrases, being short or made of them, are listed in the report.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, model_validator

from catalog import states
from catalog.errors import BadInput
from catalog.plugins import Context, Out, Scan, scorer
from flows.scorers.ngram._added import extended
from flows.scorers.ngram._hashing import ngram_hashes, owners, word_hashes
from flows.scorers.ngram._items import item_state, leak_columns, lookup
from flows.scorers.ngram._leaks import eval_texts


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    n: int = Field(13, ge=2, le=50, description="words in a row that two texts must share")
    shortest: int = Field(8, ge=2, le=50, description="eval items of fewer words are not looked for")
    span: int = Field(8, ge=2, le=50, description="words in a row that a part of an item is known by")
    common: int = Field(
        20, ge=1, description="a run of words that more items of one eval share is a phrase, no evidence"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Params:
        if self.shortest > self.n:
            raise ValueError(f"shortest {self.shortest} is above n {self.n}")
        return self


def fit(scan: Scan, ctx: Context) -> dict[str, Any]:
    """Index of all evals: sorted n-gram hashes with the number of the eval that holds each, and the items' postings."""
    if not ctx.evals:
        raise BadInput("eval_overlap: no dataset has role eval; ingest one with --role eval")
    params = ctx.params
    lengths = range(params.shortest, params.n + 1)
    none = (np.empty(0, np.uint64), np.empty(0, np.int32))
    found = {length: [none] for length in lengths}
    for number, held in enumerate(ctx.evals):
        for _field, _ids, texts in eval_texts(held):
            words, offsets = word_hashes(texts)
            counts = np.diff(offsets)
            for length in lengths:
                hashes, first = ngram_hashes(words, offsets, length)
                # The windows of a whole item only, except at n, where all windows count.
                if length < params.n:
                    hashes = hashes[(counts == length)[owners(offsets)[first]]]
                found[length].append((hashes, np.full(hashes.size, number, np.int32)))
    state: dict[str, Any] = {"refs": [held.ref for held in ctx.evals], "lengths": []}
    for length in lengths:
        hashes, evals = _distinct(*(np.concatenate(part) for part in zip(*found[length], strict=True)))
        if hashes.size:
            state["lengths"].append(length)
            state[f"hashes_{length}"], state[f"evals_{length}"] = hashes, evals
    sizes = {str(length): int(state[f"hashes_{length}"].size) for length in state["lengths"]}
    listed = item_state(state, ctx.evals, params)
    state["report"] = {"evals": listed, "n": params.n, "shortest": params.shortest, "ngrams": sizes}
    return state


def extend(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    return extended(eval_overlap, batch, ctx)


@scorer(
    "eval_overlap",
    version="3",
    fit=fit,
    extend=extend,
    fit_on="evals",
    reads=["text"],
    params=Params,
    cost="cpu",
    stage="L2",
    citation="arXiv:2005.14165, appendix C; 8-word runs of items as in arXiv:2411.15124",
    batch_rows=1024,
    writes=[
        Out("eval_overlap", pa.float32(), "share of the words that lie in an n-gram of an eval", "lower", (0, 1)),
        Out("eval_overlap_hits", pa.int32(), "n-grams of the text that occur in an eval", "lower", (0, None)),
        Out("eval_overlap_source", pa.string(), "the eval with the most hits, by reference; null: none"),
        Out("eval_leak", pa.float32(), "greatest share of an eval item's words that the text holds", "lower", (0, 1)),
        Out("eval_leak_numbers", pa.float32(), "the same with numbers masked, of items with numbers", "lower", (0, 1)),
        Out("eval_leak_longest", pa.int32(), "most words in a row shared with one eval item", "lower", (0, None)),
        Out("eval_leak_action", pa.string(), "what the evals it leaks ask for: flag, cut or drop; null: no leak"),
        Out("eval_leak_items", pa.string(), "JSON list of the items it holds a part of, most first, with spans"),
    ],
)
def eval_overlap(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    """Share of each text's words covered by n-grams of the evals, and the eval items that the text holds.

    A text without words overlaps nothing (0); a null text is undefined. Ties between evals go to the one listed first.
    """
    texts = batch["text"]
    held_texts = texts.to_pylist()
    words, offsets = word_hashes(held_texts)
    owner, rows = owners(offsets), batch.num_rows
    edges = np.zeros(words.size + 1, np.int64)
    hits, refs = np.zeros(rows, np.int64), ctx.state["refs"]
    by_eval = np.zeros((rows, len(refs)), np.int64)
    for length in ctx.state["lengths"]:
        grams, first = ngram_hashes(words, offsets, length)
        hit, low, width = lookup(ctx.state[f"hashes_{length}"], grams)
        start = first[hit]
        np.add.at(edges, start, 1)
        np.add.at(edges, start + length, -1)
        hits += np.bincount(owner[start], minlength=rows)
        held = np.repeat(low - np.cumsum(width) + width, width) + np.arange(width.sum())
        np.add.at(by_eval, (np.repeat(owner[start], width), ctx.state[f"evals_{length}"][held]), 1)
    covered = np.bincount(owner[np.cumsum(edges[:-1]) > 0], minlength=rows)
    null = texts.is_null().to_numpy(zero_copy_only=False)
    source = pa.array(refs, pa.string()).take(pa.array(by_eval.argmax(axis=1), mask=hits == 0))
    return {
        "eval_overlap": pa.array((covered / np.maximum(np.diff(offsets), 1)).astype(np.float32), mask=null),
        "eval_overlap_hits": pa.array(hits, pa.int32(), mask=null),
        "eval_overlap_source": source,
        **leak_columns(held_texts, words, offsets, null, ctx),
        "_state": pa.array(np.where(null, states.UNDEFINED, states.VALUE), pa.uint8()),
    }


def _distinct(hashes: np.ndarray, evals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct (hash, eval) pairs, sorted by hash, then by eval."""
    order = np.lexsort((evals, hashes))
    hashes, evals = hashes[order], evals[order]
    new = np.ones(hashes.size, bool)
    new[1:] = (hashes[1:] != hashes[:-1]) | (evals[1:] != evals[:-1])
    return hashes[new], evals[new]
