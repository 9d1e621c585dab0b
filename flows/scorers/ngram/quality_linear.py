"""A linear quality classifier: probability that people would label a text as the better class.

Ours: logistic regression on hashed word 1- and 2-grams (counts, scaled to unit length), trained on the labelled rows of
the target dataset. Its agreement with the labels is measured out of sample: stratified folds, rows of equal content in
one fold; the AUC is that of the pooled out-of-fold probabilities, its 95 % interval DeLong's (DeLong, DeLong and
Clarke-Pearson, Biometrics 1988). The report also holds the AUC of text length alone, which any score should beat.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog import states
from catalog.errors import BadInput
from catalog.plugins import Context, Out, Scan, scorer
from flows.scorers.ngram._agreement import auc_delong, auc_of
from flows.scorers.ngram._hashing import ngram_hashes, owners, word_hashes


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    label: str = Field("label", description="name of the label in the target's meta")
    positive: str = Field("1", description="label of the better class, as text")
    C: float = Field(10.0, gt=0, le=1e6, description="inverse strength of the L2 penalty")
    folds: int = Field(5, ge=2, le=50, description="folds of the cross-validation")
    buckets: int = Field(2**18, ge=2**8, le=2**24, description="buckets that n-grams are hashed into")


def fit(scan: Scan, ctx: Context) -> dict[str, Any]:
    """Weights from all labelled rows of the target, and the cross-validated agreement."""
    params = ctx.params
    texts, labels, contents, unlabelled = _labelled(ctx)
    better = int(labels.sum())
    if len(texts) < 20 or better in (0, len(texts)):
        raise BadInput(
            f"quality_linear: the target has {len(texts)} rows with meta field {params.label!r}, {better} of them "
            f"{params.positive!r}; give a target with 20 or more of both classes, or another label or positive"
        )
    features = _matrix(texts, params.buckets)
    folds = min(params.folds, better, len(texts) - better)
    if folds < 2:
        raise BadInput("quality_linear: one class has a single row; label at least 2 rows of each class in the target")
    held_out = _out_of_fold(features, labels, contents, folds, ctx)
    area, low, high = auc_delong(labels, held_out)
    length = np.log1p([len(text) for text in texts])
    report = {
        "auc": area,
        "auc_low": low,
        "auc_high": high,
        "interval": "95 %, DeLong, pooled out-of-fold probabilities",
        "folds": folds,
        "rows": len(texts),
        "positive": better,
        "unlabelled": unlabelled,
        "correlation_with_log_length": float(np.corrcoef(held_out, length)[0, 1]) if np.ptp(length) else 0.0,
        "auc_of_length": auc_of(labels, length),
    }
    model = _train(features, labels, params.C)
    return {"weights": model.coef_[0].astype(np.float64), "intercept": float(model.intercept_[0]), "report": report}


@scorer(
    "quality_linear",
    version="1",
    fit=fit,
    fit_on="target",
    reads=["text"],
    params=Params,
    cost="cpu",
    stage="L2",
    citation="ours; interval of the AUC after DeLong et al. 1988",
    requires=("sklearn",),
    libraries=("scikit-learn",),
    batch_rows=4096,
    tolerance=1e-6,
    writes=[Out("quality_linear", pa.float32(), "probability of the target's better class", "higher", (0, 1))],
)
def quality_linear(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    """Probability of the better class of the target's labels. A text without a word is undefined."""
    weights = ctx.state["weights"]
    owner, bucket, value = _features(batch["text"].to_pylist(), weights.size)
    logit = ctx.state["intercept"] + np.bincount(owner, value * weights[bucket], minlength=batch.num_rows)
    empty = np.bincount(owner, minlength=batch.num_rows) == 0
    probability = (0.5 * (1 + np.tanh(0.5 * logit))).astype(np.float32)
    return {
        "quality_linear": pa.array(probability, mask=empty),
        "_state": pa.array(np.where(empty, states.UNDEFINED, states.VALUE), pa.uint8()),
    }


def _labelled(ctx: Context) -> tuple[list[str], np.ndarray, list[str], int]:
    """Texts, whether each is of the better class, content ids; and how many rows have no label or no text."""
    if ctx.target is None:
        raise BadInput("quality_linear needs a labelled target dataset: --target NAME[@vN]")
    texts, labels, contents, unlabelled = [], [], [], 0
    for batch in ctx.target(["text", "meta"]):
        for text, meta, content in zip(*(batch[c].to_pylist() for c in ("text", "meta", "content_id")), strict=True):
            label = (json.loads(meta) if meta else {}).get(ctx.params.label)
            if label is None or not text:
                unlabelled += 1
                continue
            texts.append(text)
            labels.append((label if isinstance(label, str) else json.dumps(label)) == ctx.params.positive)
            contents.append(content)
    return texts, np.array(labels, bool), contents, unlabelled


def _features(texts: Sequence[str | None], buckets: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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


def _matrix(texts: list[str], buckets: int) -> Any:
    from scipy.sparse import csr_matrix

    row, bucket, value = _features(texts, buckets)
    return csr_matrix((value, (row, bucket)), shape=(len(texts), buckets))


def _train(features: Any, labels: np.ndarray, strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # dot products this short are many times slower on several threads
        return LogisticRegression(C=strength, solver="liblinear", random_state=0, max_iter=1000).fit(features, labels)


def _out_of_fold(features: Any, labels: np.ndarray, contents: list[str], folds: int, ctx: Context) -> np.ndarray:
    from sklearn.model_selection import StratifiedGroupKFold

    probability = np.zeros(len(labels))
    split = StratifiedGroupKFold(folds, shuffle=True, random_state=ctx.seed).split(features, labels, contents)
    for train, test in split:
        probability[test] = _train(features[train], labels[train], ctx.params.C).predict_proba(features[test])[:, 1]
    return probability
