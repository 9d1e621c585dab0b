"""Clusters of candidates: a stored column of them, or k-means that does not depend on where rows stand in the table."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from catalog.errors import BadInput
from catalog.selectors import Choice
from flows.selectors._groups import groups_of
from flows.selectors._vectors import matrix

FULL = 20_000
"""Rows up to which k-means reads all of them in every step; above that it reads batches."""


def labels_of(rows: pa.Table, choice: Choice, within: str | None, vectors: str | None, clusters: int) -> tuple[list[str], np.ndarray]:  # fmt: skip
    """Names of the clusters and each row's cluster."""
    if within:
        return groups_of(rows[within])
    if not vectors:
        raise BadInput("say what to cluster: --param vectors=embedding, or --param within=COLUMN for stored clusters")
    label, _ = kmeans(matrix(rows, vectors), choice.ids, clusters, choice.seed)
    return [str(number) for number in range(int(label.max(initial=-1)) + 1)], label


def kmeans(points: np.ndarray, ids: np.ndarray, clusters: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Label of each row and the centres; rows are read in the order of their ids."""
    from sklearn.cluster import KMeans, MiniBatchKMeans
    from threadpoolctl import threadpool_limits

    by_id = np.argsort(ids, kind="stable")
    count = min(clusters, len(np.unique(points, axis=0)))
    make = KMeans if len(points) <= FULL else MiniBatchKMeans
    with threadpool_limits(1):  # sums over threads come in no fixed order
        model = make(n_clusters=count, n_init=1, random_state=seed).fit(points[by_id])
    label = np.empty(len(points), np.int64)
    label[by_id] = model.labels_
    return label, model.cluster_centers_
