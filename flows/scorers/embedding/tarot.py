"""TAROT: rows nearest to each row of a target in whitened features, as many as bring the transport distance down.

Feng et al. 2024, "TAROT: Targeted Data Selection via Optimal Transport", arXiv:2412.00420. The features of rows and target
are whitened by their joint covariance and scaled to length one, so that no dominant direction decides. The rows of layer
k are those among the k nearest of some target row. In each of `folds` rounds a part of the target ranks the rows, and
layers are added while the entropic transport distance (cost sqrt(2 - 2 cosine), blur 0.01, no debiasing) to the rest of
the target falls; the selection is the union over the rounds. The published features are projected gradients: name such a
column as `vectors`; sentence vectors make it a selection by meaning.

Whitening needs many more rows than the vectors have numbers: with 500 rows of 384 numbers every row is at about a right
angle to every other, and the best cosine is 0.06. For a selection of fixed size take the rows of the lowest layers
(selector topk on tarot_layer, order lowest). The set is the one before the distance rises; the authors' code also keeps
the layer that raised it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field

from catalog import states
from catalog.errors import BadInput
from catalog.plugins import Context, Out, Scan, scorer
from flows.scorers.embedding._whitened import (
    nearest,
    raw_vectors,
    rows_of,
    set_distance,
    target_raw,
    whiten,
    whitening,
)
from flows.scorers.embedding.minilm import VectorParams, load_sentence_encoder

_SLACK = 1e-9
"""Cosines this near are one and the same, computed in batches of other sizes."""


class Params(VectorParams):
    target_rows: int = Field(500, ge=2, le=20_000, description="rows of the target at most")
    folds: int = Field(10, ge=2, le=100, description="rounds; as many as target rows if those are fewer")
    layers: int = Field(50, ge=1, le=2_000, description="layers at most: nearest rows of each target row")
    ridge: float = Field(1e-5, gt=0, le=1e3, description="added to the variances before whitening")


def fit(scan: Scan, ctx: Context) -> dict[str, Any]:
    """Whitening, the nearest cosines of each target row, and how many layers each of them gives."""
    params = ctx.params
    target = target_raw(ctx, params.target_rows)
    rows = rows_of(scan)
    width = next((part.shape[1] for part in rows() if len(part)), 0)
    if len(target) < 2 or not width:
        raise BadInput(
            f"tarot: {len(target)} rows of the target and {'some' if width else 'no'} rows of the dataset have a vector; "
            "it needs 2 of the target and 1 of the dataset"
        )
    if width != target.shape[1]:
        raise BadInput(f"tarot: vectors of {width} numbers here, of {target.shape[1]} in the target; embed both alike")
    mean, matrix, count = whitening(rows, target, params.ridge)
    goal = whiten(target, mean, matrix)
    best, at = nearest((whiten(part, mean, matrix) for part in rows()), goal, params.layers)
    depth, folds = stopping(best, points_of(rows, at, mean, matrix), at, goal, params.folds, ctx.seed)
    report = {
        "rows": count,
        "target_rows": len(target),
        "rows_a_dimension": round(count / width, 2),
        "layers": sorted({f["layers"] for f in folds}),
        "folds": folds,
    }
    return {"mean": mean, "matrix": matrix, "target": goal, "best": best, "depth": depth, "report": report}


def points_of(rows, at: np.ndarray, mean: np.ndarray, matrix: np.ndarray) -> dict[int, np.ndarray]:
    """Whitened features of the rows that are among the nearest of some target row, by row number."""
    wanted, found, start = np.unique(at), {}, 0
    for part in rows():
        mine = wanted[(wanted >= start) & (wanted < start + len(part))]
        found |= dict(zip(mine.tolist(), whiten(part[mine - start], mean, matrix)))
        start += len(part)
    return found


def stopping(
    best: np.ndarray, points: dict[int, np.ndarray], at: np.ndarray, goal: np.ndarray, folds: int, seed: int
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """How many layers each target row gives: those of its round before the distance to the other rows rises."""
    from sklearn.model_selection import KFold

    depth, report = np.zeros(len(goal), np.int64), []
    for rest, part in KFold(min(folds, len(goal)), shuffle=True, random_state=seed).split(goal):
        lowest, kept, chosen = np.inf, 0, 0
        for layers in range(1, len(best) + 1):
            inside = np.unique(at[:layers, part][best[:layers, part] > 0])
            distance = set_distance(np.array([points[i] for i in inside]), goal[rest]) if len(inside) else np.inf
            if distance >= lowest:
                break
            lowest, kept, chosen = distance, layers, len(inside)
        depth[part] = kept
        report.append({"layers": kept, "rows": chosen, "distance": float(lowest) if np.isfinite(lowest) else None})
    return depth, report


@scorer(
    "tarot",
    version="1",
    reads=["embedding"],
    swaps={"embedding": "vectors"},
    fit=fit,
    fit_on="target",
    fit_uses_rows=True,
    params=Params,
    load=load_sentence_encoder,
    cost="cpu",
    stage="L2",
    citation="arXiv:2412.00420",
    libraries=("scikit-learn",),
    batch_rows=2048,
    tolerance=1e-5,
    writes=[
        Out("tarot", pa.int8(), "1: in the selection that brings the distance to the target down", "higher", (0, 1)),
        Out("tarot_layer", pa.int32(), "its best place among the rows nearest to a target row", "lower", (1, None)),
        Out("tarot_similarity", pa.float32(), "whitened cosine with the nearest target row", "higher", (-1, 1)),
    ],
)
def tarot(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    points, rows = raw_vectors(batch)
    state, total = ctx.state, batch.num_rows
    missing = np.ones(total, bool)
    missing[rows] = False
    chosen, layer, similar = np.zeros(total, np.int8), np.ones(total, np.int32), np.zeros(total)
    if len(rows):
        best, depth = np.asarray(state["best"]), np.asarray(state["depth"])
        cosine = whiten(points, np.asarray(state["mean"]), np.asarray(state["matrix"])) @ np.asarray(state["target"]).T
        place = np.empty(cosine.shape, np.int64)
        for column in range(cosine.shape[1]):
            place[:, column] = 1 + np.searchsorted(-best[:, column], -(cosine[:, column] + _SLACK), side="left")
        layer[rows], similar[rows] = place.min(axis=1), np.clip(cosine.max(axis=1), -1, 1)
        chosen[rows] = ((place <= depth[None, :]) & (cosine > 0)).any(axis=1)
    return {
        "tarot": pa.array(chosen, mask=missing),
        "tarot_layer": pa.array(layer, mask=missing),
        "tarot_similarity": pa.array(similar, mask=missing).cast(pa.float32()),
        "_state": pa.array(np.where(missing, states.UNDEFINED, states.VALUE).astype(np.uint8)),
    }
