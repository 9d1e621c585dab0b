"""How alone a text is among the dataset's own: distance to its neighbours, and the local outlier factor.

k-NN distance: Ramaswamy, Rastogi and Shim, SIGMOD 2000. Local outlier factor: Breunig, Kriegel, Ng and Sander, SIGMOD
2000: the mean density of the neighbours over the own density, about 1 inside a cluster and larger for outliers. Distances
are Euclidean between vectors of length one, sqrt(2 - 2 cosine). Every pair is compared, in blocks, so that rows are
limited: 100,000 take about 8 * 10^12 operations.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pydantic import Field

from catalog.errors import BadInput
from catalog.plugins import Context, Out, Scan, scorer
from flows.scorers.embedding._vectors import column, unit_vectors
from flows.scorers.embedding.minilm import VectorParams

_BLOCK = 1024
_SPARE = 8
"""Neighbours more than asked for that single precision proposes and double precision ranks."""


class Params(VectorParams):
    neighbours: int = Field(20, ge=1, le=1000, description="neighbours of a row; all others if the rows are fewer")
    limit: int = Field(100_000, ge=2, le=10_000_000, description="rows beyond which it refuses: every pair is compared")


@scorer(
    "outliers",
    version="1",
    pattern="global",
    most_rows=200_000,
    reads=["embedding"],
    swaps={"embedding": "vectors"},
    params=Params,
    cost="cpu",
    stage="L1",
    citation="Ramaswamy et al. 2000; Breunig et al. 2000",
    tolerance=1e-5,
    writes=[
        Out("knn_distance", pa.float32(), "mean distance to the nearest neighbours", range=(0, 2), measure=True),
        Out("outlier_factor", pa.float32(), "local outlier factor: 1 as dense as its neighbours", range=(0, None)),
    ],
)
def outliers(scan: Scan, ctx: Context) -> dict[str, pa.Array]:
    """k-NN distance and local outlier factor of each row among all rows. A row alone is undefined."""
    parts, rows, total = [], [], 0
    for batch in scan():
        vectors, own = unit_vectors(batch)
        parts.append(vectors)
        rows.append(own + total)
        total += batch.num_rows
        if sum(map(len, rows)) > ctx.params.limit:
            raise BadInput(
                f"outliers: more than {ctx.params.limit:,} rows, and every pair is compared; score a --where selection, "
                "or raise --limit and wait"
            )
    points = np.concatenate(parts) if parts else np.empty((0, 1), np.float32)
    at = np.concatenate(rows) if rows else np.empty(0, np.int64)
    k = min(ctx.params.neighbours, len(points) - 1)
    if k < 1:
        empty = pa.nulls(total, pa.float32())
        return {"knn_distance": empty, "outlier_factor": empty}
    near, distance = neighbours(points, k)
    return {
        "knn_distance": column(distance.mean(axis=1), at, total, pa.float32()),
        "outlier_factor": column(local_outlier_factor(near, distance), at, total, pa.float32()),
    }


def neighbours(points: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest other rows of each row, nearest first, and their distances in double precision."""
    near, distance = np.empty((len(points), k), np.int64), np.empty((len(points), k))
    squares = np.einsum("ij,ij->i", points, points)
    wanted = min(k + _SPARE, len(points) - 1)
    for start in range(0, len(points), _BLOCK):
        block = points[start : start + _BLOCK]
        gap = squares[None, :] - 2 * (block @ points.T)
        gap[np.arange(len(block)), np.arange(start, start + len(block))] = np.inf
        found = np.sort(np.argpartition(gap, wanted - 1, axis=1)[:, :wanted], axis=1)
        exact = np.linalg.norm(points[found].astype(np.float64) - block[:, None].astype(np.float64), axis=2)
        order = np.argsort(exact, axis=1, kind="stable")[:, :k]
        near[start : start + len(block)] = np.take_along_axis(found, order, 1)
        distance[start : start + len(block)] = np.take_along_axis(exact, order, 1)
    return near, distance


def local_outlier_factor(near: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Breunig's factor; copies, whose density is without bound, count as 1e-10 apart."""
    reach = np.maximum(distance, distance[near, -1])
    density = 1 / (reach.mean(axis=1) + 1e-10)
    return density[near].mean(axis=1) / density
