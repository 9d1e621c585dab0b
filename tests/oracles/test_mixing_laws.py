"""Mixing laws and AutoScale against planted laws and the figures that AutoScale's authors print in their notebooks."""

import numpy as np
import pytest

from catalog.errors import BadInput
from catalog.mixers import Task, Trials, get_mixer
from flows.mixers.autoscale import best_amounts, designs, extrapolate, power_law
from flows.mixers.mixing_laws import fit_law, law_of

ORACLES = {
    "autoscale": "the authors' notebooks: fitted laws, best amounts and both extrapolations to their digits",
    "mixing_laws": "planted laws found again; the optimum against a grid",
}

# Perplexity averaged over seven domains (github.com/feiyang-k/AutoScale, MIT licence): base run, each domain at a third
# (entered as a fifth by the authors), each domain three times.
BASE = 28.11373645
LESS = [30.11152249, 28.37687875, 29.85955983, 29.90195668, 30.37704005, 29.23766591, 28.92552215]
MORE = [25.78619752, 27.68033216, 26.25833879, 26.47376351, 25.49797272, 27.01485416, 27.24200395]
PRINTED_B = [1.2492023890295736, 1.4360012483967404, 1.5362602612056064, 1.8287307258995613, 1.1858721474138574,
             1.9536275987550742, 1.926671000555819]  # fmt: skip
PRINTED_BEST = [1.62475352, 0.2, 1.27415166, 1.17979573, 1.8518998, 0.63716376, 0.23223551]
N03 = np.array([1.55818971, 0.2, 1.1645966, 1.42333261, 1.49550525, 0.68184781, 0.47652801]) / 7 * 0.3
N12 = np.array([1.63121445, 0.2, 1.30180479, 1.21425702, 1.83266187, 0.62006189, 0.2]) / 7 * 1.2


def printed_laws():
    changes = np.array([1 / 5, 1, 3])
    return [power_law(changes, np.array([less, BASE, more]) / BASE) for less, more in zip(LESS, MORE, strict=True)]


def test_power_laws_equal_the_notebook():
    assert [law[1] for law in printed_laws()] == pytest.approx(PRINTED_B, rel=1e-9)


def test_best_amounts_equal_the_notebook_to_its_digits():
    assert best_amounts(printed_laws(), np.ones(7), 0.2) == pytest.approx(PRINTED_BEST, abs=2e-8)


def test_best_amounts_have_equal_marginal_losses_where_the_base_is_uneven():
    laws, base = printed_laws(), np.array([3.0, 1.0, 0.5, 0.7, 2.0, 0.1, 1.0])
    found = best_amounts(laws, base, 0.2)
    assert found.sum() == pytest.approx(base.sum())
    change = found / base
    slope = np.array([b * (x + a) ** (-b - 1) for x, (a, b, _) in zip(change, laws, strict=True)]) / base
    free = change > 0.2 + 1e-9
    assert slope[free] == pytest.approx(np.full(free.sum(), slope[free].mean()), rel=1e-6)
    assert (slope[~free] <= slope[free].mean() * (1 + 1e-6)).all()


def test_extrapolation_equals_the_notebook_to_its_digits():
    following = [1.17096789, 0.13714286, 0.99783655, 0.71032654, 1.53999724, 0.38665696, 0.0575592]
    between = [0.13665292, 0.01714286, 0.10553923, 0.11268386, 0.14190195, 0.05573326, 0.02646138]
    assert extrapolate(N03, N12, None) == pytest.approx(following, abs=5e-9)
    assert extrapolate(N03, N12, 5.000487) == pytest.approx(following, abs=1e-6)
    assert extrapolate(N03, N12, sum(between)) == pytest.approx(between, abs=1e-8)


def scaled_runs():
    """Two sizes of the design: a base run and, for each of three parts, a third and three times of it alone."""
    laws = [(2.0, 1.2, 0.5), (2.5, 1.8, 0.6), (3.0, 0.4, 0.2)]
    amounts, losses = [], []
    for base in (np.array([10.0, 10, 10]), np.array([40.0, 40, 40])):
        for change in (np.ones(3), *(np.where(np.arange(3) == part, by, 1) for part in range(3) for by in (1 / 3, 3))):
            amounts.append(base * change)
            losses.append(sum((x + a) ** -b + c for x, (a, b, c) in zip(change, laws, strict=True)))
    amounts = np.array(amounts)
    return Trials(
        amounts / amounts.sum(axis=1, keepdims=True), {"loss": np.array(losses)}, amounts.sum(axis=1),
        np.full(len(amounts), np.nan), np.zeros(len(amounts), np.int64),
    )  # fmt: skip


def test_designs_are_found_among_the_trials():
    runs = scaled_runs()
    held = designs(runs.weights * runs.tokens[:, None], runs.results["loss"])
    assert [round(design.base.sum()) for design in held] == [30, 120]
    assert [sorted(np.round(changes, 3)) for changes in held[0].changes] == [[0.333, 1, 3]] * 3


def test_autoscale_from_trials_to_weights():
    mixer = get_mixer("autoscale")
    answer = mixer.answer(
        Task(("a", "b", "c"), np.ones(3), mixer.parse_params({}), 480, goal="loss", trials=scaled_runs())
    )
    assert answer.report["tokens"] == pytest.approx(480)
    # The laws are the same at both sizes, so the weights are too, at every size.
    assert answer.weights == pytest.approx(np.array(list(answer.report["amounts"].values())) / 480)


def test_a_planted_law_is_found_again():
    truth = np.array([np.log(1.5), np.log(1.2), -2.0, -0.1, 0.3])
    mixes = np.random.default_rng(0).dirichlet(np.ones(3), 24)
    found = fit_law(mixes, law_of(truth)(mixes), starts=4, delta=0.01, seed=0)
    new = np.random.default_rng(1).dirichlet(np.ones(3), 200)
    assert law_of(found)(new) == pytest.approx(law_of(truth)(new), abs=1e-4)


def test_the_optimum_over_several_losses_equals_a_grid():
    truth = {"a": np.array([0.4, 0.2, -2.0, -0.1, 0.3]), "b": np.array([0.7, -0.2, 0.2, -1.8, -0.1])}
    mixes, nan = np.random.default_rng(0).dirichlet(np.ones(3), 20), np.full(20, np.nan)
    runs = Trials(mixes, {name: law_of(law)(mixes) for name, law in truth.items()}, nan, nan, np.zeros(20, np.int64))
    mixer = get_mixer("mixing_laws")
    params = mixer.parse_params({"losses": {"a": 0.5, "b": 0.5}, "starts": 2, "draws": 2000, "folds": 2})
    answer = mixer.answer(Task(("x", "y", "z"), np.ones(3), params, trials=runs))
    grid = np.array([[i, j, 200 - i - j] for i in range(201) for j in range(201 - i)]) / 200
    best = grid[int(np.argmin(sum(0.5 * law_of(law)(grid) for law in truth.values())))]
    assert answer.weights == pytest.approx(best, abs=0.01)
    assert answer.low <= answer.predicted <= answer.high


@pytest.mark.parametrize(
    ("better", "losses", "said"), [("higher", [0.3, 0.4], "not the accuracy"), ("lower", [0.3, -1.0], "above zero")]
)
def test_only_losses_are_fitted(better, losses, said):
    runs = Trials(np.full((6, 2), 0.5), {"acc": np.array(losses * 3)}, np.ones(6), np.ones(6), np.zeros(6, np.int64))
    mixer = get_mixer("mixing_laws")
    with pytest.raises(BadInput, match=said):
        mixer.answer(Task(("x", "y"), np.ones(2), mixer.parse_params({}), goal="acc", better=better, trials=runs))
