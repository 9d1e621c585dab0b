"""LAVA: what a little more weight on a labelled row does to the distance from a target whose labels are right.

Just et al. 2023, "LAVA: Data Valuation without Pre-Specified Learning Algorithms", arXiv:2305.00054. Ground cost of a row
(x, y) and a target row (x', y'): the squared distance of the vectors plus `label_weight` times the Wasserstein distance of
the two classes, where a class is the vectors that carry its label (Alvarez-Melis and Fusi 2020, arXiv:2002.02923). Classes
are compared by the Sinkhorn divergence, as in the authors' code, so that a class is at distance zero from itself. The
value is the calibrated gradient of the transport cost, f_i - sum(f_j, j != i) / (n - 1): the higher, the more the row
pulls away from the target, as mislabelled, foreign and broken rows do.

Vectors have length one, so squared distances lie between 0 and 4. The problem is solved on samples, and every row gets
the dual that the target's imply, as in `gotd`: the work is linear in rows. A row whose label no sampled row carries is
undefined.

Where a class has another share of the rows than of the target, that moves the values more than a wrong label does: draw
the target with the shares of the rows. The report says how far the shares are apart (total variation).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field

from catalog import states
from catalog.errors import BadInput
from catalog.plugins import Context, Out, Scan, scorer
from flows.scorers.embedding._labelled import labels_of, sample_labelled, target_labelled
from flows.scorers.embedding._transport import calibrated, cost, energy, plan_cost, sinkhorn, soft_minimum
from flows.scorers.embedding._vectors import unit_vectors
from flows.scorers.embedding.minilm import VectorParams, load_sentence_encoder


class Params(VectorParams):
    label: str = Field("label", description="name of the label in meta, of the dataset and of the target")
    labels: str = Field("", description="column of labels instead, that both have")
    label_weight: float = Field(1.0, ge=0, le=1000, description="weight of the distance of the classes")
    epsilon: float = Field(0.02, gt=0, le=10, description="strength of the entropy, in units of the cost")
    rows: int = Field(5_000, ge=2, le=50_000, description="rows of the dataset in the transport problem at most")
    target_rows: int = Field(2_000, ge=1, le=50_000, description="rows of the target in it at most")
    class_rows: int = Field(100, ge=1, le=10_000, description="rows of a class that stand for it at most")
    classes: int = Field(200, ge=1, le=5_000, description="classes a side beyond which it refuses: all are compared")
    iterations: int = Field(2_000, ge=1, le=1_000_000, description="Sinkhorn iterations at most")


def fit(scan: Scan, ctx: Context) -> dict[str, Any]:
    """The target's duals, the distances of the classes, and how far the iteration came."""
    params = ctx.params
    rows, own, seen = sample_labelled(scan, params.rows, ctx.seed, params.labels, params.label)
    target, theirs, wanted = target_labelled(ctx, params.target_rows, params.labels, params.label)
    if len(rows) < 2 or not len(target):
        named = f"column {params.labels!r}" if params.labels else f"meta.{params.label}"
        raise BadInput(
            f"lava: {seen} rows of the dataset and {wanted} of the target have a vector and a label ({named}); it needs "
            "2 and 1: name the label with --label or --labels"
        )
    if rows.shape[1] != target.shape[1]:
        raise BadInput(
            f"lava: vectors of {rows.shape[1]} numbers here, of {target.shape[1]} in the target; embed alike"
        )
    state = solve(rows, own, target, theirs, params)
    state["report"] |= {"rows": seen, "target_rows": wanted}
    return state


def solve(rows: np.ndarray, own: np.ndarray, target: np.ndarray, theirs: np.ndarray, params: Params) -> dict[str, Any]:
    here, mine = np.unique(own.astype(str), return_inverse=True)
    there, its = np.unique(theirs.astype(str), return_inverse=True)
    if max(len(here), len(there)) > params.classes:
        raise BadInput(
            f"lava: {len(here)} classes here and {len(there)} in the target, and all are compared: name a coarser label, "
            f"or raise --classes above {params.classes}"
        )
    apart = class_distances(rows, mine, target, its, params)
    price = cost(rows, target) + params.label_weight * apart[mine][:, its]
    f, g, error, done = sinkhorn(price, params.epsilon, params.iterations)
    report = {"fitted_on": len(rows), "fitted_to": len(target), "iterations": done, "last_change": error}
    report |= {"transport_cost": plan_cost(price, f, g, params.epsilon), "classes": [len(here), len(there)]}
    report["class_shares_apart"] = shares_apart(here[mine], there[its])
    return {"target": target, "g": g, "its": its, "apart": apart, "names": here.tolist(),
            "mean": float(f.mean()), "n": len(rows), "report": report}  # fmt: skip


def shares_apart(own: np.ndarray, theirs: np.ndarray) -> float:
    """Total variation distance of the classes' shares: 0 for equal ones, 1 for no class in common."""
    names = np.union1d(own, theirs)
    return float(sum(abs((own == name).mean() - (theirs == name).mean()) for name in names) / 2)


def class_distances(
    rows: np.ndarray, mine: np.ndarray, target: np.ndarray, its: np.ndarray, params: Params
) -> np.ndarray:
    """Sinkhorn divergence of each class of the dataset and each of the target."""
    left = [rows[mine == c][: params.class_rows] for c in range(mine.max() + 1)]
    right = [target[its == c][: params.class_rows] for c in range(its.max() + 1)]
    steps = min(params.iterations, 500)
    alone = [np.array([energy(a, a, params.epsilon, steps) for a in side]) for side in (left, right)]
    across = np.array([[energy(a, b, params.epsilon, steps) for b in right] for a in left])
    return np.maximum(across - alone[0][:, None] / 2 - alone[1][None, :] / 2, 0)


@scorer(
    "lava",
    version="1",
    reads=["embedding", "meta"],
    swaps={"embedding": "vectors"},
    columns=("labels",),
    target_columns=("labels",),
    fit=fit,
    fit_on="target",
    fit_uses_rows=True,
    params=Params,
    load=load_sentence_encoder,
    cost="cpu",
    stage="L2",
    citation="arXiv:2305.00054; class distance: arXiv:2002.02923",
    batch_rows=2048,
    tolerance=1e-5,
    writes=[
        Out(
            "lava", pa.float32(), "gradient of the labelled transport cost in the row's weight; high: suspect", "lower"
        ),
    ],
)
def lava(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    vectors, rows = unit_vectors(batch)
    state, params = ctx.state, ctx.params
    number = {name: i for i, name in enumerate(state["names"])}
    labels = labels_of(batch, params.labels, params.label)
    classes = np.array([number.get(str(labels[row]), -1) if labels[row] is not None else -1 for row in rows], np.int64)
    vectors, rows, classes = vectors[classes >= 0], rows[classes >= 0], classes[classes >= 0]
    value, known = np.zeros(batch.num_rows), np.zeros(batch.num_rows, bool)
    if len(rows):
        price = cost(vectors, state["target"])
        price += params.label_weight * np.asarray(state["apart"])[classes][:, np.asarray(state["its"])]
        f = soft_minimum(price - state["g"][None, :], params.epsilon)
        value[rows], known[rows] = calibrated(f, state["mean"], state["n"]), True
    return {
        "lava": pa.array(value, mask=~known).cast(pa.float32()),
        "_state": pa.array(np.where(known, states.VALUE, states.UNDEFINED).astype(np.uint8)),
    }
