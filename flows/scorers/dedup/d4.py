"""D4: semantic de-duplication, then diversification by dropping prototypes.

Tirumala et al. 2023, arXiv:2308.12284. (1) SemDeDup down to the share `dedup` of the rows; (2) what is left is clustered
anew, because duplicate-driven clusters are gone; (3) SSL prototypes (Sorscher et al. 2022, arXiv:2206.14486): of those
the rows nearest to their centroid are dropped until the share `prototype` is left. The product of both is the budget.
Step (1) drops the rows most like an earlier row of their cluster, which is SemDeDup at the eps that keeps that share.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pydantic import Field

from catalog import states
from catalog.plugins import Context, Out, Scan, scorer
from flows.scorers.dedup.semdedup import Params as SemDeDupParams


class Params(SemDeDupParams):
    dedup: float = Field(0.75, gt=0, le=1, description="share of the rows that stays after de-duplication")
    prototype: float = Field(0.75, gt=0, le=1, description="share of those that stays after dropping prototypes")
    reclusters: int = Field(
        16, ge=1, le=100_000, description="clusters of the second k-means; fewer if the rows are fewer"
    )


@scorer(
    "d4",
    version="2",
    pattern="global",
    most_rows=3_000_000,
    reads=["embedding", "semdedup_similarity"],
    swaps={"embedding": "vectors"},
    params=Params,
    cost="cpu",
    stage="L2",
    tolerance=1e-4,
    citation="arXiv:2308.12284; arXiv:2206.14486",
    libraries=("scikit-learn",),
    writes=[
        Out("d4_step", pa.int8(), "0: dropped as a duplicate, 1: dropped as a prototype, 2: kept", "higher", (0, 2)),
        Out(
            "d4_distance",
            pa.float32(),
            "cosine distance to the centroid of the second clustering; null: duplicate",
            "higher",
        ),
        Out("d4_cluster", pa.int32(), "cluster of the second clustering; -1: duplicate", None, (-1, None)),
        Out("d4_cluster_size", pa.int32(), "rows in it before prototypes are dropped; 0: duplicate", None, (0, None)),
    ],
)
def d4(scan: Scan, ctx: Context) -> dict[str, pa.Array]:
    """Which step of D4 drops each row, and its distance to the centroid among what de-duplication leaves.

    Ties go to the earlier row. A row without a vector is undefined and not counted in the shares.
    """
    points, similarity = _read(scan, ctx)
    held = np.flatnonzero(~np.isnan(similarity))
    step, distance = np.zeros(similarity.size, np.int8), np.zeros(similarity.size, np.float32)
    left = held[np.argsort(similarity[held], kind="stable")][: int(np.ceil(ctx.params.dedup * held.size - 1e-9))]
    left = np.sort(left)
    step[left] = 1
    cluster, size = np.full(similarity.size, -1, np.int32), np.zeros(similarity.size, np.int32)
    if left.size:
        distance[left], cluster[left] = prototypes(points[left], ctx)
        size[left] = np.bincount(cluster[left])[cluster[left]]
        far = left[np.argsort(-distance[left], kind="stable")]
        step[far[: int(np.ceil(ctx.params.prototype * left.size - 1e-9))]] = 2
    absent = np.isnan(similarity)
    return {
        "d4_step": pa.array(step, pa.int8(), mask=absent),
        "d4_distance": pa.array(distance, pa.float32(), mask=absent),
        "d4_cluster": pa.array(cluster, pa.int32(), mask=absent),
        "d4_cluster_size": pa.array(size, pa.int32(), mask=absent),
        "_state": pa.array(np.where(absent, states.UNDEFINED, states.VALUE), pa.uint8()),
    }


def prototypes(points: np.ndarray, ctx: Context) -> tuple[np.ndarray, np.ndarray]:
    """Cosine distance of unit vectors to the centroids, scaled to length one, of a new k-means; and whose centroid."""
    from sklearn.cluster import KMeans, MiniBatchKMeans
    from threadpoolctl import threadpool_limits

    count = min(ctx.params.reclusters, len(np.unique(points, axis=0)))
    seed = int(np.random.SeedSequence([ctx.seed, ctx.params.seed, 4]).generate_state(1)[0])
    model = KMeans(count, n_init=1, random_state=seed, max_iter=ctx.params.iterations)
    if len(points) > 20_000:
        model = MiniBatchKMeans(count, n_init=3, random_state=seed, batch_size=4096, max_iter=ctx.params.iterations)
    with threadpool_limits(1):  # sums over threads come in no fixed order
        model.fit(points)
    centres = np.asarray(model.cluster_centers_, np.float64)
    centres /= np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-12)
    blocks = [points[at : at + 8192] @ centres.T for at in range(0, len(points), 8192)]
    near = np.concatenate([block.max(axis=1) for block in blocks])
    label = np.concatenate([block.argmax(axis=1) for block in blocks])
    return np.clip(1 - near, 0, 2).astype(np.float32), label.astype(np.int32)


def _read(scan: Scan, ctx: Context) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors, and the similarity of each row to an earlier one; NaN where either is missing."""
    points, similarity = [np.empty((0, 1), np.float32)], [np.empty(0)]
    for batch in scan():
        column = batch["embedding"]
        width, valid = column.type.list_size, column.is_valid().to_numpy(zero_copy_only=False)
        vectors = np.zeros((batch.num_rows, width), np.float32)
        vectors[valid] = column.drop_null().flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
        whole = valid & np.isfinite(vectors).all(axis=1)
        vectors[~whole] = 0
        value = batch["semdedup_similarity"].cast(pa.float64()).to_numpy(zero_copy_only=False)
        similarity.append(np.where(whole, value, np.nan))
        points.append(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))
        ctx.tick(batch.num_rows)
    return np.concatenate(points[1:]) if points[1:] else points[0], np.concatenate(similarity)
