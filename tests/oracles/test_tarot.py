"""TAROT against its steps written out with geomloss, numpy and a loop over the folds."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from catalog.errors import BadInput
from catalog.plugins import Context, get_scorer
from flows.scorers.embedding._whitened import set_distance, whiten, whitening

ORACLES = {"tarot": "geomloss 0.3.1 for the distance; whitening, layers and stopping in plain numpy, the same rows"}


def points(count: int, seed: int, wide: int = 6, shift: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(count, wide)) @ rng.normal(size=(wide, wide)) + shift).astype(np.float32)


def scan_of(vectors: np.ndarray, rows: int = 64):
    def scan(columns=None):
        for start in range(0, len(vectors), rows):
            part = vectors[start : start + rows]
            held = pa.FixedSizeListArray.from_arrays(pa.array(part.ravel()), part.shape[1])
            ids = [f"{start + i:032x}" for i in range(len(part))]
            yield pa.record_batch({"sample_id": ids, "content_id": ids, "embedding": held})

    return scan


def tarot(rows: np.ndarray, target: np.ndarray, **params) -> tuple[dict[str, np.ndarray], dict]:
    plugin = get_scorer("tarot")
    ctx = Context(params=plugin.parse_params({"vectors": "embedding", **params}), target=scan_of(target))
    ctx.state = plugin.fit(scan_of(rows), ctx)
    made = [plugin.function(batch, ctx) for batch in scan_of(rows, 50)()]
    return {out.name: np.concatenate([m[out.name].to_numpy() for m in made]) for out in plugin.writes}, ctx.state


def cosines(rows: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whitened unit features of both, in the authors' words."""
    whole = np.concatenate([rows, target]).astype(np.float64)
    whole -= whole.mean(axis=0, keepdims=True)
    factor = np.linalg.cholesky(whole.T @ whole / len(whole) + 1e-5 * np.eye(whole.shape[1]))
    whole = whole @ np.linalg.inv(factor).T
    whole /= np.linalg.norm(whole, axis=1, keepdims=True)
    return whole[: len(rows)], whole[len(rows) :]


def test_whitened_features_have_identity_covariance():
    rows, target = points(300, 0), points(40, 1)
    mean, matrix, count = whitening(lambda: iter([rows[:100].astype(float), rows[100:].astype(float)]), target, 1e-9)
    both = (np.concatenate([rows, target]) - mean) @ matrix
    assert count == 300 and both.T @ both / len(both) == pytest.approx(np.eye(6), abs=1e-5)
    assert np.linalg.norm(whiten(rows, mean, matrix), axis=1) == pytest.approx(1)


def test_distance_equals_geomloss():
    geomloss, torch = pytest.importorskip("geomloss"), pytest.importorskip("torch")
    left, right = cosines(points(40, 2), points(15, 3))

    def price(x, y):
        return (2 - 2 * x[0] @ y[0].T).abs().sqrt().unsqueeze(0)

    loss = geomloss.SamplesLoss(loss="sinkhorn", cost=price, debias=False, blur=0.01, scaling=0.5, backend="tensorized")
    want = loss(torch.tensor(left), torch.tensor(right)).item()
    assert set_distance(left, right) == pytest.approx(want, rel=1e-9)


def test_selection_is_that_of_the_loop_over_folds():
    from sklearn.model_selection import KFold

    rows, target = points(200, 4), points(24, 5, shift=0.7)
    got, _ = tarot(rows, target, folds=4, layers=40)
    left, right = cosines(rows, _in_hash_order(target))
    similar = left @ right.T
    order = np.argsort(-similar, axis=0)
    place = np.argsort(order, axis=0) + 1
    assert got["tarot_layer"].tolist() == np.minimum(place.min(axis=1), 41).tolist()
    assert got["tarot_similarity"] == pytest.approx(similar.max(axis=1), abs=1e-5)
    wanted = set()
    for rest, part in KFold(4, shuffle=True, random_state=0).split(right):
        lowest, held = 1e9, set()
        for k in range(1, 41):
            inside = {i for j in part for i in order[:k, j] if similar[i, j] > 0}
            distance = set_distance(left[sorted(inside)], right[rest])
            if distance >= lowest:
                break
            lowest, held = distance, inside
        wanted |= held
    assert set(np.flatnonzero(got["tarot"])) == wanted and 0 < len(wanted) < 200


def _in_hash_order(target: np.ndarray) -> np.ndarray:
    import xxhash

    keys = [xxhash.xxh64_intdigest(f"{i:032x}".encode(), 0) for i in range(len(target))]
    return target[np.argsort(np.array(keys, np.uint64))]


def test_rows_like_the_target_are_taken_and_others_are_not():
    rng = np.random.default_rng(6)
    rows = np.concatenate([rng.normal(size=(150, 8)), rng.normal(size=(50, 8)) + 6 * np.eye(8)[0]]).astype(np.float32)
    target = (rng.normal(size=(30, 8)) + 6 * np.eye(8)[0]).astype(np.float32)
    got, _ = tarot(rows, target)
    assert got["tarot"][150:].mean() > 0.8 and got["tarot"][:150].mean() < 0.2


def test_poor_input_is_refused_in_one_line():
    rows = points(20, 7)
    for target in (points(1, 8), np.full((5, 6), np.nan, np.float32)):
        with pytest.raises(BadInput, match="it needs 2 of the target"):
            tarot(rows, target)
    with pytest.raises(BadInput, match="embed both alike"):
        tarot(rows, points(5, 9, wide=4))
    got, _ = tarot(np.ones((10, 6), np.float32), np.ones((4, 6), np.float32))
    assert set(got["tarot"]) <= {0} and (got["tarot_similarity"] == 0).all()
