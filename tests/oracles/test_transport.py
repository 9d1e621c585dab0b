"""GOT-D's and LAVA's potentials against finite differences of the linear program, against POT, and planted labels."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from scipy.optimize import linprog

from catalog.errors import BadInput
from catalog.plugins import Context, get_scorer
from flows.scorers.embedding._transport import cost, divergence, sinkhorn
from flows.scorers.embedding._vectors import sample_vectors, unit
from flows.scorers.embedding.gotd import solve

ORACLES = {
    "gotd": "finite differences of the exact linear program; POT 0.9.7 plans within 1e-8",
    "lava": "finite differences of the exact linear program with exact class distances; POT's Sinkhorn divergence",
}


def vectors(count: int, seed: int, wide: int = 384) -> np.ndarray:
    return unit(np.random.default_rng(seed).normal(size=(count, wide))).astype(np.float32)


def exact_cost(price: np.ndarray, a: np.ndarray) -> float:
    """Transport cost of the linear program with weights `a` on the rows and equal ones on the columns."""
    n, m = price.shape
    rows, columns = np.kron(np.eye(n), np.ones(m)), np.kron(np.ones(n), np.eye(m))
    bounds = np.concatenate([a, np.full(m, 1 / m)])
    return linprog(price.ravel(), A_eq=np.vstack([rows, columns]), b_eq=bounds, method="highs").fun


def scan_of(points: np.ndarray):
    ids = [f"{i:032x}" for i in range(len(points))]
    held = pa.FixedSizeListArray.from_arrays(pa.array(points.ravel()), points.shape[1])
    batch = pa.record_batch({"sample_id": ids, "content_id": ids, "embedding": held})
    return lambda columns=None: iter([batch])


def score(own: np.ndarray, target: np.ndarray, **params) -> np.ndarray:
    plugin = get_scorer("gotd")
    ctx = Context(params=plugin.parse_params(params))
    ctx.state = solve(sample_vectors(scan_of(own), ctx.params.rows, 0)[0], target, ctx.params)
    return plugin.function(next(scan_of(own)()), ctx)["gotd"].to_numpy()


def test_values_are_the_gradient_of_the_exact_cost():
    rows, target = vectors(7, 0), vectors(5, 1)
    price = cost(rows, target)
    got = score(rows, target, epsilon=0.002, iterations=200_000)
    step, uniform = 1e-4, np.full(7, 1 / 7)
    for i in range(7):
        change = np.full(7, -step / 6)
        change[i] = step
        want = (exact_cost(price, uniform + change) - exact_cost(price, uniform - change)) / (2 * step)
        assert got[i] == pytest.approx(want, abs=0.01)
    assert np.ptp(got) > 0.03


def test_duals_equal_those_of_pot():
    ot = pytest.importorskip("ot")
    price = cost(vectors(40, 2), vectors(25, 3))
    for epsilon in (0.5, 0.2):
        f, g, error, _ = sinkhorn(price, epsilon, 100_000)
        a, b = np.full(40, 1 / 40), np.full(25, 1 / 25)
        plan = ot.sinkhorn(a, b, price, epsilon, method="sinkhorn_log", numItermax=3_000, stopThr=1e-10)
        ours = np.exp((f[:, None] + g[None, :] - price) / epsilon) / price.size
        assert error < 1e-6 and ours == pytest.approx(plan, abs=1e-8)


def test_rows_outside_the_problem_get_the_dual_they_would_have():
    """A copy of a row of the problem has that row's value, whether or not it was drawn."""
    rows, target = vectors(60, 4), vectors(20, 5)
    whole = score(rows, target)
    assert score(np.concatenate([rows, rows[:3]]), target)[60:] == pytest.approx(whole[:3], abs=0.02)
    assert abs(score(rows, target, rows=30) - whole).mean() < 0.5 * whole.std() + 0.05


def test_a_row_like_the_target_pulls_towards_it():
    target = vectors(1, 6).repeat(30, 0) + 0.3 * vectors(30, 7)
    rows = np.concatenate([vectors(50, 8), unit(target[:5] + 0.1 * vectors(5, 9)).astype(np.float32)])
    got = score(rows, unit(target).astype(np.float32))
    assert got[50:].max() < got[:50].min()


# -- labels --------------------------------------------------------------------------------------------------------


def labelled(own: np.ndarray, names: list, target: np.ndarray, theirs: list, **params) -> tuple[np.ndarray, dict]:
    """LAVA's values of the dataset's rows, and its report."""
    plugin = get_scorer("lava")

    def scan(points: np.ndarray, labels: list):
        batch = next(scan_of(points)())
        meta = [None if label is None else json.dumps({"label": label}) for label in labels]
        return lambda columns=None: iter([batch.append_column("meta", pa.array(meta, pa.string()))])

    ctx = Context(params=plugin.parse_params({"vectors": "embedding", **params}), target=scan(target, theirs))
    ctx.state = plugin.fit(scan(own, names), ctx)
    return plugin.function(next(scan(own, names)()), ctx)["lava"].to_pylist(), ctx.state["report"]


def test_lava_is_the_gradient_of_the_exact_labelled_cost():
    rows, target = vectors(8, 10, 16), vectors(5, 11, 16)
    own, theirs = np.array([0, 0, 0, 1, 1, 1, 1, 1]), np.array([0, 0, 1, 1, 1])
    apart = np.array([[exact_cost(cost(rows[own == a], target[theirs == b]), np.full((own == a).sum(), 1 / (own == a).sum()))
                       for b in (0, 1)] for a in (0, 1)])  # fmt: skip
    price = cost(rows, target) + 0.5 * apart[own][:, theirs]
    got, report = labelled(
        rows, own.tolist(), target, theirs.tolist(), epsilon=0.002, iterations=20_000, label_weight=0.5
    )
    step, uniform = 1e-4, np.full(8, 1 / 8)
    for i in range(8):
        change = np.full(8, -step / 7)
        change[i] = step
        want = (exact_cost(price, uniform + change) - exact_cost(price, uniform - change)) / (2 * step)
        assert got[i] == pytest.approx(want, abs=0.02)
    assert report["transport_cost"] == pytest.approx(exact_cost(price, uniform), abs=0.02) and np.ptp(got) > 0.05


def test_class_distance_is_pots_sinkhorn_divergence_and_zero_for_a_class_and_itself():
    ot = pytest.importorskip("ot")
    left, right = vectors(15, 12, 8), vectors(10, 13, 8)
    uniform = [np.full(15, 1 / 15), np.full(10, 1 / 10)]

    def dual(a, b, p, q):
        _, log = ot.sinkhorn(p, q, cost(a, b), 0.5, method="sinkhorn_log", numItermax=5_000, stopThr=1e-10, log=True)
        f, g = 0.5 * (log["log_u"] - np.log(p)), 0.5 * (log["log_v"] - np.log(q))
        return p @ f + q @ g

    sides = ((left, right, *uniform), (left, left, uniform[0], uniform[0]), (right, right, uniform[1], uniform[1]))
    cross, *own = [dual(*side) for side in sides]
    assert divergence(left, right, 0.5, 20_000) == pytest.approx(cross - sum(own) / 2, abs=1e-6)
    assert divergence(left, left, 0.5, 20_000) == pytest.approx(0, abs=1e-6)


def test_wrong_labels_have_the_highest_values():
    rng, centres = np.random.default_rng(14), vectors(3, 15, 32)
    truth, theirs = np.repeat([0, 1, 2], 40), np.repeat([0, 1, 2], 20)
    rows = unit(centres[truth] + 0.15 * rng.normal(size=(120, 32))).astype(np.float32)
    target = unit(centres[theirs] + 0.15 * rng.normal(size=(60, 32))).astype(np.float32)
    wrong = rng.choice(120, 12, replace=False)
    given = truth.copy()
    given[wrong] = (truth[wrong] + 1) % 3
    got, report = labelled(rows, given.tolist(), target, theirs.tolist(), epsilon=0.05)
    assert set(np.argsort(got)[-12:]) == set(wrong) and report["classes"] == [3, 3]


def test_lava_without_a_label_or_with_one_nobody_has():
    rows, target = vectors(6, 16, 8), vectors(4, 17, 8)
    got, report = labelled(rows, ["a", "a", "b", "b", None, "b"], target, ["a", "b", "a", None])
    assert [value is None for value in got] == [False] * 4 + [True, False]
    assert (report["rows"], report["target_rows"]) == (5, 3)
    assert report["class_shares_apart"] == pytest.approx(abs(2 / 5 - 2 / 3))
    with pytest.raises(BadInput, match="name the label with"):
        labelled(rows, [None] * 6, target, ["a"] * 4)
    with pytest.raises(BadInput, match="--classes"):
        labelled(rows, list("abcdef"), target, ["a"] * 4, classes=3)


def test_values_of_real_digits_find_wrong_labels_where_the_classes_have_the_shares_of_the_target():
    """And where they do not, the shares drown the labels: the module says so."""
    from sklearn.datasets import load_digits
    from sklearn.metrics import roc_auc_score

    points, truth = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(truth))
    points, truth = unit(points[order]).astype(np.float32), truth[order]
    rows, given = points[:400], truth[:400].copy()
    bad = rng.random(400) < 0.1
    given[bad] = (given[bad] + rng.integers(1, 10, bad.sum())) % 10
    pool = np.arange(400, len(truth))
    alike = np.concatenate([pool[truth[pool] == c][: int((given == c).sum() // 2)] for c in range(10)])
    skewed = pool[truth[pool] < 5][:200]
    areas = []
    for target in (alike, skewed):
        got, report = labelled(rows, given.tolist(), points[target], truth[target].tolist(), epsilon=0.05)
        areas.append(roc_auc_score(bad, got))
        assert report["class_shares_apart"] < 0.05 if target is alike else report["class_shares_apart"] > 0.3
    assert areas[0] > 0.9 and areas[0] > areas[1] + 0.2
