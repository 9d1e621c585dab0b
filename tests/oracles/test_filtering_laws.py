"""Scaling laws for data filtering against values of the authors' own function, and planted pools."""

import numpy as np
import pytest

from catalog.errors import BadInput
from catalog.mixers import Task, Trials, get_mixer
from flows.mixers.filtering_laws import predicted_loss

ORACLES = {
    "filtering_laws": "values of the authors' function; planted pools found again, the best union by enumeration"
}

# func_effective_utility_aggregation of github.com/locuslab/scaling_laws_data_filtering (objective.py), called with pools
# of 12.8M samples, a = 0.02, d = 0.1 and half-lives times the number of pools: (seen, exponents, half-lives, loss).
PRINTED = [
    (6_400_000, [-0.2092], [3.428], 1.0496677159055734),
    (32_000_000, [-0.0602], [1.149], 1.0173028570083413),
    (128_000_000, [-0.2533], [9.215], 0.5619746550923798),
    (640_000_000, [-0.2017], [7.565], 0.6215691755587243),
    (6_400_000, [-0.1859, -0.2838], [8.343, 1.025], 1.0436734547082405),
    (32_000_000, [-0.2644, -0.0584], [7.567, 2.581], 0.8393661269391144),
    (128_000_000, [-0.2658, -0.1854], [3.697, 4.804], 0.5824452104723258),
    (640_000_000, [-0.0571, -0.0811], [7.036, 6.825], 0.8429609249246575),
    (6_400_000, [-0.2038, -0.1459, -0.2993, -0.2952], [7.17, 6.854, 7.196, 4.5], 1.043393949746369),
    (32_000_000, [-0.0838, -0.2304, -0.1813, -0.1276], [5.373, 9.005, 9.406, 4.22], 0.848888763796595),
    (128_000_000, [-0.1929, -0.1305, -0.1986, -0.1345], [4.525, 9.012, 3.044, 6.609], 0.6779746748261435),
    (640_000_000, [-0.071, -0.2582, -0.2468, -0.1098], [8.888, 1.527, 4.025, 2.353], 0.5518795975919872),
]  # fmt: skip
B, C, A, POOL = np.array([-0.25, -0.18, -0.05]), np.array([2.0, 4.0, 6.0]), 0.02, 1e8


@pytest.mark.parametrize(("seen", "b", "c", "loss"), PRINTED)
def test_loss_equals_the_authors_function(seen, b, c, loss):
    assert predicted_loss(seen, 12_800_000, 0.02, np.array(b), np.array(c), 0.1) == pytest.approx(loss, rel=1e-12)


def runs():
    """Each pool alone, one to ten passes over it."""
    rows = [(part, passes * POOL) for part in range(3) for passes in (0.5, 1, 2, 3, 5, 7, 10)]
    losses = [predicted_loss(seen, POOL, A, B[[part]], C[[part]], 0.1) for part, seen in rows]
    weights = np.eye(3)[[part for part, _ in rows]]
    tokens, nan = np.array([seen for _, seen in rows]), np.full(len(rows), np.nan)
    return Trials(weights, {"error": np.array(losses)}, tokens, nan, np.zeros(len(rows), np.int64))


def ask(budget, supply=(POOL, POOL, POOL), trials=None, **params):
    mixer = get_mixer("filtering_laws")
    parsed = mixer.parse_params({"scale": A, **params})
    return mixer.answer(
        Task(("top", "middle", "rest"), np.array(supply), parsed, budget, "error", trials=trials or runs())
    )


def test_planted_pools_are_found_again():
    found = ask(1e8).report["pools"]
    assert [found[name]["exponent"] for name in ("top", "middle", "rest")] == pytest.approx(B, rel=0.02)
    assert [found[name]["half_life"] for name in ("top", "middle", "rest")] == pytest.approx(C, rel=0.1)


def test_strict_filtering_at_a_small_budget_and_more_pools_at_a_large_one():
    small, large = ask(1e8), ask(2e10)
    assert small.weights == pytest.approx([1, 0, 0]) and (large.weights > 0).sum() > 1
    for budget, answer in ((1e8, small), (2e10, large)):
        truth = [predicted_loss(budget, POOL, A, B[:count], C[:count], 0.1) for count in (1, 2, 3)]
        assert (answer.weights > 0).sum() == int(np.argmin(truth)) + 1


def test_what_cannot_be_answered_is_refused():
    with pytest.raises(BadInput, match="pools of one size"):
        ask(1e8, supply=(POOL, POOL, 3 * POOL))
    held = runs()
    once = held.only(held.tokens <= 2e8).only(np.tile([True, True, False], 3))
    more = Trials(np.vstack([once.weights] * 2), {"error": np.tile(once.results["error"], 2)}, np.tile(once.tokens, 2),
                  np.tile(once.size, 2), np.tile(once.seed, 2))  # fmt: skip
    with pytest.raises(BadInput, match="half-life does not show"):
        ask(1e8, trials=more)
