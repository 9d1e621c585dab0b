"""GOT-D: how much a little more weight on a row would move the dataset towards or away from the target.

Kang et al. 2024, "Get more for less", arXiv:2405.02774, with the calibrated dual of LAVA (Just et al. 2023,
arXiv:2305.00054). Between the dataset and the target the optimal transport with entropic regularisation is solved; the
gradient of its cost in the weight of row i is the dual potential f_i, made free of its constant by subtracting the mean
of the others, f_i - sum(f_j, j != i) / (n - 1). GOT-D keeps the rows with the most negative value.

The problem is solved between at most `rows` rows of the dataset and `target_rows` of the target, those with the lowest
keyed hashes. Every row gets the potential that the target's duals imply, -eps log sum_j b_j exp((g_j - cost) / eps): for
rows of the problem it is their dual itself, so the work is linear in rows. The cost is the squared Euclidean distance
between vectors of length one, 2 - 2 cosine. The report holds what the plan costs: the distance of the two sets.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field

from catalog.errors import BadInput
from catalog.plugins import Context, Out, Scan, scorer
from flows.scorers.embedding._transport import calibrated, cost, plan_cost, sinkhorn, soft_minimum
from flows.scorers.embedding._vectors import column, sample_vectors, target_vectors, unit_vectors
from flows.scorers.embedding.minilm import VectorParams, load_sentence_encoder


class Params(VectorParams):
    epsilon: float = Field(0.02, gt=0, le=10, description="strength of the entropy, in units of the cost (0 to 4)")
    rows: int = Field(5_000, ge=2, le=50_000, description="rows of the dataset in the transport problem at most")
    target_rows: int = Field(2_000, ge=1, le=50_000, description="rows of the target in it at most")
    iterations: int = Field(2_000, ge=1, le=1_000_000, description="Sinkhorn iterations at most")


def fit(scan: Scan, ctx: Context) -> dict[str, Any]:
    """The target's duals, the mean dual of the dataset's rows, and how far the iteration came."""
    params = ctx.params
    rows, seen = sample_vectors(scan, params.rows, ctx.seed)
    target, wanted = target_vectors(ctx, params.target_rows)
    if len(rows) < 2 or not len(target):
        raise BadInput(
            f"gotd: {seen} rows of the dataset and {wanted} of the target have an embedding; it needs 2 and 1"
        )
    state = solve(rows, target, params)
    state["report"] |= {"rows": seen, "target_rows": wanted}
    return state


def solve(rows: np.ndarray, target: np.ndarray, params: Params) -> dict[str, Any]:
    price = cost(rows, target)
    f, g, error, done = sinkhorn(price, params.epsilon, params.iterations)
    report = {"fitted_on": len(rows), "fitted_to": len(target), "iterations": done, "last_change": error}
    report["transport_cost"] = plan_cost(price, f, g, params.epsilon)
    return {"target": target, "g": g, "mean": float(f.mean()), "n": len(rows), "report": report}


@scorer(
    "gotd",
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
    citation="arXiv:2405.02774; calibrated dual: arXiv:2305.00054",
    batch_rows=2048,
    tolerance=1e-5,
    writes=[
        Out("gotd", pa.float32(), "gradient of the transport cost in the row's weight; negative: nearer", "lower"),
    ],
)
def gotd(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    vectors, rows = unit_vectors(batch)
    state, eps = ctx.state, ctx.params.epsilon
    f = soft_minimum(cost(vectors, state["target"]) - state["g"][None, :], eps) if len(rows) else np.empty(0)
    value = calibrated(f, state["mean"], state["n"])
    return {"gotd": column(value, rows, batch.num_rows, pa.float32())}
