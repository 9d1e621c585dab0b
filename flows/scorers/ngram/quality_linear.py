"""A linear quality classifier: probability that people would label a text as the better class.

Ours: logistic regression on hashed word 1- and 2-grams (counts, scaled to unit length), trained on the labelled rows of
the target dataset. Its agreement with the labels is measured out of sample: stratified folds, rows of equal content in
one fold; the AUC is that of the pooled out-of-fold probabilities, its 95 % interval DeLong's (DeLong, DeLong and
Clarke-Pearson, Biometrics 1988). The report also holds the AUC of text length alone, which any score should beat.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog.errors import BadInput
from catalog.plugins import Context, Out, Scan, scorer
from flows.scorers.ngram._agreement import auc_delong, auc_of
from flows.scorers.ngram._classes import labelled
from flows.scorers.ngram._linear import class_probability, out_of_fold, train_logistic, unit_matrix


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
    features = unit_matrix(texts, params.buckets)
    folds = min(params.folds, better, len(texts) - better)
    if folds < 2:
        raise BadInput("quality_linear: one class has a single row; label at least 2 rows of each class in the target")
    held_out = out_of_fold(features, labels, contents, folds, params.C, ctx.seed)
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
    model = train_logistic(features, labels, params.C)
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
    return class_probability("quality_linear", batch["text"], ctx.state["weights"], ctx.state["intercept"])


def _labelled(ctx: Context) -> tuple[list[str], np.ndarray, list[str], int]:
    """Texts, whether each is of the better class, content ids; and how many rows have no label or no text."""
    if ctx.target is None:
        raise BadInput("quality_linear needs a labelled target dataset: --target NAME[@vN]")
    texts, labels, contents, unlabelled = [], [], [], 0
    for text, better, content in labelled(ctx):
        if better is None or not text:
            unlabelled += 1
            continue
        texts.append(text)
        labels.append(better)
        contents.append(content)
    return texts, np.array(labels, bool), contents, unlabelled
