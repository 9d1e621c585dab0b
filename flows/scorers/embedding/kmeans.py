"""k-means clusters of the embedding and each row's distance to its centroid.

MacQueen 1967; with k-means++ seeding (Arthur and Vassilvitskii 2007). As in D4 (Tirumala et al. 2023, arXiv:2308.12284)
centroids of length-one vectors are scaled to length one and rows go to the nearest by cosine. The centroids are
fitted once on at most `sample` rows, those with the lowest keyed hash of their sample_id, in hash order: the result
does not depend on the order of the rows, on fragments or on batches. They are then frozen, and new rows are mapped.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pydantic import Field

from catalog import states
from catalog.errors import BadInput
from catalog.plugins import Context, Out, Scan, scorer
from flows.scorers.embedding._vectors import sample_vectors
from flows.scorers.embedding._vectors import unit as _unit
from flows.scorers.embedding._vectors import unit_vectors as _vectors
from flows.scorers.embedding.minilm import VectorParams

FULL_ROWS = 20_000
"""Up to this many rows Lloyd's algorithm, beyond it mini-batches."""


class KMeansParams(VectorParams):
    clusters: int = Field(16, ge=1, le=10_000, description="number of clusters; fewer if the rows are fewer")
    iterations: int = Field(100, ge=1, le=10_000, description="iterations at most")
    sample: int = Field(100_000, ge=1, le=10_000_000, description="rows the centroids are fitted on at most")
    seed: int = Field(0, ge=0, description="start of the random numbers")


def fit(scan: Scan, ctx: Context) -> dict:
    """Centroids of a sample of the rows, largest cluster first."""
    from sklearn.cluster import KMeans, MiniBatchKMeans
    from threadpoolctl import threadpool_limits

    params = ctx.params
    seed = int(np.random.SeedSequence([ctx.seed, params.seed]).generate_state(1)[0])
    points, seen = sample_vectors(scan, params.sample, seed)
    if not len(points):
        raise BadInput("kmeans: no row has an embedding, so there is nothing to cluster; score rows that have text")
    k = min(params.clusters, len(np.unique(points, axis=0)))
    options = {"n_clusters": k, "max_iter": params.iterations, "random_state": seed}
    model = (
        KMeans(n_init=1, **options)
        if len(points) <= FULL_ROWS
        else MiniBatchKMeans(n_init=3, batch_size=4096, **options)
    )
    with threadpool_limits(1):  # sums over threads come in no fixed order
        labels = model.fit_predict(points)
    centroids = _unit(np.asarray(model.cluster_centers_, np.float32))
    order = np.argsort(-np.bincount(labels, minlength=k), kind="stable")
    report = {"rows": seen, "fitted_on": len(points), "clusters": k, "inertia": float(model.inertia_)}
    return {"centroids": centroids[order], "report": report}


@scorer(
    "kmeans",
    version="1",
    reads=["embedding"],
    swaps={"embedding": "vectors"},
    writes=[
        Out(
            "cluster",
            pa.int32(),
            "cluster number, 0: largest in the fit",
            range=(0, None),
            measure=True,
        ),
        Out("centroid_distance", pa.float32(), "cosine distance to the own centroid", range=(0, 2), measure=True),
    ],
    cost="cpu",
    params=KMeansParams,
    fit=fit,
    fit_on="self",
    batch_rows=16384,
    tolerance=1e-5,
    stage="L1",
    libraries=("scikit-learn",),
    citation="MacQueen 1967; Arthur and Vassilvitskii 2007; on embeddings as in D4, arXiv:2308.12284",
)
def kmeans(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    vectors, rows = _vectors(batch)
    missing = np.ones(batch.num_rows, bool)
    missing[rows] = False
    cluster, distance = np.zeros(batch.num_rows, np.int32), np.zeros(batch.num_rows, np.float32)
    if len(rows):
        similarity = vectors.astype(np.float64) @ np.asarray(ctx.state["centroids"], np.float64).T
        cluster[rows] = similarity.argmax(axis=1)
        distance[rows] = np.clip(1 - similarity.max(axis=1), 0, 2)
    return {
        "cluster": pa.array(cluster, pa.int32(), mask=missing),
        "centroid_distance": pa.array(distance, pa.float32(), mask=missing),
        "_state": pa.array(np.where(missing, states.UNDEFINED, states.VALUE).astype(np.uint8)),
    }
