"""KL reduction: how much closer a tenth of the rows, drawn by DSIR's weights, comes to the target than a random tenth.

Xie et al. 2023, arXiv:2302.03169, section 4: KL(target || random) - KL(target || selected) over hashed n-grams, here on
a sample of the rows. It may be negative: weights are sums over n-grams, so where every row is unlike the target the
highest weights belong to the shortest rows. The n-gram counts of both sides are given beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from catalog.plugins import Scan
from flows.scorers.ngram._buckets import Features

SAMPLE = 5_000
"""Rows at most on which it is measured."""
MIN_WORDS = 100
"""Shorter rows stand aside, as in the paper's sampling."""


def divergence(target: np.ndarray, other: np.ndarray) -> float:
    """KL(target || other) in nats of two bucket counts, each probability raised by 1e-8 as in the weights."""
    p, q = target / max(target.sum(), 1), other / max(other.sum(), 1)
    return float(np.sum(p * (np.log(p + 1e-8) - np.log(q + 1e-8))))


def draws_of(batch: pa.RecordBatch, seed: int) -> np.ndarray:
    """A number for every row that depends on its id and the seed alone."""
    from xxhash import xxh3_64_intdigest

    ids = batch["sample_id"].to_pylist()
    return np.fromiter((xxh3_64_intdigest(row.encode(), seed) for row in ids), np.uint64, len(ids))


def reduction(
    scan: Scan, features: Features, log_ratio: np.ndarray, target: np.ndarray, draws: np.ndarray, seed: int
) -> dict[str, Any]:
    """Facts for the report. `draws`: sorted numbers of the sampled rows. Two passes: weights first, then counts.

    Selected: Gumbel top-k on the log weights. Random: as many rows with the lowest draws.
    """
    noise = np.random.default_rng(seed).gumbel(size=draws.size)
    weight, size = np.zeros(draws.size), np.zeros(draws.size, np.int64)
    for at, texts in _sampled(scan, seed, draws):
        buckets, owner = features(texts)
        weight[at] = np.bincount(owner, log_ratio[buckets], minlength=at.size)
        size[at] = np.bincount(owner, minlength=at.size)
    able = np.flatnonzero((size + features.ngrams - 1) // features.ngrams >= MIN_WORDS)
    chosen = able.size // 10
    if not chosen:
        return {"kl_reduction": None, "kl_rows": 0}
    sides = np.zeros((2, draws.size), bool)
    sides[0, able[:chosen]] = True
    sides[1, able[np.argsort(-(weight + noise)[able], kind="stable")[:chosen]]] = True
    counts = np.zeros((2, log_ratio.size), np.int64)
    for at, texts in _sampled(scan, seed, draws):
        buckets, owner = features(texts)
        for side in (0, 1):
            counts[side] += np.bincount(buckets[sides[side, at[owner]]], minlength=log_ratio.size)
    random, selected = (divergence(target, side) for side in counts)
    return {
        "kl_reduction": random - selected,
        "kl_random": random,
        "kl_selected": selected,
        "kl_rows": chosen,
        "kl_random_ngrams": int(counts[0].sum()),
        "kl_selected_ngrams": int(counts[1].sum()),
    }


def _sampled(scan: Scan, seed: int, draws: np.ndarray) -> Iterator[tuple[np.ndarray, list[str | None]]]:
    """The sampled rows of each batch: their places in the order of the draws, and their texts."""
    for batch in scan() if draws.size else ():
        own = draws_of(batch, seed)
        rows = np.flatnonzero(own <= draws[-1])
        yield np.searchsorted(draws, own[rows]), batch["text"].take(pa.array(rows)).to_pylist()
