"""Cosine of each text with the texts of a target: with the nearest one, and on average.

The similarity that target-driven selection ranks by (Ivison et al. 2025, arXiv:2503.01807, compare both forms). Rows are
compared with at most `rows` texts of the target, those with the lowest keyed hashes, embedded by the same encoder.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field

from catalog.errors import BadInput
from catalog.plugins import Context, Out, Scan, scorer
from flows.scorers.embedding._vectors import column, target_vectors, unit_vectors
from flows.scorers.embedding.minilm import VectorParams, load_sentence_encoder


class Params(VectorParams):
    rows: int = Field(10_000, ge=1, le=1_000_000, description="texts of the target at most")


def fit(scan: Scan, ctx: Context) -> dict[str, Any]:
    """Vectors of the target's rows."""
    points, seen = target_vectors(ctx, ctx.params.rows)
    if not len(points):
        raise BadInput("target_similarity: no row of the target has an embedding; give a --target whose rows have text")
    return {"points": points, "report": {"target_rows": seen, "compared_with": len(points)}}


@scorer(
    "target_similarity",
    version="1",
    reads=["embedding"],
    swaps={"embedding": "vectors"},
    fit=fit,
    fit_on="target",
    params=Params,
    load=load_sentence_encoder,
    cost="cpu",
    stage="L2",
    citation="arXiv:2503.01807",
    batch_rows=4096,
    tolerance=1e-5,
    writes=[
        Out("target_similarity_max", pa.float32(), "cosine with the nearest target row", "higher", (-1, 1)),
        Out("target_similarity_mean", pa.float32(), "mean cosine with the target's rows", "higher", (-1, 1)),
    ],
)
def target_similarity(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    vectors, rows = unit_vectors(batch)
    nearest = np.full(len(vectors), -1.0)
    for start in range(0, len(ctx.state["points"]), 8192):
        part = ctx.state["points"][start : start + 8192]
        nearest = np.maximum(nearest, (vectors @ part.T).max(axis=1)) if len(vectors) else nearest
    made = (
        np.clip(nearest, -1, 1),
        np.clip(vectors.astype(np.float64) @ ctx.state["points"].mean(axis=0, dtype=np.float64), -1, 1),
    )
    names = ("target_similarity_max", "target_similarity_mean")
    return {name: column(values, rows, batch.num_rows, pa.float32()) for name, values in zip(names, made)}
