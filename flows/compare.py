"""Measures of whole sets: how diverse two datasets are, and how far apart. They are facts of sets, never columns.

mmd       squared maximum mean discrepancy, unbiased, Gaussian kernel with the median distance as its width
          (Gretton et al. 2012, JMLR 13)
vendi     Vendi score of each side: exp of the entropy of the eigenvalues of the cosine kernel over n, an effective
          number of different texts (Friedman and Dieng 2023, arXiv:2210.02410)
clusters  Jensen-Shannon distance, in bits, of the shares of joint k-means clusters, and the clusters only one side has:
          prototypes in the sense of van Noord 2023 (arXiv:2309.02401), with k-means in place of his trained layer
transport, prototypes   see `flows/compare_sets.py`
ngrams    KL(B || A) and KL(A || B) in nats over DSIR's hashed n-grams (Xie et al. 2023, arXiv:2302.03169)
qdc       quality, diversity and complexity of each side; see `flows/panel.py`

A side is a dataset version or a saved selection; two versions of one dataset tell how it shifted. All but the last two
read a column of vectors of both sides (`embedding`), on at most `rows` rows a side, those with the lowest keyed hashes of
their ids, so that both sides are drawn alike; `ngrams` reads every text.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from catalog.catalog import Catalog
from catalog.errors import BadInput, NotFound
from flows import compare_sets
from flows.kl_reduction import bucket_counts
from flows.panel import panel
from flows.sets import set_vectors

METRICS = ("mmd", "vendi", "clusters", "transport", "prototypes", "ngrams", "qdc")


def compare(
    cat: Catalog,
    a: str,
    b: str,
    metrics: list[str] | None = None,
    *,
    rows: int = 5_000,
    clusters: int = 64,
    vectors: str = "embedding",
    seed: int = 0,
) -> dict[str, Any]:
    """The chosen measures (default: all) of two sets `a` and `b`; {"a", "b", "rows", metric: facts}."""
    wanted = list(metrics or METRICS)
    for name in wanted:
        if name not in METRICS:
            raise NotFound("metric", name, METRICS)
    body: dict[str, Any] = {"a": a, "b": b}
    if set(wanted) - {"ngrams", "qdc"}:
        left, right = (set_vectors(cat, ref, vectors, rows, seed) for ref in (a, b))
        if left.shape[1] != right.shape[1]:
            raise BadInput(f"{a} has vectors of {left.shape[1]} numbers, {b} of {right.shape[1]}; embed both alike")
        body["rows"] = {"a": len(left), "b": len(right)}
        if "mmd" in wanted:
            body["mmd"] = mmd(left, right)
        if "vendi" in wanted:
            body["vendi"] = {"a": vendi(left), "b": vendi(right)}
        if "clusters" in wanted:
            body["clusters"] = cluster_shares(left, right, clusters, seed)
        if "transport" in wanted:
            body["transport"] = compare_sets.transport(left, right)
        if "prototypes" in wanted:
            body["prototypes"] = compare_sets.prototypes(
                cat, a, b, rows=rows, count=clusters, vectors=vectors, seed=seed
            )
    if "ngrams" in wanted:
        from flows.scorers.ngram._kl import divergence

        held, other = (bucket_counts(cat, ref)[0] for ref in (a, b))
        body["ngrams"] = {"kl_b_from_a": divergence(other, held), "kl_a_from_b": divergence(held, other)}
    if "qdc" in wanted:
        body["qdc"] = {
            side: panel(cat, ref, vectors=vectors, rows=rows, seed=seed) for side, ref in (("a", a), ("b", b))
        }
    return body


def vendi(points: np.ndarray) -> float:
    """Effective number of different unit vectors, from the smaller of the two Gram matrices."""
    points = points.astype(np.float64)
    gram = points.T @ points if points.shape[1] < len(points) else points @ points.T
    values = np.linalg.eigvalsh(gram / len(points))
    values = values[values > 0]
    return float(np.exp(-(values * np.log(values)).sum()))


def mmd(left: np.ndarray, right: np.ndarray) -> dict[str, float | None]:
    """Unbiased squared MMD; it may be a little below zero where both sides are alike. None below two rows a side."""
    if min(len(left), len(right)) < 2:
        return {"squared": None, "width": None}
    left, right = left.astype(np.float64), right.astype(np.float64)
    both = np.concatenate([left, right])
    part = both[:: max(len(both) // 1000, 1)]
    gaps = _squares(part, part)[np.triu_indices(len(part), 1)]
    width = float(np.median(gaps[gaps > 1e-12])) if (gaps > 1e-12).any() else 1.0
    total = 0.0
    for side, other, sign in ((left, left, 1), (right, right, 1), (left, right, -2)):
        mass = 0.0
        for start in range(0, len(side), 1024):
            mass += float(np.exp(-_squares(side[start : start + 1024], other) / width).sum())
        same = sign == 1
        total += sign * (
            (mass - len(side)) / (len(side) * (len(side) - 1)) if same else mass / (len(side) * len(other))
        )
    return {"squared": total, "width": width**0.5}


def cluster_shares(left: np.ndarray, right: np.ndarray, clusters: int, seed: int) -> dict[str, Any]:
    """How differently both sides use the clusters of all rows."""
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    both = np.concatenate([left, right])
    count = min(clusters, len(np.unique(both, axis=0)))
    with threadpool_limits(1):
        labels = KMeans(count, n_init=1, random_state=seed).fit_predict(both)
    shares = [np.bincount(part, minlength=count) / len(part) for part in (labels[: len(left)], labels[len(left) :])]
    return {
        "jensen_shannon": jensen_shannon(*shares),
        "clusters": count,
        "only_a": int((shares[1] == 0).sum()),
        "only_b": int((shares[0] == 0).sum()),
    }


def jensen_shannon(p: np.ndarray, q: np.ndarray) -> float:
    """Jensen-Shannon distance in bits: 0 for equal shares, 1 for disjoint ones."""
    middle = (p + q) / 2
    parts = [np.sum(side[side > 0] * np.log2(side[side > 0] / middle[side > 0])) for side in (p, q)]
    return float(np.sqrt(max(sum(parts) / 2, 0)))


def _squares(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    gap = (left**2).sum(1)[:, None] + (right**2).sum(1)[None, :] - 2 * left @ right.T
    return np.maximum(gap, 0)
