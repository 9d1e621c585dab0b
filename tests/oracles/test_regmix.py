"""RegMix against the authors' published runs and notebook (github.com/sail-sg/regmix, MIT licence).

512 runs of 1M parameters to fit on and 256 to test on; the notebook prints a rank correlation for every validation set
and the optimum for Pile-CC.
"""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from catalog.mixers import Task, Trials, get_mixer
from flows.mixers._search import candidates
from flows.mixers.regmix import SETTINGS, best_mean, fit_linear, fit_trees

ORACLES = {"regmix": "the authors' published runs: their rank correlations, and their optimum to its digits"}

NOTEBOOK = {
    "arxiv": 99.6, "freelaw": 99.71, "pubmed_central": 99.08, "wikipedia_en": 99.45, "dm_mathematics": 97.2,
    "github": 99.77, "stackexchange": 99.73, "gutenberg_pg_19": 99.18, "pile_cc": 98.92, "ubuntu_irc": 96.87,
    "hackernews": 98.51, "pubmed_abstracts": 99.19, "uspto_backgrounds": 99.12,
}  # fmt: skip
OPTIMUM = [4.66329544e-03, 3.94374644e-03, 4.83724817e-07, 5.81013210e-03, 7.25528969e-03, 6.89717990e-04,
           1.13732015e-03, 1.25776313e-04, 1.11175820e-03, 2.56605336e-03, 3.72214513e-03, 8.90924344e-01,
           6.14285142e-02, 3.44762896e-04, 2.49409048e-03, 1.23006293e-02, 1.48194075e-03]  # fmt: skip
PRIOR = [0.11328527, 0.07960865, 0.00391349, 0.1853759, 0.05108136, 0.01596293, 0.10175077, 0.00370752, 0.06652935,
         0.00175077, 0.02708548, 0.23686921, 0.01184346, 0.00792997, 0.00803296, 0.03882595, 0.04644696]  # fmt: skip


@pytest.fixture(scope="module")
def runs():
    held = np.load(Path(__file__).parent / "data" / "regmix_runs.npz")
    return {name: held[name] for name in held.files}


def column(runs, goal, side):
    return runs[f"{side}_losses"][:, list(runs["goals"]).index(goal)]


def correlation(runs, goal, fit):
    predict = fit(runs["train_weights"] / 1000, column(runs, goal, "train"))
    return 100 * spearmanr(predict(runs["test_weights"] / 1000), column(runs, goal, "test")).statistic


def stopped(runs, goal):
    """The notebook's fit: boosting stops early on the runs it is tested on."""
    import lightgbm

    return lightgbm.LGBMRegressor(**SETTINGS).fit(
        runs["train_weights"] / 1000, column(runs, goal, "train"), eval_metric="l2",
        eval_set=[(runs["test_weights"] / 1000, column(runs, goal, "test"))],
        callbacks=[lightgbm.early_stopping(stopping_rounds=3, verbose=False)],
    )  # fmt: skip


def task(runs, **params):
    weights, nan = runs["train_weights"] / 1000, np.full(512, np.nan)
    results = {goal: runs["train_losses"][:, number] for number, goal in enumerate(runs["goals"])}
    held = Trials(weights, results, nan, nan, np.zeros(512, np.int64))
    parsed = get_mixer("regmix").parse_params(params)
    return Task(tuple(runs["parts"]), np.array(PRIOR), parsed, goal="pile_cc", trials=held)


def test_trees_rank_the_held_out_runs_at_least_as_the_notebook_does(runs):
    assert correlation(runs, "pile_cc", fit_trees) >= NOTEBOOK["pile_cc"]


@pytest.mark.slow
@pytest.mark.parametrize("goal", NOTEBOOK)
def test_trees_rank_every_validation_set_as_the_notebook_prints(runs, goal):
    found = spearmanr(stopped(runs, goal).predict(runs["test_weights"] / 1000), column(runs, goal, "test")).statistic
    assert 100 * found == pytest.approx(NOTEBOOK[goal], abs=0.01)


def test_linear_regression_ranks_as_published(runs):
    assert correlation(runs, "pile_cc", fit_linear) == pytest.approx(90.21, abs=0.01)


@pytest.mark.slow
def test_optimum_equals_the_notebook_when_boosting_stops_where_it_stopped(runs):
    found = best_mean(stopped(runs, "pile_cc").predict, candidates(task(runs), np.array(PRIOR), 100_000, 42), 128)
    assert found == pytest.approx(OPTIMUM, rel=1e-8)


def test_answer_comes_with_an_interval_and_beats_the_natural_shares(runs):
    answer = get_mixer("regmix").answer(task(runs, model="linear", draws=2000))
    assert answer.weights.sum() == pytest.approx(1) and (answer.weights >= 0).all()
    assert answer.low < answer.predicted < answer.high
    assert answer.predicted < answer.report["proportional"]
    assert answer.report["spearman_out_of_fold"] > 0.85


def test_interval_covers_new_runs_at_its_rate(runs):
    answer = get_mixer("regmix").answer(task(runs, model="linear", draws=200))
    half = answer.high - answer.predicted
    errors = np.abs(answer.predict(runs["test_weights"] / 1000) - column(runs, "pile_cc", "test"))
    assert 0.84 < np.mean(errors <= half) < 0.96  # 90 % of 256 runs, give or take three standard errors


def test_a_goal_where_higher_is_better_is_turned_over(runs):
    given = task(runs, model="linear", draws=2000)
    turned = {name: -values for name, values in given.trials.results.items()}
    held = Trials(given.trials.weights, turned, given.trials.tokens, given.trials.size, given.trials.seed)
    other = Task(given.parts, given.supply, given.params, goal="pile_cc", better="higher", trials=held)
    plain, flipped = get_mixer("regmix").answer(given), get_mixer("regmix").answer(other)
    assert flipped.weights == pytest.approx(plain.weights) and flipped.predicted == pytest.approx(-plain.predicted)
