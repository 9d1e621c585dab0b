"""Levels over clusters against scikit-learn's agglomeration, and against groups that are there by construction."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from catalog.errors import BadInput
from catalog.plugins import Context, get_scorer
from flows.scorers.embedding.cluster_tree import cut

ORACLES = {"cluster_tree": "agglomeration of the centroids by scikit-learn; nested groups by construction"}


def nested(seed: int = 0) -> tuple[pa.Table, np.ndarray, np.ndarray]:
    """Rows of 24 clusters in 6 groups in 2 families, with the group and family of each cluster."""
    rng = np.random.default_rng(seed)
    family = np.repeat([0, 1], 12)
    group = np.repeat(np.arange(6), 4)
    middle = rng.normal(size=(2, 32))[family] * 4 + rng.normal(size=(6, 32))[group] * 1.5
    centre = middle + 0.3 * rng.normal(size=(24, 32))
    own = np.repeat(np.arange(24), rng.integers(5, 40, 24))
    rng.shuffle(own)
    points = (centre[own] + 0.02 * rng.normal(size=(len(own), 32))).astype(np.float32)
    ids = [f"{i:032x}" for i in range(len(own))]
    held = pa.FixedSizeListArray.from_arrays(points.ravel(), 32)
    return (
        pa.table({"sample_id": ids, "content_id": ids, "embedding": held, "cluster": own.astype(np.int32)}),
        group,
        family,
    )


def run(table: pa.Table, rows: int = 100, **params) -> tuple[np.ndarray, np.ndarray]:
    plugin = get_scorer("cluster_tree")
    ctx = Context(params=plugin.parse_params(params))
    assert plugin.fit
    ctx.state = plugin.fit(lambda columns=None: iter(table.to_batches(rows)), ctx)
    made = plugin.function(table.combine_chunks().to_batches()[0], ctx)
    return made["cluster_middle"].to_numpy(zero_copy_only=False), made["cluster_top"].to_numpy(zero_copy_only=False)


@pytest.mark.parametrize("linkage", ["ward", "average", "kmeans"])
def test_groups_and_families_are_found_and_nested(linkage):
    from sklearn.metrics import adjusted_rand_score

    table, group, family = nested()
    own = table["cluster"].to_numpy()
    middle, top = run(table, middle=6, top=2, linkage=linkage)
    assert adjusted_rand_score(group[own], middle) == 1 and adjusted_rand_score(family[own], top) == 1
    assert len(set(zip(middle.tolist(), top.tolist()))) == 6 and len(set(zip(own.tolist(), middle.tolist()))) == 24
    assert (np.diff(np.bincount(middle)) <= 0).all() and (np.diff(np.bincount(top)) <= 0).all()
    again = run(table, rows=7, middle=6, top=2, linkage=linkage)
    assert (again[0] == middle).all() and (again[1] == top).all()


@pytest.mark.parametrize("linkage", ["ward", "average"])
@pytest.mark.parametrize("count", [2, 5, 17])
def test_a_cut_is_scikit_learns(linkage, count):
    from sklearn.cluster import AgglomerativeClustering
    from sklearn.metrics import adjusted_rand_score

    points = np.random.default_rng(count).normal(size=(60, 8))
    theirs = AgglomerativeClustering(count, linkage=linkage).fit_predict(points)
    assert adjusted_rand_score(theirs, cut(points, linkage, count)) == 1


def test_one_cluster_rows_without_one_and_a_finer_top():
    table, _, _ = nested()
    alone = table.set_column(3, "cluster", pa.array([0] * (len(table) - 1) + [None], pa.int32()))
    middle, top = run(alone)
    assert set(middle[:-1].tolist()) == set(top[:-1].tolist()) == {0} and np.isnan(middle[-1])
    with pytest.raises(BadInput, match="top 9 is finer than middle 8"):
        run(table, top=9)
    with pytest.raises(BadInput, match="no row has a cluster"):
        run(table.set_column(3, "cluster", pa.nulls(len(table), pa.int32())))
