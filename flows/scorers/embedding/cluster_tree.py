"""Coarser levels over the k-means clusters: a tree of two further levels, frozen with the column.

ward, average   agglomeration of the centroids (Ward 1963; Sokal and Michener 1958), cut twice
kmeans          k-means of the centroids, and of the centroids of those, as in the hierarchical k-means of Vo et al. 2024,
                arXiv:2405.15613 (without its resampling, which serves balanced sampling)

Only centroids are compared, so the work is linear in rows: k clusters take k^2 distances. The centroids are the means of
the rows' unit vectors, scaled to length one, each counting once however many rows it holds, as in that paper. Levels are
nested by construction: rows of one cluster share its parents.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from catalog import states
from catalog.errors import BadInput
from catalog.plugins import Context, Out, Scan, scorer
from flows.scorers.embedding._vectors import unit, unit_vectors
from flows.scorers.embedding.kmeans import KMeansParams


class Params(KMeansParams):
    middle: int = Field(8, ge=1, le=10_000, description="groups of clusters; fewer if the clusters are fewer")
    top: int = Field(3, ge=1, le=10_000, description="groups of those; fewer if they are fewer")
    linkage: Literal["ward", "average", "kmeans"] = Field(
        "ward", description="how clusters are joined: least variance, mean distance, or k-means of centroids"
    )


def fit(scan: Scan, ctx: Context) -> dict[str, Any]:
    """The parents of every cluster at both levels, numbered from the group with the most rows on."""
    params = ctx.params
    if params.top > params.middle:
        raise BadInput(
            f"cluster_tree: top {params.top} is finer than middle {params.middle}; ask for fewer groups at the top"
        )
    names, points, sizes = centroids(scan)
    if not len(names):
        raise BadInput("cluster_tree: no row has a cluster, so there is nothing to join; score rows that have text")
    counts = [min(params.middle, len(names)), min(params.top, len(names))]
    seed = int(np.random.SeedSequence([ctx.seed, params.seed]).generate_state(1)[0])
    if params.linkage == "kmeans":
        found = _by_kmeans(points, counts, seed)
    else:
        found = [cut(points, params.linkage, count) for count in counts]
    parents = np.full((2, int(names.max()) + 1), -1, np.int32)
    for level, groups in enumerate(found):
        parents[level, names] = largest_first(groups, sizes)
    report = {"clusters": len(names), "middle": len(set(found[0].tolist())), "top": len(set(found[1].tolist()))}
    return {"parents": parents, "report": report}


def centroids(scan: Scan) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cluster numbers, mean unit vectors scaled to length one, and rows of each."""
    sums: dict[int, np.ndarray] = {}
    rows: dict[int, int] = {}
    for batch in scan():
        vectors, at = unit_vectors(batch)
        own = batch.column("cluster").fill_null(-1).to_numpy(zero_copy_only=False)[at]
        for name in np.unique(own[own >= 0]).tolist():
            part = vectors[own == name].astype(np.float64)
            sums[name] = sums.get(name, 0.0) + part.sum(axis=0)
            rows[name] = rows.get(name, 0) + len(part)
    names = np.array(sorted(sums), np.int64)
    points = unit(np.array([sums[name] for name in names.tolist()])) if len(names) else np.empty((0, 1))
    return names, points.round(9), np.array([rows[name] for name in names.tolist()], np.int64)


def cut(points: np.ndarray, linkage: str, count: int) -> np.ndarray:
    """Group of each point when its dendrogram is cut into `count` groups; equal heights are cut in the order joined."""
    from scipy.cluster.hierarchy import cut_tree
    from scipy.cluster.hierarchy import linkage as joined

    if len(points) < 2:
        return np.zeros(len(points), np.int64)
    return cut_tree(joined(points, linkage), n_clusters=count)[:, 0]


def _by_kmeans(points: np.ndarray, counts: list[int], seed: int) -> list[np.ndarray]:
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    found, below, held = [], points, np.arange(len(points))
    with threadpool_limits(1):
        for count in counts:
            count = min(count, len(np.unique(below, axis=0)))
            model = KMeans(count, n_init=10, random_state=seed).fit(below)
            held = model.labels_[held]
            below = unit(model.cluster_centers_)
            found.append(held)
    return found


def largest_first(groups: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The same groups numbered by their rows, most first; equal ones by the first cluster they hold."""
    names, first = np.unique(groups, return_index=True)
    rows = [int(sizes[groups == name].sum()) for name in names]
    order = sorted(range(len(names)), key=lambda i: (-rows[i], first[i]))
    number = {int(names[i]): rank for rank, i in enumerate(order)}
    return np.array([number[int(group)] for group in groups], np.int32)


@scorer(
    "cluster_tree",
    version="1",
    reads=["embedding", "cluster"],
    swaps={"embedding": "vectors"},
    writes=[
        Out("cluster_middle", pa.int32(), "group of clusters, 0: most rows in the fit", range=(0, None), measure=True),
        Out("cluster_top", pa.int32(), "group of those groups, 0: most rows in the fit", range=(0, None), measure=True),
    ],
    cost="cpu",
    params=Params,
    fit=fit,
    fit_on="self",
    batch_rows=16384,
    stage="L1",
    libraries=("scipy", "scikit-learn"),
    citation="Ward 1963; levels over k-means centroids as in Vo et al. 2024, arXiv:2405.15613",
)
def cluster_tree(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    """The groups of a row's cluster. A row without a vector or a cluster, or of one the fit never saw, is undefined."""
    with_vector = np.zeros(batch.num_rows, bool)
    with_vector[unit_vectors(batch)[1]] = True
    parents = np.asarray(ctx.state["parents"], np.int32)
    own = batch.column("cluster").fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    known = with_vector & (own >= 0) & (own < parents.shape[1])
    level = parents[:, np.where(known, own, 0)]
    missing = ~known | (level[0] < 0)
    return {
        "cluster_middle": pa.array(level[0], pa.int32(), mask=missing),
        "cluster_top": pa.array(level[1], pa.int32(), mask=missing),
        "_state": pa.array(np.where(missing, states.UNDEFINED, states.VALUE).astype(np.uint8)),
    }
