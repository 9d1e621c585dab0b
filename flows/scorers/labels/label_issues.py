"""Confident learning over a dataset's own labels: which ones are likely wrong, and what they should be.

Northcutt, Jiang and Chuang, "Confident Learning", 2021, arXiv:1911.00068. Class probabilities come out of sample from
logistic regression on stored embeddings, in stratified folds with rows of equal content in one fold; the filters equal
those of cleanlab 2.9.0.
"""

from __future__ import annotations

import json
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog import states
from catalog.plugins import Context, Out, Scan, scorer
from flows.scorers.embedding._vectors import unit_vectors
from flows.scorers.labels._confident import find_issues, self_confidence


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    vectors: str | None = Field(None, min_length=1, description="column of vectors that is read instead of embedding")
    label: str = Field("label", description="name of the label in meta")
    filter: Literal["prune_by_noise_rate", "prune_by_class", "both", "confident_learning", "low_normalized_margin"] = (
        Field("prune_by_noise_rate", description="which rule calls a label an issue")
    )
    folds: int = Field(5, ge=2, le=50, description="folds of the cross-validation")
    C: float = Field(1.0, gt=0, le=1e6, description="inverse strength of the L2 penalty")


@scorer(
    "label_issues",
    version="1",
    pattern="global",
    most_rows=1_000_000,
    reads=["embedding", "meta"],
    swaps={"embedding": "vectors"},
    params=Params,
    cost="cpu",
    citation="arXiv:1911.00068",
    libraries=("scikit-learn",),
    tolerance=1e-5,
    writes=[
        Out("label_issue", pa.int8(), "1: the label is likely wrong", "lower", (0, 1)),
        Out("label_quality", pa.float32(), "out-of-sample probability of the given label", "higher", (0, 1)),
        Out("label_suggested", pa.string(), "the likeliest label, out of sample"),
    ],
)
def label_issues(scan: Scan, ctx: Context) -> dict[str, pa.Array]:
    """Labels that are likely wrong (confident learning). A row without a label or an embedding is undefined.

    A class of fewer than two rows has no out-of-sample probability and is undefined too, as are rows of several labels
    and one content alone. Where there is one class, it is what every label should be.
    """
    points, names, contents, rows, total = _labelled(scan, ctx.params.label)
    issue, quality = np.zeros(total, np.int8), np.zeros(total, np.float32)
    suggested: list[str | None] = [None] * total
    known = np.zeros(total, bool)
    classes, labels = np.unique(np.array(names, str), return_inverse=True)
    usable = np.bincount(labels, minlength=len(classes)) >= 2 if len(classes) else np.zeros(0, bool)
    held = np.flatnonzero(usable[labels]) if len(labels) else labels
    if len({contents[i] for i in held}) >= 2 or usable.sum() == 1:
        classes, labels = np.unique(np.array(names, str)[held], return_inverse=True)
        chances = out_of_sample(points[held], labels, [contents[i] for i in held], ctx)
        at = np.array(rows)[held]
        known[at] = True
        issue[at] = find_issues(labels, chances, ctx.params.filter)
        quality[at] = self_confidence(labels, chances)
        for row, best in zip(at, chances.argmax(axis=1)):
            suggested[row] = str(classes[best])
    return {
        "label_issue": pa.array(issue, mask=~known),
        "label_quality": pa.array(quality, mask=~known),
        "label_suggested": pa.array(suggested, pa.string()),
        "_state": pa.array(np.where(known, states.VALUE, states.UNDEFINED).astype(np.uint8)),
    }


def out_of_sample(points: np.ndarray, labels: np.ndarray, contents: list[str], ctx: Context) -> np.ndarray:
    """Class probabilities of each row from models that did not see its content; a row's class may be unseen there."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold
    from threadpoolctl import threadpool_limits

    chances = np.zeros((len(points), labels.max() + 1))
    if labels.max() == 0:
        return chances + 1.0
    folds = min(ctx.params.folds, len(set(contents)), int(np.bincount(labels).max()))
    split = StratifiedGroupKFold(folds, shuffle=True, random_state=ctx.seed).split(points, labels, contents)
    with threadpool_limits(1):
        for train, test in split:
            seen = np.unique(labels[train])
            if len(seen) == 1:
                chances[test, seen[0]] = 1.0
            elif len(test):
                model = LogisticRegression(C=ctx.params.C, max_iter=500).fit(points[train], labels[train])
                chances[np.ix_(test, model.classes_)] = model.predict_proba(points[test])
    return chances


def _labelled(scan: Scan, field: str) -> tuple[np.ndarray, list[str], list[str], list[int], int]:
    """Vectors, labels and contents of the rows that have both, where these rows are, and how many rows there are."""
    parts: list[np.ndarray] = []
    names: list[str] = []
    contents: list[str] = []
    rows: list[int] = []
    total = 0
    for batch in scan():
        points, held = unit_vectors(batch)
        meta, ids = batch["meta"].to_pylist(), batch["content_id"].to_pylist()
        for at, row in enumerate(held):
            body: Any = json.loads(meta[row]) if meta[row] else {}
            label = body.get(field) if isinstance(body, dict) else None
            if label is None:
                continue
            parts.append(points[at])
            names.append(label if isinstance(label, str) else json.dumps(label))
            contents.append(ids[row])
            rows.append(total + int(row))
        total += batch.num_rows
    return np.array(parts, np.float32), names, contents, rows, total
