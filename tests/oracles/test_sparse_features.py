"""Bases and sparse features: scikit-learn's components, a planted dictionary, torch's own arithmetic, naive greedy cover."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from sklearn.decomposition import PCA

from catalog.errors import BadInput
from catalog.plugins import Context, get_scorer
from catalog.selectors import Budget, Choice, get_selector
from flows.scorers.embedding._autoencoder import decode, encode, train
from flows.selecting import run_selector

ORACLES = {
    "native_basis": "scikit-learn's PCA",
    "sae_features": "a planted dictionary is found again; encoding equal to torch's",
    "sae_greed": "the naive greedy cover, row by row; 1 - 1/e of the best by enumeration",
}


def scan_of(vectors: np.ndarray, rows: int = 50):
    def scan(columns=None):
        for start in range(0, len(vectors), rows):
            part = vectors[start : start + rows].astype(np.float32)
            held = pa.FixedSizeListArray.from_arrays(pa.array(part.ravel()), part.shape[1])
            ids = [f"{start + i:032x}" for i in range(len(part))]
            yield pa.record_batch({"sample_id": ids, "content_id": ids, "embedding": held})

    return scan


def score(name: str, vectors: np.ndarray, **params) -> tuple[dict[str, pa.Array], dict]:
    plugin = get_scorer(name)
    ctx = Context(params=plugin.parse_params(params))
    ctx.state = plugin.fit(scan_of(vectors), ctx)
    made = [plugin.function(batch, ctx) for batch in scan_of(vectors, 37)()]
    return {out.name: pa.concat_arrays([m[out.name] for m in made]) for out in plugin.writes}, ctx.state


# -- basis ---------------------------------------------------------------------------------------------------------


def test_basis_is_scikit_learns():
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(300, 12)) * np.arange(12, 0, -1) + 3) @ np.linalg.qr(rng.normal(size=(12, 12)))[0]
    vectors = vectors.astype(np.float32)
    got, state = score("native_basis", vectors, axes=5)
    want = PCA(5).fit(vectors.astype(np.float64))
    along = want.transform(vectors.astype(np.float64))
    ours = np.array(got["native_basis"].to_pylist())
    for axis in range(5):
        theirs = along[:, axis] / along[:, axis].std()
        assert ours[:, axis] * np.sign(ours[:, axis] @ theirs) == pytest.approx(theirs, abs=1e-4)
    assert state["report"]["explained"] == pytest.approx(want.explained_variance_ratio_, abs=1e-9)
    centred = vectors - vectors.mean(axis=0)
    rest = 1 - (along**2).sum(axis=1) / (centred**2).sum(axis=1)
    assert got["native_rest"].to_numpy() == pytest.approx(rest, abs=1e-5)
    largest = np.abs(ours).argmax(axis=1)
    assert (np.abs(got["native_axis"].to_numpy()) == largest + 1).all()


def test_fewer_axes_than_asked_for_and_rows_that_do_not_differ():
    vectors = np.outer(np.arange(8.0), np.ones(4))
    got, state = score("native_basis", vectors, axes=3)
    assert state["report"]["axes"] == 1 and np.array(got["native_basis"].to_pylist())[:, 1:].max() == 0
    got, state = score("native_basis", np.ones((5, 4)), axes=3)
    assert state["report"] == {"rows": 5, "axes": 0, "explained": []} and got["native_axis"].to_pylist() == [0] * 5
    with pytest.raises(BadInput, match="no row has a vector"):
        score("native_basis", np.full((3, 4), np.nan))


# -- autoencoder ---------------------------------------------------------------------------------------------------


def planted(rows: int, atoms: int, wide: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows that are sums of three of the atoms, the atoms, and which of them."""
    rng = np.random.default_rng(seed)
    dictionary = rng.normal(size=(atoms, wide))
    dictionary /= np.linalg.norm(dictionary, axis=1, keepdims=True)
    used = np.array([rng.choice(atoms, 3, replace=False) for _ in range(rows)])
    weights = rng.uniform(1, 2, (rows, 3))
    return np.einsum("rk,rkd->rd", weights, dictionary[used]), dictionary, used


def test_a_planted_dictionary_is_found_again():
    points, dictionary, used = planted(2000, 20, 32, 1)
    points /= np.sqrt((points**2).mean())
    state = train(points, 32, 3, 60, 128, 3e-3, 0)
    cosine = dictionary @ state["decoder"].T
    assert (cosine.max(axis=1) > 0.95).mean() >= 0.9
    at, values = encode(state, points, 3)
    owner = cosine.argmax(axis=1)
    right = [len({owner[a] for a in atoms} & set(found)) for atoms, found in zip(used, at)]
    assert np.mean(right) > 2.5
    assert ((decode(state, at, values) - points) ** 2).sum() < 0.1 * (points**2).sum()


def test_encoding_equals_torch_and_training_repeats():
    import torch

    points, _, _ = planted(200, 8, 12, 2)
    state, again = (train(points, 10, 4, 3, 64, 1e-3, 5) for _ in range(2))
    assert all(np.array_equal(state[name], again[name]) for name in state)
    assert not np.array_equal(state["encoder"], train(points, 10, 4, 3, 64, 1e-3, 6)["encoder"])
    at, values = encode(state, points, 4)
    held = {name: torch.tensor(array, dtype=torch.float64) for name, array in state.items()}
    before = torch.relu((torch.tensor(points) - held["offset"]) @ held["encoder"].T + held["bias"])
    top = before.topk(4, dim=1)
    assert values == pytest.approx(top.values.numpy(), abs=1e-9)
    sparse = torch.zeros_like(before).scatter(1, top.indices, top.values)
    assert decode(state, at, values) == pytest.approx((sparse @ held["decoder"] + held["offset"]).numpy(), abs=1e-9)
    assert np.linalg.norm(state["decoder"], axis=1) == pytest.approx(1, abs=1e-5)


def test_features_of_rows_are_lists_and_copies_have_the_same():
    points, _, _ = planted(120, 8, 12, 3)
    points[7] = points[3]
    got, state = score("sae_features", points, latents=24, active=4, epochs=20)
    lists = [[number for number in held if number >= 0] for held in got["sae_features"].to_pylist()]
    assert lists[7] == lists[3] and all(len(held) <= 4 and held == sorted(set(held)) for held in lists)
    assert got["sae_count"].to_pylist() == [len(held) for held in lists]
    assert state["report"]["features_used"] == len(set().union(*lists)) and 0 < state["report"]["unexplained"] < 1
    fewer, _ = score("sae_features", points, latents=24, active=4, epochs=20, threshold=1.0)
    assert sum(fewer["sae_count"].to_pylist()) < sum(got["sae_count"].to_pylist())
    with pytest.raises(BadInput, match="all rows have the same vector"):
        score("sae_features", np.ones((5, 4)))


# -- coverage ------------------------------------------------------------------------------------------------------


def choose(sets: list, amount: int, costs: list | None = None):
    plugin = get_selector("sae_greed")
    ids = np.array([f"{i:032x}" for i in range(len(sets))], "S32")
    budget = Budget(amount, "samples" if costs is None else "tokens", np.array(costs or [1] * len(sets), np.int64))
    padded = [None if held is None else [*held, *[-1] * (8 - len(held))] for held in sets]
    rows = pa.table({"sae_features": pa.array(padded, pa.list_(pa.int32(), 8))})
    return run_selector(plugin, rows, budget, Choice(plugin.parse_params({}), ids, 0, {}))


def naive(sets: list, amount: int) -> list[int]:
    left, order, covered = list(range(len(sets))), [], set()
    while left and len(order) < amount:
        gains = [len(set(sets[i] or ()) - covered) for i in left]
        if max(gains) == 0 and covered:
            covered = set()
            continue
        order.append(left.pop(int(np.argmax(gains))))
        covered |= set(sets[order[-1]] or ())
    return order


@pytest.mark.parametrize("seed", range(4))
def test_greedy_cover_is_the_naive_one(seed):
    rng = np.random.default_rng(seed)
    sets = [rng.choice(40, rng.integers(0, 8), replace=False).tolist() for _ in range(70)]
    sets[5] = None
    made = choose(sets, 60)
    assert made.order.tolist() == naive(sets, 60)
    assert made.report["covered"] == len(set().union(*(set(sets[i] or ()) for i in made.order)))


def test_greedy_cover_reaches_its_share_of_the_best():
    from itertools import combinations

    rng = np.random.default_rng(9)
    sets = [rng.choice(15, 4, replace=False).tolist() for _ in range(12)]
    best = max(len(set().union(*(sets[i] for i in some))) for some in combinations(range(12), 3))
    assert choose(sets, 3).report["covered"] >= (1 - 1 / np.e) * best


def test_rows_without_features_come_last_and_other_columns_are_refused():
    assert choose([[], [1], None, [1, 2]], 4).order.tolist() == [3, 1, 0, 2]
    assert choose([[], None], 2).order.tolist() == [0, 1]
    plugin = get_selector("sae_greed")
    with pytest.raises(BadInput, match="not lists of feature numbers"):
        plugin.function(pa.table({"sae_features": [1.0]}), Budget(1, "samples", np.ones(1, np.int64)),
                        Choice(plugin.parse_params({}), np.array([b"a"]), 0, {}))  # fmt: skip
