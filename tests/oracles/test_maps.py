"""Places on the map: scikit-learn's exact principal components, on few and on many rows, in one batch and in many."""

import numpy as np
import pyarrow as pa
import pytest

from catalog import states
from catalog.errors import BadInput
from catalog.plugins import Context, get_scorer

ORACLES = {"map_pca": "sklearn.decomposition.PCA with the full singular value decomposition"}
PLUGIN = get_scorer("map_pca")


def batches(points: np.ndarray, rows: int = 97):
    def scan(columns=None):
        for start in range(0, len(points), rows):
            part = points[start : start + rows].astype(np.float32)
            ids = pa.array([f"{start + at:032x}" for at in range(len(part))])
            vectors = pa.FixedSizeListArray.from_arrays(pa.array(part.ravel()), part.shape[1])
            yield pa.record_batch({"sample_id": ids, "content_id": ids, "embedding": vectors})

    return scan


def mapped(points: np.ndarray, rows: int = 97) -> tuple[np.ndarray, dict]:
    ctx = Context(params=PLUGIN.parse_params({}))
    ctx.state = PLUGIN.fit(batches(points, rows), ctx)
    parts = [PLUGIN.function(batch, ctx) for batch in batches(points, rows)()]
    places = [np.column_stack([part["pca_x"].to_numpy(), part["pca_y"].to_numpy()]) for part in parts]
    return np.concatenate(places), ctx.state


@pytest.mark.parametrize(("rows", "width", "seed"), [(40, 5, 0), (600, 48, 1), (30, 384, 2)])
def test_places_are_the_two_components_of_scikit_learn(rows, width, seed):
    from sklearn.decomposition import PCA

    rng = np.random.default_rng(seed)
    points = rng.standard_normal((rows, width)) * np.geomspace(4, 0.1, width) + rng.standard_normal(width)
    model = PCA(2, svd_solver="full")
    want = model.fit_transform(points.astype(np.float32).astype(np.float64))
    got, state = mapped(points)
    sign = np.sign((want * got).sum(axis=0))
    assert got == pytest.approx(want * sign, abs=1e-4)
    assert state["report"]["explained"] == pytest.approx(model.explained_variance_ratio_, abs=1e-5)
    axes = state["axes"]
    assert (axes.sum(axis=0) > 0).all()  # the sign is a rule, not chance
    assert np.abs(axes.T @ axes - np.eye(2)).max() < 1e-9


def test_batches_and_a_turned_file_give_the_same_map():
    points = np.random.default_rng(5).standard_normal((300, 24)) * np.geomspace(3, 1, 24)
    whole, _ = mapped(points, 300)
    assert mapped(points, 7)[0] == pytest.approx(whole, abs=1e-5)
    assert mapped(points[::-1].copy(), 50)[0][::-1] == pytest.approx(whole, abs=1e-5)


def test_fewer_axes_than_two_are_zero_and_later_rows_are_mapped_by_the_frozen_axes():
    line = np.outer(np.arange(10.0), np.ones(6))
    got, state = mapped(line)
    assert np.abs(got[:, 1]).max() == 0
    assert np.diff(got[:, 0]) == pytest.approx(np.full(9, 6**0.5), abs=1e-5)
    same, _ = mapped(np.ones((4, 6)))
    assert np.abs(same).max() == 0
    ctx = Context(params=PLUGIN.parse_params({}))
    ctx.state = state
    later = PLUGIN.function(next(batches(np.full((1, 6), 20.0))()), ctx)
    assert later["pca_x"][0].as_py() == pytest.approx((20 - 4.5) * 6**0.5, abs=1e-4)


def test_rows_without_a_vector_have_no_place_and_none_at_all_is_refused():
    kind = pa.list_(pa.float32(), 3)
    ctx = Context(params=PLUGIN.parse_params({}))
    ctx.state = PLUGIN.fit(batches(np.random.default_rng(0).standard_normal((9, 3))), ctx)
    batch = pa.record_batch({"embedding": pa.array([None, [1.0, 2.0, 3.0], [float("nan"), 0.0, 0.0]], kind)})
    got = PLUGIN.function(batch, ctx)
    assert got["pca_x"].is_valid().to_pylist() == [False, True, False]
    assert got["_state"].to_pylist() == [states.UNDEFINED, states.VALUE, states.UNDEFINED]
    with pytest.raises(BadInput, match="no row has a vector"):
        PLUGIN.fit(lambda: iter([batch.slice(0, 1)]), ctx)
