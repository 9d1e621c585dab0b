"""ODiS: components against scikit-learn's, the selection against a loop, and what planted correlated scores give."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from sklearn.decomposition import PCA

from catalog.errors import BadInput
from catalog.plugins import Context, get_scorer
from catalog.selectors import Budget, Choice, get_selector
from flows.scorers.combine._principal import moments
from flows.selecting import run_selector

ORACLES = {"odis": "scikit-learn's PCA of standardised columns; the plain loop over components"}
NAMES = ["a", "b", "c", "d", "e"]


def scores(rows: int = 400, seed: int = 0) -> np.ndarray:
    """Three columns of one factor, two of another, on scales far apart."""
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(2, rows))
    columns = [first, first + 0.2 * rng.normal(size=rows), first + 0.3 * rng.normal(size=rows), second, second]
    columns[4] = second + 0.2 * rng.normal(size=rows)
    return np.column_stack(columns) * [1, 100, 0.01, 5, 1] + [0, 7, 0, -3, 1e4]


def standardised(values: np.ndarray) -> np.ndarray:
    return (values - values.mean(axis=0)) / values.std(axis=0)


def batch(values: np.ndarray) -> pa.RecordBatch:
    return pa.record_batch(dict(zip(NAMES, values.T.copy())))


def score(values: np.ndarray, rows: int = 50, **params) -> tuple[np.ndarray, dict]:
    plugin = get_scorer("odis")
    ctx = Context(params=plugin.parse_params({"columns": NAMES[: values.shape[1]], **params}))
    ctx.state = plugin.fit(lambda: (batch(values[at : at + rows]) for at in range(0, len(values), rows)), ctx)
    made = plugin.function(batch(values), ctx)
    return np.column_stack([made[out.name].to_numpy(zero_copy_only=False) for out in plugin.writes]), ctx.state[
        "report"
    ]


def choose(values: np.ndarray, amount: int, better: dict | None = None, **params):
    ids = np.array([f"{i:032x}" for i in range(len(values))], "S32")
    plugin = get_selector("odis")
    parsed = plugin.parse_params({"scores": NAMES[: values.shape[1]], **params})
    budget = Budget(amount, "samples", np.ones(len(values), np.int64))
    return run_selector(plugin, pa.table(batch(values)), budget, Choice(parsed, ids, 0, better or {}))


def test_components_are_those_of_scikit_learn():
    values = scores()
    got, report = score(values)
    want = PCA(4).fit(standardised(values))
    projected = want.transform(standardised(values))
    for column in range(4):
        sign = np.sign(got[:, column] @ projected[:, column])
        assert got[:, column] == pytest.approx(sign * projected[:, column], abs=1e-8)
    assert report["explained"] == pytest.approx(want.explained_variance_ratio_, abs=1e-6)
    assert np.abs(np.corrcoef(got, rowvar=False) - np.eye(4)).max() < 1e-8


def test_moments_merge_to_those_of_the_whole():
    values = scores(97, 3)
    count, mean, covariance = moments(np.array_split(values, 9))
    assert count == 97 and mean == pytest.approx(values.mean(axis=0))
    assert covariance == pytest.approx(np.cov(values, rowvar=False, bias=True))


def test_selection_is_the_loop_over_components():
    values = scores(200, 1)
    z = standardised(values)
    rotated = z @ np.linalg.eigh(z.T @ z / 200)[1][:, ::-1][:, :2]
    rotated *= [1 if z.sum(axis=1) @ column > 0 else -1 for column in rotated.T]
    lists, want, turn = [list(np.argsort(-rotated[:, i], kind="stable")) for i in range(2)], [], 0
    while len(want) < 30:
        row = lists[turn % 2].pop(0)
        turn += 1
        if row not in want:
            want.append(row)
    made = choose(values, 30, dimensions=2)
    assert made.order.tolist() == want and made.report["overlap"] < 0.5


def test_the_best_of_a_factor_that_a_sum_drowns_are_taken():
    """Three columns of one factor outvote two of another in a sum; each factor has half of the selection here."""
    values = scores(2000, 2)
    made = choose(values, 100, dimensions=2)
    second = np.argsort(-values[:, 3])[:100]
    first = np.argsort(-values[:, 0])[:100]
    assert len(np.intersect1d(made.order, second)) > 30 and len(np.intersect1d(made.order, first)) > 30


def test_columns_where_less_is_better_are_turned():
    values = scores(100, 4)
    turned = values * [1, -1, 1, 1, -1]
    plain, flipped = choose(values, 20), choose(turned, 20, {"b": "lower", "e": "lower"})
    assert plain.order.tolist() == flipped.order.tolist()
    assert score(turned, lower=["b", "e"])[0] == pytest.approx(score(values)[0], abs=1e-9)


def test_constant_columns_do_not_count_and_nothing_else_is_refused():
    values = scores(50, 5)
    values[:, 1] = 3.0
    got, report = score(values[:, :2])
    assert report["explained"] == [1.0] and (got[:, 1:] == 0).all()
    for call in (lambda: score(np.ones((5, 2))), lambda: choose(np.ones((5, 2)), 3), lambda: score(values[:1])):
        with pytest.raises(BadInput, match="constant"):
            call()
    with pytest.raises(BadInput, match="no row has a number"):
        score(np.full((4, 2), np.nan))
    with pytest.raises(BadInput, match="say which columns"):
        score(values[:, :0])
