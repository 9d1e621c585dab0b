"""Small clusters by recursive k-means: each cluster with more than `most` rows is cut again, until none has.

Hierarchical k-means with a branching factor and a bound on the leaves (Nistér and Stewénius 2006, "Scalable recognition with
a vocabulary tree", which bounds the depth instead; clusters narrow fact tracing in Chen et al. 2024, arXiv:2404.15157).
As in `kmeans` centroids of length-one vectors are scaled to length one and a row goes to the nearest by cosine, here from
the root down. The tree is fitted once, on the rows with the lowest keyed hash of their
sample_id, in hash order, and then frozen: rows that come later go down the same tree. `most` holds for the rows of the fit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field

from catalog import states
from catalog.errors import BadInput
from catalog.plugins import Context, Out, Scan, scorer
from flows.scorers.embedding._vectors import sample_vectors, unit, unit_vectors
from flows.scorers.embedding.kmeans import FULL_ROWS
from flows.scorers.embedding.minilm import VectorParams


class Params(VectorParams):
    most: int = Field(32, ge=1, le=100_000, description="rows of a leaf at most, of those the tree is fitted on")
    cuts: int = Field(8, ge=2, le=1_000, description="clusters that a cluster with more rows is cut into, at most")
    iterations: int = Field(100, ge=1, le=10_000, description="iterations of a cut at most")
    sample: int = Field(100_000, ge=1, le=10_000_000, description="rows the tree is fitted on at most")
    seed: int = Field(0, ge=0, description="start of the random numbers")


def fit(scan: Scan, ctx: Context) -> dict[str, Any]:
    """The tree: centroid and parent of every node (the root is node 0), and the number of each leaf, -1 for the others."""
    params = ctx.params
    seed = int(np.random.SeedSequence([ctx.seed, params.seed]).generate_state(1)[0])
    points, seen = sample_vectors(scan, params.sample, seed)
    if not len(points):
        raise BadInput(
            "cluster_leaves: no row has an embedding, so there is nothing to cluster; score rows that have text"
        )
    centroids, parents, leaf, sizes = [points.mean(axis=0)], [-1], [-1], []
    todo = [(0, np.arange(len(points)), 0)]
    deepest = 0
    while todo:  # depth first, so that leaves of neighbouring numbers have the nearest common parents
        node, rows, depth = todo.pop()
        deepest = max(deepest, depth)
        found = cut(points[rows], params.cuts, params.iterations, seed) if len(rows) > params.most else None
        if found is None:
            leaf[node] = len(sizes)
            sizes.append(len(rows))
            continue
        middles, own = found
        for child, middle in enumerate(middles):
            centroids.append(middle)
            parents.append(node)
            leaf.append(-1)
            todo.append((len(parents) - 1, rows[own == child], depth + 1))
    report = {"rows": seen, "fitted_on": len(points), "leaves": len(sizes), "largest": max(sizes), "depth": deepest}
    return {
        "centroids": np.asarray(centroids, np.float32), "parents": np.asarray(parents, np.int32),
        "leaf": np.asarray(leaf, np.int32), "report": report,
    }  # fmt: skip


def cut(points: np.ndarray, cuts: int, iterations: int, seed: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Centroids of length one and the nearest one of each point, smallest cluster first; None where all stay together."""
    from sklearn.cluster import KMeans, MiniBatchKMeans
    from threadpoolctl import threadpool_limits

    count = min(cuts, len(np.unique(points, axis=0)))
    if count < 2:
        return None
    options = {"n_clusters": count, "max_iter": iterations, "random_state": seed}
    whole = len(points) <= FULL_ROWS
    model = KMeans(n_init=1, **options) if whole else MiniBatchKMeans(n_init=3, batch_size=4096, **options)
    with threadpool_limits(1):  # sums over threads come in no fixed order
        model.fit(points)
        middles = unit(np.asarray(model.cluster_centers_, np.float32))
        own = nearest(points, middles)
    sizes = np.bincount(own, minlength=count)
    order = [int(at) for at in np.argsort(sizes, kind="stable") if sizes[at]]
    if len(order) < 2:
        return None
    number = np.zeros(count, np.int64)
    number[order] = np.arange(len(order))
    return middles[order], number[own]


def nearest(points: np.ndarray, middles: np.ndarray) -> np.ndarray:
    """The centroid that each point goes to, the same way in the fit and after it."""
    return (points.astype(np.float64) @ middles.astype(np.float64).T).argmax(axis=1)


def descend(points: np.ndarray, state: dict[str, Any]) -> np.ndarray:
    """The leaf of each point: from the root to the nearest child, until there is none."""
    centroids, parents, leaf = (np.asarray(state[name]) for name in ("centroids", "parents", "leaf"))
    # children of a node follow one another
    held, first, count = np.unique(parents, return_index=True, return_counts=True)
    children = {node: slice(begin, begin + many) for node, begin, many in zip(held.tolist(), first, count, strict=True)}
    at = np.zeros(len(points), np.int64)
    while (todo := np.flatnonzero(leaf[at] < 0)).size:
        todo = todo[np.argsort(at[todo], kind="stable")]
        nodes, begins = np.unique(at[todo], return_index=True)
        for node, rows in zip(nodes.tolist(), np.split(todo, begins[1:]), strict=True):
            below = children[node]
            at[rows] = below.start + nearest(points[rows], centroids[below])
    return leaf[at]


def middles_of(state: dict[str, Any]) -> np.ndarray:
    """Centroids of the leaves, in the order of their numbers."""
    leaf = np.asarray(state["leaf"])
    held = np.flatnonzero(leaf >= 0)
    return np.asarray(state["centroids"], np.float32)[held[np.argsort(leaf[held])]]


@scorer(
    "cluster_leaves",
    version="1",
    reads=["embedding"],
    swaps={"embedding": "vectors"},
    writes=[Out("cluster_leaf", pa.int32(), "leaf of the tree of clusters", range=(0, None), measure=True)],
    cost="cpu",
    params=Params,
    fit=fit,
    fit_on="self",
    batch_rows=16384,
    stage="L1",
    libraries=("scikit-learn",),
    citation="hierarchical k-means, Nistér and Stewénius 2006; to trace facts after Chen et al. 2024, arXiv:2404.15157",
)
def cluster_leaves(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    """The leaf of a row. A row without a vector is undefined."""
    vectors, rows = unit_vectors(batch)
    missing = np.ones(batch.num_rows, bool)
    missing[rows] = False
    own = np.zeros(batch.num_rows, np.int32)
    own[rows] = descend(vectors, ctx.state)
    return {
        "cluster_leaf": pa.array(own, pa.int32(), mask=missing),
        "_state": pa.array(np.where(missing, states.UNDEFINED, states.VALUE).astype(np.uint8)),
    }
