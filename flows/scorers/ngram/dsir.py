"""DSIR: how much more likely a text is under the target's n-grams than under the dataset's own.

Xie, Santurkar, Ma and Liang, "Data Selection for Language Models via Importance Resampling", 2023, arXiv:2302.03169.
Features: lower-cased WordPunct words and word pairs, SHA-256 modulo 10,000 buckets. Two bag-of-n-gram distributions are
fitted, over the target and over the dataset; the log importance weight is sum(count * (log p_target - log p_raw)) with
1e-8 added to each probability. The sum is not divided by length: long texts get large weights of either sign.
Equal to the authors' package data-selection 1.0.3, tokenised by `\\w+|[^\\w\\s]+` of Python's `re` as nltk up to 3.9 did.
Sampling by the weights (Gumbel top-k) is a selector's business.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog import states
from catalog.errors import BadInput
from catalog.plugins import Context, Out, Scan, scorer
from flows.scorers.ngram._buckets import features
from flows.scorers.ngram._classes import TO_TARGET
from flows.scorers.ngram._kl import SAMPLE, divergence, draws_of, reduction


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    ngrams: int = Field(2, ge=1, le=2, description="1: words; 2: words and pairs of neighbouring words")
    buckets: int = Field(10_000, ge=10, le=10_000_000, description="buckets that n-grams are hashed into")


def fit(scan: Scan, ctx: Context) -> dict[str, Any]:
    """Distributions of the target and of the dataset; the report holds the KL reduction of a selected tenth."""
    params = ctx.params
    if ctx.target is None:
        raise BadInput("dsir needs a target dataset: --target NAME[@vN] (text like what is wanted)")
    target, target_rows = _count((batch["text"] for batch in ctx.target(["text"])), params)
    if not target.sum():
        raise BadInput("dsir: the target has no text; give a --target whose rows have words")
    draws = [np.empty(0, np.uint64)]
    raw, raw_rows = _count(_drawing(scan, ctx.seed, draws), params)
    log_ratio = np.log(target / target.sum() + 1e-8) - np.log(raw / max(raw.sum(), 1) + 1e-8)
    report = {
        "target_rows": target_rows,
        "target_ngrams": int(target.sum()),
        "raw_rows": raw_rows,
        "raw_ngrams": int(raw.sum()),
        "kl_target_from_raw": divergence(target, raw),
    }
    report |= reduction(scan, features(params.buckets, params.ngrams), log_ratio, target, draws[0], ctx.seed)
    return {"log_ratio": log_ratio, "report": report}


@scorer(
    "dsir",
    version="1",
    fit=fit,
    params=Params,
    citation="arXiv:2302.03169",
    writes=[Out("dsir", pa.float64(), "log importance weight to the target; a sum over n-grams", better="higher")],
    **TO_TARGET,
)
def dsir(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    """Log importance weight of each text (Xie et al. 2023, arXiv:2302.03169). A text without a word is undefined.

    Works for any script whose words are separated by spaces; a run of Han or Thai characters is one word here, as in
    the authors' code.
    """
    buckets, owner = features(ctx.params.buckets, ctx.params.ngrams)(batch["text"].to_pylist())
    weight = np.bincount(owner, ctx.state["log_ratio"][buckets], minlength=batch.num_rows)
    empty = np.bincount(owner, minlength=batch.num_rows) == 0
    return {
        "dsir": pa.array(weight, pa.float64(), mask=empty),
        "_state": pa.array(np.where(empty, states.UNDEFINED, states.VALUE), pa.uint8()),
    }


def _count(texts: Iterator[pa.Array], params: Params) -> tuple[np.ndarray, int]:
    counts, rows, of = np.zeros(params.buckets, np.int64), 0, features(params.buckets, params.ngrams)
    for array in texts:
        counts += np.bincount(of(array.to_pylist())[0], minlength=params.buckets)
        rows += len(array)
    return counts, rows


def _drawing(scan: Scan, seed: int, lowest: list[np.ndarray]) -> Iterator[pa.Array]:
    """The scan's texts; on the way `lowest[0]` gathers the `SAMPLE` lowest draws, sorted."""
    for batch in scan():
        lowest[0] = np.sort(np.concatenate([lowest[0], draws_of(batch, seed)]))[:SAMPLE]
        yield batch["text"]
