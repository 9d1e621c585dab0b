"""Semantic duplicates: rows of one cluster whose vectors are nearly the same.

SemDeDup (Abbas et al. 2023, arXiv:2303.09540): within each k-means cluster rows are put in order by their distance to
the centroid, and a row is a duplicate when its cosine to any row before it is above 1 - eps, also when that row is a
duplicate itself. `keep: hard` puts the farthest first (the paper's choice), `easy` the nearest, `random` by the seed. A `keeper`
policy puts the preferred rows first and leaves ties to `keep`. Each duplicate points to the earlier row it is most like,
so the pointers form trees: a group is a tree, its root the only row that stays and, under a policy, the preferred one.
Rows of different clusters are not compared. Products are taken in blocks of 4,096 rows, so a cluster of n rows costs n^2
products and bounded memory; the vectors of all rows are held (4 bytes a dimension).
"""

from __future__ import annotations

import itertools
from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from catalog import states
from catalog.errors import Refused
from catalog.plugins import Context, Out, Scan, scorer
from flows.scorers.dedup._keeper import READS, Keeper, KeeperParams
from flows.scorers.embedding.kmeans import KMeansParams

BLOCK = 4096
MOST = 400_000
"""Rows of one cluster beyond which it refuses: 8 * 10^10 products, some hours of two cores."""


class Params(KMeansParams, KeeperParams):
    eps: float = Field(0.05, ge=0, le=2, description="rows of a cosine above 1 - eps are duplicates")
    keep: Literal["hard", "easy", "random"] = Field("hard", description="which row of a group comes first")


@scorer(
    "semdedup",
    version="2",
    pattern="global",
    most_rows=3_000_000,
    reads=["embedding", "cluster", "centroid_distance", *READS],
    swaps={"embedding": "vectors"},
    params=Params,
    cost="cpu",
    stage="L1",
    tolerance=1e-5,
    citation="arXiv:2303.09540",
    writes=[
        Out(
            "semdedup_similarity",
            pa.float32(),
            "greatest cosine to an earlier row of the cluster; -1: none",
            "lower",
            (-1, 1),
        ),
        Out("semdedup_keep", pa.bool_(), "false where that cosine is above 1 - eps"),
        Out("semdedup_of", pa.int64(), "scan-order index of the earlier row it is most like; its own index: kept"),
        Out("semdedup_group", pa.int64(), "scan-order index of the row that represents its group"),
        Out("semdedup_size", pa.int32(), "rows in the group, this one included", range=(1, None)),
    ],
)
def semdedup(scan: Scan, ctx: Context) -> dict[str, pa.Array]:
    """Greatest cosine of each row to the rows before it in its cluster, and whether it stays at eps.

    A row without a vector or cluster is undefined.
    """
    points, clusters, distances, rows, keeper = _read(scan, ctx)
    held = np.flatnonzero(clusters >= 0)
    similarity, nearest = np.full(rows, -1.0, np.float32), np.full(rows, -1, np.int64)
    rng = np.random.Generator(np.random.PCG64(ctx.seed + ctx.params.seed))
    rank = {"hard": -distances, "easy": distances, "random": rng.permutation(rows).astype(np.float64)}[ctx.params.keep]
    rank = keeper.rank(rows, rank) if ctx.params.keeper else rank
    order = held[np.lexsort((held, rank[held], clusters[held]))]
    bounds = np.flatnonzero(np.append(True, clusters[order][1:] != clusters[order][:-1])) if order.size else order
    for start, stop in itertools.pairwise([*bounds.tolist(), order.size]):
        members = order[start:stop]
        if members.size > MOST:
            raise Refused(
                f"semdedup: a cluster has {members.size:,} rows, more than {MOST:,}; score kmeans with more clusters",
                missing=["clusters"],
            )
        similarity[members], nearest[members] = earlier(points[members], members)
    absent = clusters < 0
    keep = similarity <= 1 - ctx.params.eps
    of = np.where(keep, np.arange(rows), nearest)
    group = roots(of)
    size = np.bincount(group[held], minlength=rows)[group]
    return {
        "semdedup_similarity": pa.array(similarity, pa.float32(), mask=absent),
        "semdedup_keep": pa.array(keep, pa.bool_(), mask=absent),
        "semdedup_of": pa.array(of, pa.int64(), mask=absent),
        "semdedup_group": pa.array(group, pa.int64(), mask=absent),
        "semdedup_size": pa.array(np.maximum(size, 1), pa.int32(), mask=absent),
        "_state": pa.array(np.where(absent, states.UNDEFINED, states.VALUE), pa.uint8()),
    }


def roots(of: np.ndarray) -> np.ndarray:
    """Where each row's pointers end; a row that points to itself is a root."""
    while not np.array_equal(further := of[of], of):
        of = further
    return of


def earlier(points: np.ndarray, names: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each unit vector in order: the greatest cosine to one before it, and that one's name."""
    best, which = np.full(len(points), -1.0, np.float32), np.full(len(points), -1, np.int64)
    for start in range(0, len(points), BLOCK):
        block = points[start : start + BLOCK]
        for before in range(0, start + 1, BLOCK):
            product = block @ points[before : before + BLOCK].T
            if before == start:
                product[np.triu_indices(len(block))] = -2
            at = product.argmax(axis=1)
            value = product[np.arange(len(block)), at]
            better = value > best[start : start + BLOCK]
            rows = start + np.flatnonzero(better)
            best[rows], which[rows] = np.clip(value[better], -1, 1), names[before + at[better]]
    return best, which


def _read(scan: Scan, ctx: Context) -> tuple[np.ndarray, np.ndarray, np.ndarray, int, Keeper]:
    keeper = Keeper(ctx.params)
    points, clusters, distances = [], [np.empty(0, np.int64)], [np.empty(0, np.float64)]
    for batch in scan():
        column, cluster = batch["embedding"], batch["cluster"]
        width = column.type.list_size
        whole = column.is_valid().to_numpy(zero_copy_only=False) & cluster.is_valid().to_numpy(zero_copy_only=False)
        vectors = np.zeros((batch.num_rows, width), np.float32)
        valid = column.is_valid().to_numpy(zero_copy_only=False)
        vectors[valid] = column.drop_null().flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
        whole &= np.isfinite(vectors).all(axis=1)
        vectors[~whole] = 0
        points.append(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))
        clusters.append(np.where(whole, cluster.fill_null(-1).to_numpy(zero_copy_only=False), -1))
        far = batch["centroid_distance"].fill_null(0).to_numpy(zero_copy_only=False)
        distances.append(np.nan_to_num(far.astype(np.float64)))
        keeper.add(batch)
        ctx.tick(batch.num_rows)
    if not points:
        return np.empty((0, 1), np.float32), clusters[0], distances[0], 0, keeper
    return np.concatenate(points), np.concatenate(clusters), np.concatenate(distances), sum(map(len, points)), keeper
