"""Overlap of a row's text with every dataset of role eval: shared word 13-grams.

After the contamination study of Brown et al., "Language Models are Few-Shot Learners", 2020, arXiv:2005.14165,
appendix C: texts are compared as lower-cased words without punctuation, and two texts overlap when they share a run of
13 words. An item shorter than 13 words is looked for as a whole, down to 8 words; shorter ones cannot be told from
common phrases and are counted as such in the report. Texts are also Unicode-normalised, and in scripts written without
spaces every character is a word. An item is its whole text, a multiple-choice question with its choices: a row that
quotes fewer than 13 words of it is not found. Nothing is decided here; a threshold on the share belongs to a selection.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, model_validator

from catalog import states
from catalog.errors import BadInput
from catalog.plugins import Context, Out, Scan, scorer
from flows.scorers.ngram._hashing import ngram_hashes, owners, word_hashes


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    n: int = Field(13, ge=2, le=50, description="words in a row that two texts must share")
    shortest: int = Field(8, ge=2, le=50, description="eval items of fewer words are not looked for")

    @model_validator(mode="after")
    def _ordered(self) -> Params:
        if self.shortest > self.n:
            raise ValueError(f"shortest {self.shortest} is above n {self.n}")
        return self


def fit(scan: Scan, ctx: Context) -> dict[str, Any]:
    """Index of all evals: for each length, sorted n-gram hashes with the number of the eval that holds each."""
    if not ctx.evals:
        raise BadInput("eval_overlap: no dataset has role eval; ingest one with --role eval")
    params = ctx.params
    lengths = range(params.shortest, params.n + 1)
    none = (np.empty(0, np.uint64), np.empty(0, np.int32))
    found = {length: [none] for length in lengths}
    listed = []
    for number, held in enumerate(ctx.evals):
        items = short = 0
        for batch in held.scan(["text"]):
            words, offsets = word_hashes(batch["text"].to_pylist())
            counts = np.diff(offsets)
            items, short = items + batch.num_rows, short + int((counts < params.shortest).sum())
            for length in lengths:
                hashes, first = ngram_hashes(words, offsets, length)
                # The windows of a whole item only, except at n, where all windows count.
                if length < params.n:
                    hashes = hashes[(counts == length)[owners(offsets)[first]]]
                found[length].append((hashes, np.full(hashes.size, number, np.int32)))
        listed.append({"ref": held.ref, "items": items, "too_short": short})
    state: dict[str, Any] = {"refs": [held.ref for held in ctx.evals], "lengths": []}
    for length in lengths:
        hashes, evals = _distinct(*(np.concatenate(part) for part in zip(*found[length], strict=True)))
        if hashes.size:
            state["lengths"].append(length)
            state[f"hashes_{length}"], state[f"evals_{length}"] = hashes, evals
    sizes = {str(length): int(state[f"hashes_{length}"].size) for length in state["lengths"]}
    state["report"] = {"evals": listed, "n": params.n, "shortest": params.shortest, "ngrams": sizes}
    return state


@scorer(
    "eval_overlap",
    version="1",
    fit=fit,
    fit_on="evals",
    reads=["text"],
    params=Params,
    cost="cpu",
    stage="L2",
    citation="arXiv:2005.14165, appendix C",
    batch_rows=4096,
    writes=[
        Out("eval_overlap", pa.float32(), "share of the words that lie in an n-gram of an eval", "lower", (0, 1)),
        Out("eval_overlap_hits", pa.int32(), "n-grams of the text that occur in an eval", "lower", (0, None)),
        Out("eval_overlap_source", pa.string(), "the eval with the most hits, by reference; null: none"),
    ],
)
def eval_overlap(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    """Share of each text's words covered by n-grams of the evals (Brown et al. 2020, appendix C).

    A text without words overlaps nothing (0); a null text is undefined. Ties between evals go to the one listed first.
    """
    texts = batch["text"]
    words, offsets = word_hashes(texts.to_pylist())
    owner, rows = owners(offsets), batch.num_rows
    edges = np.zeros(words.size + 1, np.int64)
    hits, refs = np.zeros(rows, np.int64), ctx.state["refs"]
    by_eval = np.zeros((rows, len(refs)), np.int64)
    for length in ctx.state["lengths"]:
        grams, first = ngram_hashes(words, offsets, length)
        hit, low, width = _lookup(ctx.state[f"hashes_{length}"], grams)
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
        "_state": pa.array(np.where(null, states.UNDEFINED, states.VALUE), pa.uint8()),
    }


def _distinct(hashes: np.ndarray, evals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct (hash, eval) pairs, sorted by hash, then by eval."""
    order = np.lexsort((evals, hashes))
    hashes, evals = hashes[order], evals[order]
    new = np.ones(hashes.size, bool)
    new[1:] = (hashes[1:] != hashes[:-1]) | (evals[1:] != evals[:-1])
    return hashes[new], evals[new]


def _lookup(index: np.ndarray, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which keys a sorted index holds, where each of them starts there, and how often it stands.

    A table over the leading bits turns most keys away before the binary search, which costs a cache miss a step.
    """
    bits = min(26, max(10, int(index.size * 8).bit_length()))
    shift = np.uint64(64 - bits)
    marked = np.zeros(1 << bits, bool)
    marked[(index >> shift).astype(np.int64)] = True
    maybe = np.flatnonzero(marked[(keys >> shift).astype(np.int64)])
    low = np.searchsorted(index, keys[maybe])
    held = index[np.minimum(low, index.size - 1)] == keys[maybe]
    hit, low = maybe[held], low[held]
    return hit, low, np.searchsorted(index, keys[hit], side="right") - low
