"""Logistic regression on hashed words and word pairs: features, training, and predictions for rows held out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from catalog import states
from flows.scorers.ngram._hashing import ngram_hashes, owners, word_hashes


def unit_features(texts: Sequence[str | None], buckets: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, bucket and value of each feature, by row, then by bucket; a row's values have unit Euclidean length."""
    words, offsets = word_hashes(texts)
    pairs, first = ngram_hashes(words, offsets, 2)
    row = owners(offsets)
    keys = np.concatenate([row, row[first]]) * buckets
    keys += (np.concatenate([words, pairs]) % np.uint64(buckets)).astype(np.int64)
    keys, counts = np.unique(keys, return_counts=True)
    row = keys // buckets
    norm = np.sqrt(np.bincount(row, counts.astype(np.float64) ** 2, minlength=len(texts)))
    return row, keys % buckets, counts / norm[row]


def unit_matrix(texts: Sequence[str | None], buckets: int) -> Any:
    """The same features as a sparse matrix of rows."""
    from scipy.sparse import csr_matrix

    row, bucket, value = unit_features(texts, buckets)
    return csr_matrix((value, (row, bucket)), shape=(len(texts), buckets))


def train_logistic(features: Any, labels: np.ndarray, strength: float) -> Any:
    """A classifier with an L2 penalty of inverse strength `strength`."""
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # dot products this short are many times slower on several threads
        return LogisticRegression(C=strength, solver="liblinear", random_state=0, max_iter=1000).fit(features, labels)


def class_probability(name: str, texts: pa.Array, weights: np.ndarray, intercept: float) -> dict[str, pa.Array]:
    """Output `name`: probability of the positive class under a stored classifier; a text without a word is undefined."""
    owner, bucket, value = unit_features(texts.to_pylist(), weights.size)
    logit = intercept + np.bincount(owner, value * weights[bucket], minlength=len(texts))
    empty = np.bincount(owner, minlength=len(texts)) == 0
    probability = (0.5 * (1 + np.tanh(0.5 * logit))).astype(np.float32)
    return {
        name: pa.array(probability, mask=empty),
        "_state": pa.array(np.where(empty, states.UNDEFINED, states.VALUE), pa.uint8()),
    }


def out_of_fold(
    features: Any, labels: np.ndarray, contents: list[str], folds: int, strength: float, seed: int
) -> np.ndarray:
    """Probability of each row by a classifier that saw no row of its content; stratified folds."""
    from sklearn.model_selection import StratifiedGroupKFold

    probability = np.zeros(len(labels))
    split = StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(features, labels, contents)
    for train, test in split:
        probability[test] = train_logistic(features[train], labels[train], strength).predict_proba(features[test])[:, 1]
    return probability
