"""QuaDMix's search: algorithm 1 restated, a planted optimum, and the way from a setting to the rows of a mix."""

import numpy as np
import pyarrow as pa
import pytest

from catalog import Catalog
from catalog.errors import BadInput
from catalog.mixers import Task, Trials, get_mixer
from catalog.mixes import preview
from catalog.selectors import Budget, Choice, get_selector
from catalog.testing import append_texts, attach_columns
from catalog.trials import add_trial
from flows.mixers.quadmix import draw_settings, mean_rate, setting_columns
from flows.mixing import weigh
from flows.sampled import drawn_settings, sampled_spec, write_sampled_trials
from flows.selectors.quadmix import rate
from flows.trial_table import read_trials

ORACLES = {
    "quadmix": "algorithm 1 restated as loops over the same draws; the merged rank and sampling by hand; a planted optimum"
}

PARTS, SCORES = ("web", "code"), ("edu", "style")


def test_draws_equal_algorithm_one_written_as_loops():
    made = draw_settings(3, 2, 4, np.random.default_rng(9)).reshape(4, 3, 6)
    rng = np.random.default_rng(9)
    a, b, shape = rng.uniform(size=(4, 1, 2)), rng.uniform(size=(4, 3, 2)), rng.uniform(size=(4, 3, 4))
    for run in range(4):
        overall = [a[run, 0, n] / sum(a[run, 0]) for n in range(2)]
        for m in range(3):
            total = sum(overall[i] * b[run, m, i] for i in range(2))
            assert made[run, m, :2] == pytest.approx([overall[n] * b[run, m, n] / total for n in range(2)])
            steep, omega, eta, epsilon = shape[run, m]
            assert made[run, m, 2:] == pytest.approx([1000 * steep, 0.1 * omega, eta, epsilon / 1000])


@pytest.mark.parametrize(
    "shape", [(800.0, 0.05, 0.7, 5e-4), (3.0, 0.1, 1.0, 0.0), (0.0, 0.08, 0.3, 1e-3), (500.0, 0.0, 1.0, 1e-3)]
)
def test_mean_rate_is_the_mean_over_many_ranks(shape):
    ranks = (np.arange(2_000_000) + 0.5) / 2_000_000
    assert mean_rate(*shape) == pytest.approx(rate(ranks, *shape).mean(), abs=2e-5)


def loss_of(settings):
    """Planted: `edu` is what matters, web is worth sampling deep, code is not; the rest does nothing."""
    web, code = settings.reshape(len(settings), 2, 6).transpose(1, 0, 2)
    return 3 - 0.4 * web[:, 0] - 4 * web[:, 3] + 6 * code[:, 3] - 0.1 * code[:, 0]


def trials(count, noise=0.0, columns=None):
    settings = draw_settings(2, 2, count, np.random.default_rng(1))
    names = columns or setting_columns(PARTS, SCORES)
    results = dict(zip(names, settings.T)) | {
        "loss": loss_of(settings) + noise * np.random.default_rng(2).standard_normal(count)
    }
    nan = np.full(count, np.nan)
    return Trials(np.full((count, 2), 0.5), results, nan, nan, np.zeros(count, np.int64))


def task(runs, **params):
    mixer = get_mixer("quadmix")
    held = mixer.parse_params({"draws": 20_000, "folds": 2, **params})
    return mixer, Task(PARTS, np.array([3e4, 1e4]), held, goal="loss", trials=runs)


def test_the_planted_optimum_is_neared_and_shares_follow_from_it():
    mixer, given = task(trials(250, noise=0.01), draws=10_000)
    answer = mixer.answer(given)
    found = np.array([answer.report["setting"][name] for name in setting_columns(PARTS, SCORES)])
    drawn = loss_of(draw_settings(2, 2, 100_000, np.random.default_rng(3)))
    assert loss_of(found[None])[0] < np.quantile(drawn, 0.01)
    setting = answer.report["setting"]
    assert setting["web.alpha.edu"] > 0.8 and setting["web.omega"] > 0.085 and setting["code.omega"] < 0.015
    assert setting["web.alpha.edu"] + setting["web.alpha.style"] == pytest.approx(1)
    copies = [
        mean_rate(*(setting[f"{part}.{name}"] for name in ("lambda", "omega", "eta", "epsilon"))) for part in PARTS
    ]
    taken = np.array(copies) * [3e4, 1e4]
    assert answer.weights == pytest.approx(taken / taken.sum()) and answer.weights[0] > 0.9
    assert answer.report["sampled"] == pytest.approx(taken.sum())
    assert loss_of(found[None])[0] < answer.high and answer.report["spearman_out_of_fold"] > 0.9


def test_a_goal_where_higher_is_better_is_turned_over():
    runs = trials(150)
    turned = Trials(runs.weights, {**runs.results, "loss": -runs.results["loss"]}, runs.tokens, runs.size, runs.seed)
    mixer, given = task(runs, draws=500)
    plain = mixer.answer(given)
    flipped = mixer.answer(Task(**{**task(turned, draws=500)[1].__dict__, "better": "higher"}))
    assert flipped.weights == pytest.approx(plain.weights) and flipped.predicted == pytest.approx(-plain.predicted)


def test_trials_without_settings_and_too_few_are_refused():
    mixer, given = task(trials(100, columns=[f"x{number}" for number in range(12)]))
    with pytest.raises(BadInput, match="no column 'web.lambda'"):
        mixer.answer(given)
    with pytest.raises(BadInput, match="needs 64 trials"):
        mixer.answer(task(trials(20))[1])
    with pytest.raises(BadInput, match="learns from"):
        mixer.answer(Task(**{**given.__dict__, "trials": None}))


def test_the_selector_merges_scores_by_rank_and_weight_within_a_domain():
    rng = np.random.default_rng(4)
    rows = pa.table({"edu": rng.lognormal(size=200), "style": rng.normal(size=200), "domain": ["a", "b"] * 100})
    ids = np.array([f"{number:032x}".encode() for number in range(200)])
    plugin = get_selector("quadmix")
    shape = {"steepness": 300, "omega": 0.1, "eta": 0.0, "epsilon": 0.0}
    params = plugin.parse_params({"by": ["edu", "style"], "merge": {"edu": 0.8, "style": 0.2}, "within": "domain",
                                  "order": "highest", "domains": {"b": {"merge": {"edu": 0.0, "style": 1.0}}}, **shape})  # fmt: skip
    made = plugin.function(rows, Budget(1000, "samples", np.ones(200)), Choice(params, ids))
    edu, style = rows["edu"].to_numpy(), rows["style"].to_numpy()
    wanted = set()
    for domain, alpha in (("a", (0.8, 0.2)), ("b", (0.0, 1.0))):
        members = [row for row in range(200) if rows["domain"][row].as_py() == domain]
        merged = {
            row: alpha[0] * sum(edu < edu[row]) / 200 + alpha[1] * sum(style < style[row]) / 200 for row in members
        }
        wanted |= set(sorted(members, key=lambda row: -merged[row])[:10])  # ranks 0/99 .. 9/99 are at most 0.1
    assert set(made.order.tolist()) == wanted and (made.weights == 1).all()
    with pytest.raises(BadInput, match="weight for 'other'"):
        plugin.function(rows, Budget(10, "samples", np.ones(200)),
                        Choice(plugin.parse_params({"by": "edu", "order": "highest", "merge": {"other": 1}}), ids))  # fmt: skip


@pytest.fixture
def cat(tmp_path):
    cat = Catalog.open(tmp_path / "home")
    rng = np.random.default_rng(6)
    for name in PARTS:
        append_texts(cat, name, [f"{name} number {row} of some words" for row in range(600)])
        attach_columns(cat, name, {"edu": rng.normal(size=600), "style": rng.normal(size=600)})
    return cat


def test_a_setting_becomes_selections_and_a_mix_of_their_copies(cat):
    setting = drawn_settings(PARTS, SCORES, 1, seed=5)[0] | {"web.omega": 0.1, "code.omega": 0.05, "web.epsilon": 0.02}
    spec = {"name": "base", "total": 100, "parts": [{"dataset": name} for name in PARTS]}
    made = sampled_spec(cat, spec, setting, "try", order="highest")
    assert [part["selection"] for part in made["parts"]] == ["try-web@v1", "try-code@v1"]
    served = preview(cat, made)
    wanted = [
        600 * mean_rate(*(setting[f"{part}.{name}"] for name in ("lambda", "omega", "eta", "epsilon")))
        for part in PARTS
    ]
    counts = {part: sum(held["samples"] for held in served["parts"] if held["part"].startswith(part)) for part in PARTS}
    for part, count in zip(PARTS, wanted):
        assert counts[part] == pytest.approx(count, abs=4 * np.sqrt(count))
    assert sampled_spec(cat, spec, setting, "try", order="highest") == made  # the same request is the same selection
    with pytest.raises(BadInput, match=r"no 'code\.omega'"):
        sampled_spec(
            cat, spec, {name: value for name, value in setting.items() if name != "code.omega"}, "more", order="highest"
        )


def test_recorded_trials_bring_their_settings(cat, tmp_path):
    spec = {"name": "base", "parts": [{"dataset": name} for name in PARTS]}
    drawn = [
        setting | {"web.epsilon": 0.02, "code.epsilon": 0.02} for setting in drawn_settings(PARTS, SCORES, 2, seed=8)
    ]
    for number, setting in enumerate(drawn):
        made = cat.publish_mix(sampled_spec(cat, spec, setting, f"try{number}", order="highest"))
        add_trial(cat, made.name, {"loss": 9.0}, seed=number, model=f"run-{number}", step=10, tokens=10)
        add_trial(cat, made.name, {"loss": 3.0 + number}, step=500, seed=number, model=f"run-{number}", tokens=1_000)
    plain = cat.publish_mix({"name": "plain", "parts": [{"dataset": name} for name in PARTS]})
    add_trial(cat, plain.name, {"loss": 1.0}, model="run-9")
    table = tmp_path / "trials.jsonl"
    assert write_sampled_trials(cat, PARTS, table, models="run-*") == 2
    held = read_trials(table, PARTS)
    assert held.results["loss"].tolist() == [3.0, 4.0] and held.weights.sum(axis=1) == pytest.approx(1)
    for name in setting_columns(PARTS, SCORES):
        assert held.results[name] == pytest.approx([setting[name] for setting in drawn])
    with pytest.raises(BadInput, match="needs 64 trials"):
        weigh(cat, spec, "quadmix", trials=table, goal="loss")
    with pytest.raises(BadInput, match="no finished trial"):
        write_sampled_trials(cat, ["web"], table)
