"""Leaves by recursive k-means against groups that are there by construction, scikit-learn's k-means, and a descent by hand."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from catalog import states
from catalog.errors import BadInput
from catalog.plugins import Context, get_scorer
from flows.scorers.embedding._vectors import unit
from flows.scorers.embedding.cluster_leaves import descend, middles_of

ORACLES = {"cluster_leaves": "groups that are there by construction, scikit-learn's k-means, a descent row by row"}


def table_of(points: np.ndarray) -> pa.Table:
    ids = [f"{at * 2654435761 % 2**64:032x}" for at in range(len(points))]
    held = pa.FixedSizeListArray.from_arrays(points.astype(np.float32).ravel(), points.shape[1])
    return pa.table({"sample_id": ids, "content_id": ids, "embedding": held})


def fitted(table: pa.Table, rows: int = 100, **params) -> tuple[np.ndarray, dict]:
    plugin = get_scorer("cluster_leaves")
    ctx = Context(params=plugin.parse_params(params))
    assert plugin.fit
    ctx.state = plugin.fit(lambda columns=None: iter(table.to_batches(rows)), ctx)
    made = [plugin.function(batch, ctx)["cluster_leaf"] for batch in table.combine_chunks().to_batches(rows)]
    return pa.chunked_array(made).to_numpy(), ctx.state


def groups(count: int, each: int, seed: int = 0, spread: float = 0.02) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    own = np.repeat(np.arange(count), each)
    rng.shuffle(own)
    return rng.normal(size=(count, 24))[own] + spread * rng.normal(size=(len(own), 24)), own


def test_groups_that_are_there_are_never_torn_while_they_fit_a_leaf():
    points, own = groups(40, 10)
    leaf, state = fitted(table_of(points), most=30, cuts=4)
    assert all(len(set(leaf[own == group].tolist())) == 1 for group in range(40))
    sizes = np.bincount(leaf)
    assert sizes.min() > 0 and sizes.max() <= 30 and sizes.sum() == 400
    assert state["report"] == {
        "rows": 400, "fitted_on": 400, "leaves": len(sizes), "largest": int(sizes.max()), "depth": state["report"]["depth"],
    }  # fmt: skip
    assert state["report"]["depth"] >= 2


def test_one_cut_is_scikit_learns_k_means():
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score

    points, own = groups(6, 30, seed=1)
    leaf, _ = fitted(table_of(points), most=100, cuts=6)
    theirs = KMeans(6, n_init=1, random_state=0).fit_predict(unit(points))
    assert adjusted_rand_score(theirs, leaf) == adjusted_rand_score(own, leaf) == 1


@pytest.mark.parametrize("most", [1, 7, 50])
def test_every_leaf_is_small_and_a_descent_by_hand_ends_in_it(most):
    points = np.random.default_rng(most).normal(size=(300, 24))
    leaf, state = fitted(table_of(points), most=most, cuts=3)
    assert np.bincount(leaf).max() <= most
    assert (fitted(table_of(points), rows=7, most=most, cuts=3)[0] == leaf).all()
    assert (fitted(table_of(points).take(np.arange(300)[::-1]), most=most, cuts=3)[0][::-1] == leaf).all()
    later = unit(np.random.default_rng(99).normal(size=(50, 24))).astype(np.float32)
    for point, found in zip(later, descend(later, state).tolist(), strict=True):
        node = 0
        while (children := [at for at, parent in enumerate(state["parents"]) if parent == node]) != []:
            node = max(children, key=lambda at: float(point.astype(float) @ state["centroids"][at].astype(float)))
        assert state["leaf"][node] == found
    assert len(middles_of(state)) == state["report"]["leaves"] == leaf.max() + 1


def test_copies_stay_together_rows_without_a_vector_stay_out_and_nothing_is_said():
    points = np.repeat(np.random.default_rng(0).normal(size=(2, 8)), 50, axis=0)
    leaf, state = fitted(table_of(points), most=10)
    assert sorted(np.bincount(leaf).tolist()) == [50, 50] and state["report"]["largest"] == 50
    held = table_of(points)
    empty = held.set_column(2, "embedding", pa.nulls(len(held), held["embedding"].type))
    with pytest.raises(BadInput, match="no row has an embedding"):
        fitted(empty)
    ctx = Context(params=get_scorer("cluster_leaves").parse_params({}))
    ctx.state = state
    made = get_scorer("cluster_leaves").function(empty.combine_chunks().to_batches()[0], ctx)
    assert made["cluster_leaf"].null_count == 100 and set(made["_state"].to_pylist()) == {states.UNDEFINED}
