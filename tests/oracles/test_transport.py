"""GOT-D's potentials against a linear program's finite differences and against POT."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy.optimize import linprog

from catalog.plugins import Context, get_scorer
from flows.scorers.embedding._vectors import sample_vectors, unit
from flows.scorers.embedding.gotd import cost, sinkhorn, solve

ORACLES = {"gotd": "finite differences of the exact linear program; POT 0.9.7 plans within 1e-8"}


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
    for epsilon in (0.5, 0.05):
        f, g, error, _ = sinkhorn(price, epsilon, 100_000)
        a, b = np.full(40, 1 / 40), np.full(25, 1 / 25)
        plan = ot.sinkhorn(a, b, price, epsilon, method="sinkhorn_log", numItermax=100_000, stopThr=1e-12)
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
