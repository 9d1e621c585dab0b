"""Labels that a row's nearest neighbours do not share.

Bahri, Jiang and Gupta, "Deep k-NN for Noisy Labels", ICML 2020, arXiv:2004.12289: a label is suspect where it is not the
one that most of the k nearest rows have. The vectors are stored embeddings in place of a network's logits; as Zhu, Dong
and Liu show (arXiv:2110.06283), good features need no training for this. Rows of equal content are no neighbours of one
another, so that a wrong label cannot vouch for its own copy.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog import states
from catalog.errors import BadInput
from catalog.plugins import Context, Out, Scan, scorer
from flows.scorers.labels.label_issues import _labelled

BLOCK = 2048
MOST = 300_000
"""Labelled rows: every pair of them is compared once."""


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    label: str = Field("label", description="name of the label in meta")
    neighbours: int = Field(10, ge=1, le=1000, description="how many nearest rows vote (k)")


@scorer(
    "knn_label",
    version="1",
    pattern="global",
    most_rows=500_000,
    reads=["embedding", "meta"],
    params=Params,
    cost="cpu",
    citation="arXiv:2004.12289",
    tolerance=1e-5,
    writes=[
        Out("knn_label_issue", pa.int8(), "1: most of the nearest rows have another label", "lower", (0, 1)),
        Out("knn_label_agreement", pa.float32(), "share of the nearest rows that have the given label", "higher", (0, 1)),
        Out("knn_label_suggested", pa.string(), "the label that most of the nearest rows have"),
    ],
)  # fmt: skip
def knn_label(scan: Scan, ctx: Context) -> dict[str, pa.Array]:
    """Labels against those of the k nearest rows by cosine (Deep k-NN). A row without label or embedding is undefined.

    Among labels of equally many votes the given one counts, else the one with the nearest vote. Fewer than k other
    contents: all of them vote; none: undefined. One class is what every label should be. Time grows with the square of the labelled rows.
    """
    points, names, contents, rows, total = _labelled(scan, ctx.params.label)
    if len(rows) > MOST:
        raise BadInput(f"knn_label compares all pairs of up to {MOST:,} labelled rows, not {len(rows):,}: use --sample")
    issue, agreement = np.zeros(total, np.int8), np.zeros(total, np.float32)
    suggested: list[str | None] = [None] * total
    known = np.zeros(total, bool)
    one_class = len(set(names)) == 1
    for at, votes in enumerate(_votes(points, contents, ctx.params.neighbours)):
        row, given = rows[at], names[at]
        if one_class:
            votes = np.array([at])
        if not len(votes):
            continue
        heard = [names[other] for other in votes]
        counts = Counter(heard)  # in order of the nearest vote
        best = max(counts.values())
        leading = given if counts[given] == best else next(name for name in counts if counts[name] == best)
        known[row], issue[row], suggested[row] = True, leading != given, leading
        agreement[row] = counts[given] / len(heard)
    return {
        "knn_label_issue": pa.array(issue, mask=~known),
        "knn_label_agreement": pa.array(agreement, mask=~known),
        "knn_label_suggested": pa.array(suggested, pa.string()),
        "_state": pa.array(np.where(known, states.VALUE, states.UNDEFINED).astype(np.uint8)),
    }


def _votes(points: np.ndarray, contents: list[str], k: int) -> list[np.ndarray]:
    """For each row the k nearest rows of other contents, nearest first; equally near ones in table order."""
    if not len(points):
        return []
    _, group = np.unique(np.array(contents, str), return_inverse=True)
    copies = int(np.bincount(group).max())
    wide = min(k + copies, len(points))  # so many hold k others, whatever copies of the row are among them
    found: list[np.ndarray] = []
    for start in range(0, len(points), BLOCK):
        similar = points[start : start + BLOCK] @ points.T
        near = np.argpartition(-similar, wide - 1, axis=1)[:, :wide] if wide < len(points) else None
        for at in range(len(similar)):
            some = np.arange(len(points)) if near is None else near[at]
            other = some[group[some] != group[start + at]]
            found.append(other[np.lexsort((other, -similar[at, other]))][:k])
    return found
