"""NormSim and VAS: how much of a target's directions a row's vector has.

Wang et al. 2024, "CLIPLoss and Norm-Based Data Selection Methods for Multimodal Contrastive Learning", arXiv:2405.19547:
NormSim_p(x) is the p-norm of the similarities of x with all vectors of the target; p = 2 asks for its subspace, p =
infinity for its nearest row, whichever the sign. The variance alignment score (Wang et al. 2024, "Variance Alignment
Score", arXiv:2402.02055) is x' S x with S the second moments of the target, so NormSim_2 squared over the target's rows.
The methods name image vectors; any column of vectors does.
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
    rows: int = Field(10_000, ge=1, le=1_000_000, description="rows of the target at most")


def fit(scan: Scan, ctx: Context) -> dict[str, Any]:
    """Vectors of the target and their second moments."""
    points, seen = target_vectors(ctx, ctx.params.rows)
    if not len(points):
        raise BadInput("normsim: no row of the target has a vector; give a --target whose rows have text or the column")
    held = points.astype(np.float64)
    report = {"target_rows": seen, "compared_with": len(points)}
    return {"points": points, "moments": held.T @ held / len(held), "report": report}


@scorer(
    "normsim",
    version="1",
    reads=["embedding"],
    swaps={"embedding": "vectors"},
    fit=fit,
    fit_on="target",
    params=Params,
    load=load_sentence_encoder,
    cost="cpu",
    stage="L2",
    citation="arXiv:2405.19547; VAS: arXiv:2402.02055",
    batch_rows=4096,
    tolerance=1e-5,
    writes=[
        Out("normsim_inf", pa.float32(), "largest absolute cosine with a target row", "higher", (0, 1)),
        Out("normsim_2", pa.float32(), "Euclidean norm of the cosines with all target rows", "higher", (0, None)),
        Out("vas", pa.float32(), "variance alignment score: mean squared cosine with the target", "higher", (0, 1)),
    ],
)
def normsim(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    vectors, rows = unit_vectors(batch)
    points, held = np.asarray(ctx.state["points"]), vectors.astype(np.float64)
    largest = np.zeros(len(vectors))
    for start in range(0, len(points), 8192):
        part = points[start : start + 8192]
        largest = np.maximum(largest, np.abs(vectors @ part.T).max(axis=1)) if len(vectors) else largest
    score = np.zeros(len(held))
    if len(held):
        score = np.clip(np.einsum("ij,ij->i", held @ np.asarray(ctx.state["moments"]), held), 0, 1)
    made = {"normsim_inf": np.minimum(largest, 1), "normsim_2": np.sqrt(score * len(points)), "vas": score}
    return {name: column(values, rows, batch.num_rows, pa.float32()) for name, values in made.items()}
