"""Local outlier factor and neighbour distances against scikit-learn; target similarity against a plain product."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from catalog.errors import BadInput
from catalog.plugins import Context, get_scorer
from flows.scorers.embedding._vectors import unit

ORACLES = {
    "outliers": "scikit-learn's LocalOutlierFactor, within 1e-5",
    "target_similarity": "the plain product of vectors",
}


def scan_of(points: np.ndarray, rows: int = 97):
    ids = [f"{i:032x}" for i in range(len(points))]
    held = pa.FixedSizeListArray.from_arrays(pa.array(points.astype(np.float32).ravel()), points.shape[1])
    table = pa.table({"sample_id": ids, "content_id": ids, "embedding": held})
    return lambda columns=None: iter(table.to_batches(max_chunksize=rows))


def cloud(count: int = 500, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(5, 384))
    spread = rng.choice([0.2, 0.6, 2.0], size=(count, 1))
    points = centres[rng.integers(5, size=count)] + spread * rng.normal(size=(count, 384))
    return unit(np.concatenate([points, points[:6], points[:2]]))  # copies too


@pytest.mark.parametrize("k", [1, 5, 20])
def test_factor_and_distance_equal_scikit_learn(k):
    from sklearn.neighbors import LocalOutlierFactor

    plugin = get_scorer("outliers")
    for points in (
        cloud(),
        cloud()[:500],
    ):  # with copies and without: of copies only the distances are more than rounding
        points = points.astype(np.float32)
        got = plugin.function(scan_of(points), Context(params=plugin.parse_params({"neighbours": k})))
        model = LocalOutlierFactor(n_neighbors=k, algorithm="brute").fit(points.astype(np.float64))
        assert got["knn_distance"].to_numpy() == pytest.approx(model.kneighbors()[0].mean(axis=1), abs=1e-6)
    assert got["outlier_factor"].to_numpy() == pytest.approx(-model.negative_outlier_factor_, rel=1e-5)


def test_more_rows_than_the_limit_are_refused():
    plugin = get_scorer("outliers")
    with pytest.raises(BadInput, match="more than 100 rows"):
        plugin.function(scan_of(cloud()), Context(params=plugin.parse_params({"limit": 100})))


def test_target_similarity_is_the_plain_product():
    rows, target = cloud(50, 1), cloud(30, 2)
    plugin = get_scorer("target_similarity")
    ctx = Context(params=plugin.parse_params({}), state={"points": target.astype(np.float32)})
    got = plugin.function(next(scan_of(rows)()), ctx)
    cosines = rows @ target.T
    assert got["target_similarity_max"].to_numpy() == pytest.approx(cosines.max(1), abs=1e-5)
    assert got["target_similarity_mean"].to_numpy() == pytest.approx(cosines.mean(1), abs=1e-5)
