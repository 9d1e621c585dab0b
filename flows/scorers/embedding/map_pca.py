"""A place on a flat map for every row: the two directions along which the vectors vary most.

Principal components, Pearson 1901, "On lines and planes of closest fit to systems of points in space" (Philosophical
Magazine 2); exact, from the covariance of all rows, in one pass. The axes are fitted once and frozen, so that rows that
come later land on the same map, and a line drawn on it keeps its meaning.

Two axes keep `report.explained` of the variance: far apart on the map is far apart in the vectors, near is not always near.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from catalog import states
from catalog.errors import BadInput
from catalog.plugins import Context, Out, Scan, scorer
from flows.scorers.combine._principal import moments, principal
from flows.scorers.embedding._vectors import column
from flows.scorers.embedding._whitened import raw_vectors
from flows.scorers.embedding.minilm import VectorParams

LARGEST = float(np.finfo(np.float32).max)


def fit(scan: Scan, ctx: Context) -> dict[str, Any]:
    """Mean and the two axes of largest variance, from the covariance of all rows."""
    count, mean, covariance = moments(raw_vectors(batch)[0] for batch in scan())
    if not count:
        raise BadInput("map_pca: no row has a vector, so there is nothing to draw; score rows that have text")
    if not np.isfinite(covariance).all():
        raise BadInput("map_pca: the vectors are too large to square; scale them before they are imported")
    axes, variance = principal(covariance, 2)
    whole = float(np.trace(covariance))
    report = {"rows": count, "explained": (variance / whole).round(6).tolist() if whole > 0 else []}
    return {"mean": mean, "axes": axes, "report": report}


@scorer(
    "map_pca",
    version="1",
    reads=["embedding"],
    swaps={"embedding": "vectors"},
    fit=fit,
    fit_on="self",
    params=VectorParams,
    cost="cpu",
    stage="L1",
    citation="Pearson 1901, doi:10.1080/14786440109462720",
    batch_rows=16384,
    tolerance=1e-4,
    writes=[
        Out("pca_x", pa.float32(), "place on the map along the first principal component", measure=True),
        Out("pca_y", pa.float32(), "place on the map along the second principal component", measure=True),
    ],
)
def map_pca(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    """First and second principal component of each row's vector; zero where the rows have fewer axes than two."""
    points, rows = raw_vectors(batch)
    places = np.zeros((len(rows), 2))
    axes = np.asarray(ctx.state["axes"])
    if len(rows) and axes.size:
        places[:, : axes.shape[1]] = (points - np.asarray(ctx.state["mean"])) @ axes
    known = (np.abs(places) <= LARGEST).all(axis=1)
    places, rows = places[known], rows[known]
    codes = np.full(batch.num_rows, states.UNDEFINED, np.uint8)
    codes[rows] = states.VALUE
    made = {
        name: column(places[:, at], rows, batch.num_rows, pa.float32()) for at, name in enumerate(("pca_x", "pca_y"))
    }
    return {**made, "_state": pa.array(codes)}
