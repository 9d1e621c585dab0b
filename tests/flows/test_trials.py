"""Runs on a mix: recorded, learned from, compared. The harness' file is a real one's shape, cut to two tasks."""

import json

import numpy as np
import pytest
from scipy.stats import ttest_ind, ttest_rel

from catalog import Catalog
from catalog.errors import BadInput, NotFound
from catalog.mixes import publish
from catalog.testing import append_texts
from catalog.trials import add_trial, list_trials, read_results, trials_of
from flows.mixing import weigh
from flows.trial_statistics import compare_trials, decision_accuracy, paired, unpaired, verdict

HARNESS = {
    "results": {
        "arc_easy": {
            "alias": "arc_easy", "acc,none": 0.44, "acc_stderr,none": 0.0102, "acc_norm,none": 0.4, "acc_norm_stderr,none": 0.01,
        },
        "gsm8k": {
            "alias": "gsm8k", "exact_match,strict-match": 0.02, "exact_match_stderr,strict-match": "N/A",
            "exact_match,flexible-extract": 0.03,
        },
    },
    "group_subtasks": {"arc_easy": []}, "configs": {}, "versions": {"arc_easy": 1.0}, "n-shot": {"arc_easy": 0},
}  # fmt: skip


@pytest.fixture
def cat(tmp_path):
    cat = Catalog.open(tmp_path / "home")
    for name in ("a", "b"):
        append_texts(cat, name, [f"{name} text number {row}" for row in range(40)])
    for name, weights in (("even", (1, 1)), ("tuned", (3, 1))):
        parts = [{"dataset": part, "weight": weight} for part, weight in zip("ab", weights, strict=True)]
        publish(cat, {"name": name, "total": 40, "parts": parts})
    return cat


def test_the_harness_file_becomes_task_and_metric(tmp_path):
    path = tmp_path / "lm_eval.json"
    path.write_text(json.dumps(HARNESS))
    assert read_results(path) == {
        "arc_easy/acc": 0.44, "arc_easy/acc_stderr": 0.0102, "arc_easy/acc_norm": 0.4, "arc_easy/acc_norm_stderr": 0.01,
        "gsm8k/exact_match[strict-match]": 0.02, "gsm8k/exact_match[flexible-extract]": 0.03,
    }  # fmt: skip


def test_plain_numbers_come_from_json_and_csv(tmp_path):
    (tmp_path / "a.json").write_text('{"loss": 3.1, "note": "x"}')
    (tmp_path / "a.csv").write_text("name,value\nloss,3.1\nacc,0.5\n")
    assert read_results(tmp_path / "a.json") == {"loss": 3.1}
    assert read_results(tmp_path / "a.csv") == {"loss": 3.1, "acc": 0.5}
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(BadInput, match="are not JSON"):
        read_results(tmp_path / "bad.json")
    with pytest.raises(BadInput, match="cannot read the results"):
        read_results(tmp_path / "none.json")


def test_a_trial_carries_the_weights_of_its_lock_and_is_recorded_once(cat):
    first = add_trial(cat, "tuned", {"loss": 3.0}, seed=1, step=10, model="small")
    again = add_trial(cat, "tuned@v1", {"loss": 3.0}, seed=1, step=10, model="small")
    assert first.id == again.id and first.weights == {"a": 0.75, "b": 0.25}
    assert [trial.id for trial in list_trials(cat, "tuned")] == [first.id] and list_trials(cat, "even") == []
    with pytest.raises(NotFound, match="no mix 'tunde'"):
        add_trial(cat, "tunde", {"loss": 1.0})


def test_a_diverged_run_is_kept_and_not_learned_from(cat, tmp_path):
    path = tmp_path / "r.json"
    path.write_text('{"loss": NaN, "acc": 0.1}')
    assert add_trial(cat, "even", path).status == "diverged"
    with pytest.raises(NotFound, match="no trial of these parts"):
        trials_of(cat, ["a", "b"])


def test_mixers_read_recorded_trials(cat):
    rng = np.random.default_rng(0)
    for number, share in enumerate(rng.uniform(0.1, 0.9, 18)):
        parts = [{"dataset": "a", "weight": round(share, 3)}, {"dataset": "b", "weight": round(1 - share, 3)}]
        publish(cat, {"name": f"m{number}", "total": 40, "parts": parts})
        add_trial(cat, f"m{number}", {"loss": 3 - share}, seed=number, step=5)
        add_trial(cat, f"m{number}", {"loss": 9.0}, seed=number, step=1)  # an earlier step of the same run
    held = trials_of(cat, ["a", "b"])
    assert len(held) == 18 and held.results["loss"].max() < 3
    spec = {"name": "new", "total": 40, "parts": [{"dataset": "a", "max_epochs": 4}, {"dataset": "b", "max_epochs": 4}]}
    found = weigh(cat, spec, "regmix", params={"model": "linear", "draws": 500}, trials="catalog", goal="loss")
    assert found.answer.weights[0] > 0.95 and found.answer.report["spearman_out_of_fold"] > 0.9


def test_intervals_agree_with_scipy():
    rng = np.random.default_rng(1)
    a = rng.normal(3.0, 0.1, 6)
    b = a - 0.05 + rng.normal(0, 0.02, 6)
    ours, theirs = paired(a, b), ttest_rel(b, a).confidence_interval(0.95)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))
    b = rng.normal(2.9, 0.3, 4)
    ours, theirs = unpaired(a, b), ttest_ind(b, a, equal_var=False).confidence_interval(0.95)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))


def test_an_effect_of_the_detectable_size_is_found_four_times_in_five():
    rng = np.random.default_rng(2)
    size = (2.3646 + 0.8960) / np.sqrt(8)  # Student's t with 7 degrees of freedom at 0.975 and 0.8, from tables
    seen = [paired(np.zeros(8), rng.normal(size, 1, 8)) for _ in range(1500)]
    assert 0.74 < np.mean([found.low > 0 for found in seen]) < 0.86
    assert np.mean([found.detectable**2 for found in seen]) == pytest.approx(size**2, rel=0.1)


def test_small_differences_are_ties_and_a_single_run_decides_nothing(cat):
    for seed, (even, tuned) in enumerate([(3.0, 2.90), (3.1, 2.98), (3.05, 2.96), (2.95, 2.86)]):
        add_trial(cat, "even", {"loss": even, "acc": 0.5 + seed / 100}, seed=seed)
        add_trial(cat, "tuned", {"loss": tuned, "acc": 0.5 + (seed * 7 % 4) / 100}, seed=seed)
    found = {row["result"]: row for row in compare_trials(cat, ["even", "tuned"])}
    assert found["loss"]["verdict"] == "better" and found["loss"]["pairs"] == 4 and found["loss"]["high"] < 0
    assert found["acc"]["verdict"] == "tie" and found["acc"]["better"] == "higher"
    assert verdict(paired(np.array([1.0]), np.array([2.0])), higher=True) == "unknown"


def test_decision_accuracy_counts_ordered_pairs():
    assert decision_accuracy([1, 2, 3], [10, 20, 30]) == 1
    assert decision_accuracy([1, 3, 2], [10, 20, 30]) == pytest.approx(2 / 3)
    with pytest.raises(BadInput, match="do not tell any two apart"):
        decision_accuracy([1, 2], [5, 5])


def test_runs_of_several_sizes_are_compared_by_name_only(cat):
    for mix in ("even", "tuned"):
        for seed in range(3):
            for size, name in ((1000, "small"), (9000, "large")):
                loss = 3.0 + seed / 10 - size / 9000 - (0.5 if mix == "tuned" and size == 9000 else 0)
                add_trial(cat, mix, {"loss": loss}, seed=seed, size=size, model=f"{mix}-{name}-s{seed}")
    with pytest.raises(BadInput, match="1,000 and 9,000 parameters"):
        compare_trials(cat, ["even", "tuned"])
    small, large = (compare_trials(cat, ["even", "tuned"], models=f"*-{name}-*")[0] for name in ("small", "large"))
    assert small["verdict"] == "tie" and small["difference"] == 0 and small["seeds"] == [0, 1, 2]
    assert large["verdict"] == "better" and large["difference"] == pytest.approx(-0.5)


def test_small_runs_are_judged_by_the_decisions_of_large_ones(cat):
    for name, weight in (("third", 2), ("fourth", 5)):
        parts = [{"dataset": "a", "weight": weight}, {"dataset": "b", "weight": 1}]
        publish(cat, {"name": name, "total": 40, "parts": parts})
    truth = {"even": 3.0, "tuned": 2.8, "third": 2.6, "fourth": 2.61}  # at the large scale the last two are alike
    small = {"even": 4.0, "tuned": 3.7, "third": 3.8, "fourth": 3.9}  # one pair of five is ordered wrongly
    rng = np.random.default_rng(0)
    for mix in truth:
        for seed in range(3):
            add_trial(cat, mix, {"loss": truth[mix] + 0.02 * rng.normal()}, seed=seed, size=9000, model=f"l{mix}{seed}")
            add_trial(cat, mix, {"loss": small[mix]}, seed=seed, size=1000, model=f"s{mix}{seed}")
    (row,) = compare_trials(cat, ["even", "tuned"], models="s*")
    held = row["decisions"]
    assert (held["mixes"], held["pairs"], held["tied"], held["size"], held["against"]) == (4, 5, 1, 1000, 9000)
    assert row["decision_accuracy"] == held["accuracy"] == held["low"] == held["high"] == pytest.approx(3 / 5)
    (row,) = compare_trials(cat, ["even", "tuned"], models="l*")
    assert row["decision_accuracy"] is None and row["decisions"] == {}, "nothing larger can judge the largest"


def test_the_command_prints_every_statistic(cat, capsys):
    from ui.cli.main import run

    home = ["--home", str(cat.settings.home), "trial", "compare", "even", "tuned"]
    for seed in range(3):
        for mix, loss in (("even", 3.0), ("tuned", 2.5)):
            add_trial(
                cat,
                mix,
                {"loss": loss + seed / 7 + (seed == 1) / 50 * (mix == "even")},
                seed=seed,
                size=10,
                model=f"s{mix}",
            )
    assert run(home) == 0
    told = capsys.readouterr()
    head = next(line for line in told.out.splitlines() if "result" in line)
    assert all(name in head for name in ("seeds", "pairs", "low", "high", "detectable", "verdict", "decision accuracy"))
    assert "0, 1, 2" in told.out and "better" in told.out and "decision accuracy is unknown" in told.err
    for mix, loss in (("even", 2.0), ("tuned", 1.5)):
        add_trial(cat, mix, {"loss": loss}, seed=0, size=90, model=f"l{mix}")
    assert run([*home, "--model", "s*"]) == 0
    assert "runs of 10 parameters decide as those of 90 in 100% of 1 pairs of 2 mixes" in capsys.readouterr().err


def test_a_mean_over_other_sets_is_not_compared(cat):
    for seed in range(3):
        add_trial(cat, "even", {"loss/a": 2.0 + seed, "loss/b": 3.0, "loss/mean": 2.5}, seed=seed)
        add_trial(cat, "tuned", {"loss/a": 1.0 + seed, "loss/mean": 1.0}, seed=seed)
    assert [row["result"] for row in compare_trials(cat, ["even", "tuned"])] == ["loss/a"]
    with pytest.raises(BadInput, match="over other sets on the two sides"):
        compare_trials(cat, ["even", "tuned"], results=["loss/mean"])
