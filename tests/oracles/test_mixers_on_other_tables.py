"""Mixers on tables of runs that they were not written for: they predict runs they have not seen, or refuse in one line.

RegMix' runs (17 parts, github.com/sail-sg/regmix), those of the data mixing laws (5 and 7 parts, github.com/yegcjs/mixinglaws)
and AutoScale's (7 parts, one changed at a time, github.com/feiyang-k/AutoScale).
"""

import json
from pathlib import Path

import numpy as np
import pytest

from catalog.errors import StrataError
from catalog.mixers import Task, Trials, get_mixer
from catalog.plugins import plugins
from catalog.statistics import spearman

DATA = Path(__file__).parent / "data"
SETS = ("Github", "Pile-CC", "ArXiv", "PubMed_Central", "StackExchange")


def trials(weights, results, tokens=None):
    weights = np.array(weights, np.float64)
    nan = np.full(len(weights), np.nan)
    held = {name: np.array(values, np.float64) for name, values in results.items()}
    return Trials(weights, held, nan if tokens is None else tokens, nan, np.zeros(len(weights), np.int64))


@pytest.fixture(scope="module")
def tables():
    laws = json.loads((DATA / "mixing_laws_runs.json").read_text())
    found = {name: trials(held["weights"], held["results"]) for name, held in laws.items()}
    held = np.load(DATA / "regmix_runs.npz")
    losses = {str(goal): held["train_losses"][:128, at] for at, goal in enumerate(held["goals"])}
    return found | {"RegMix": trials(held["train_weights"][:128] / 1000, losses), "AutoScale": autoscale()}


def autoscale():
    """A base run of seven domains of 1.2B tokens in all, each domain alone at a third, and each at three times."""
    less = [30.11152249, 28.37687875, 29.85955983, 29.90195668, 30.37704005, 29.23766591, 28.92552215]
    more = [25.78619752, 27.68033216, 26.25833879, 26.47376351, 25.49797272, 27.01485416, 27.24200395]
    amounts = np.ones((15, 7))
    for part in range(7):
        amounts[1 + part, part], amounts[8 + part, part] = 1 / 3, 3
    loss = np.log([28.11373645, *less, *more])
    return trials(amounts / amounts.sum(axis=1, keepdims=True), {"loss": loss}, amounts.sum(axis=1) * 1.2e9 / 7)


def ask(mixer, runs, goal="", budget=None, supply=None, **params):
    plugin, parts = get_mixer(mixer), runs.weights.shape[1]
    names = tuple(f"p{number}" for number in range(parts))
    held = np.ones(parts) if supply is None else supply
    return plugin.answer(Task(names, held, plugin.parse_params(params), budget, goal=goal, trials=runs))


@pytest.mark.parametrize("table", ["5Mix", "RedPajama"])
@pytest.mark.parametrize("goal", ["Github", "Pile-CC", "ArXiv"])
def test_linear_regmix_ranks_the_runs_of_the_mixing_laws(tables, table, goal):
    answer = ask("regmix", tables[table], goal, model="linear", draws=2_000)
    assert answer.report["spearman_out_of_fold"] > 0.75 and answer.report["explained_out_of_fold"] > 0.15
    again = ask("regmix", tables[table], goal, model="linear", draws=2_000)
    assert (again.weights == answer.weights).all()


@pytest.mark.parametrize("table", ["5Mix", "RedPajama"])
def test_trees_refuse_a_table_that_is_too_small_for_a_single_split(tables, table):
    with pytest.raises(StrataError, match="no better than their mean does, from (26|40) runs; .*model=linear") as error:
        ask("regmix", tables[table], "Pile-CC", draws=500)
    assert "\n" not in str(error.value)


def test_linear_regmix_says_how_far_from_any_run_its_optimum_lies(tables):
    """On RedPajama it promises a loss far below every run's, for a mix that shares next to nothing with any of them."""
    runs = tables["RedPajama"]
    answer = ask("regmix", runs, "Github", model="linear", draws=2_000)
    assert answer.predicted < runs.results["Github"].min() - 0.5 and answer.report["from_nearest_run"] > 0.6
    law = ask("mixing_laws", runs, "Github", starts=2, draws=500, folds=3)
    assert law.predicted > 0.9 * runs.results["Github"].min()


@pytest.mark.parametrize("goal", ["pile_cc", "github"])
def test_mixing_laws_rank_regmixs_runs_that_they_have_not_seen(tables, goal):
    answer = ask("mixing_laws", tables["RegMix"], goal, starts=1, draws=500, folds=2)
    held = np.load(DATA / "regmix_runs.npz")
    truth = held["test_losses"][:, list(held["goals"]).index(goal)]
    assert spearman(answer.predict(held["test_weights"] / 1000), truth) > 0.93
    assert answer.report["explained_out_of_fold"] > 0.5


def test_mixing_laws_find_a_mix_inside_for_several_sets(tables):
    runs = tables["5Mix"]
    answer = ask("mixing_laws", runs, losses=dict.fromkeys(SETS, 1 / len(SETS)), starts=1, draws=500, folds=3)
    mean = np.mean([runs.results[name] for name in SETS], axis=0)
    assert answer.report["spearman_out_of_fold"] > 0.8 and answer.weights.max() < 0.7
    assert mean.min() - 0.1 < answer.predicted < mean.min() + 0.01


@pytest.mark.parametrize(
    ("mixer", "said"),
    [("regmix", "needs 16 trials"), ("mixing_laws", "no better than their mean"), ("autoscale", "needs 30 trials")],
)
def test_one_size_of_autoscales_design_is_too_little_for_others_and_for_itself(tables, mixer, said):
    with pytest.raises(StrataError, match=said):
        ask(mixer, tables["AutoScale"], "loss")


@pytest.mark.parametrize("table", ["5Mix", "RedPajama", "RegMix"])
@pytest.mark.parametrize(
    ("mixer", "said"),
    [("autoscale", "tokens"), ("filtering_laws", "total"), ("projektor", "tokens|needs"), ("quadmix", "no column"),
     ("doremi", "trace"), ("skill_it", "graph"), ("unimax", "budget")],
)  # fmt: skip
def test_a_table_without_what_a_method_needs_is_refused_in_one_line(tables, table, mixer, said):
    goal = next(iter(tables[table].results))
    with pytest.raises(StrataError, match=said) as error:
        ask(mixer, tables[table], goal)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("table", ["5Mix", "RedPajama", "RegMix", "AutoScale"])
def test_methods_without_trials_take_their_shares_from_any_table(tables, table):
    runs = tables[table]
    natural = runs.weights.mean(axis=0) + 1e-3
    natural /= natural.sum()
    assert ask("temperature", runs, supply=natural, temperature=1).weights == pytest.approx(natural)
    assert ask("proportional", runs, supply=natural).weights == pytest.approx(natural)
    flat = ask("temperature", runs, supply=natural).weights
    assert (
        np.argsort(flat, kind="stable") == np.argsort(natural, kind="stable")
    ).all() and flat.max() <= natural.max() + 1e-12
    assert ask("unimax", runs, supply=natural, budget=0.5, epochs=1).weights.sum() == pytest.approx(1)


def test_every_mixer_that_learns_from_trials_is_asked_here():
    asked = {"regmix", "mixing_laws", "autoscale", "filtering_laws", "projektor", "quadmix"}
    ours = {name for name, held in plugins("mixer").items() if held.trials and held.module.startswith("flows.")}
    assert ours == asked
