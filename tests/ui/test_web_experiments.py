"""The page Experiments: standings with ties, decision accuracy, cost, one trial beside another, and designed answers."""

import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from catalog import Catalog
from catalog.testing import sentences, text_dataset
from catalog.trials import add_trial
from ui.web.testing import APP, markup, said, view


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """Five mixes of two parts; more of the first is better. Runs of two sizes and three seeds, one that diverged."""
    folder = tmp_path_factory.mktemp("experiments")
    cat = Catalog.open(folder / "home")
    for at, name in enumerate(("web", "wiki")):
        text_dataset(cat, folder, name, sentences(40, seed=at), licence="MIT")
    for number, share in enumerate((0.2, 0.35, 0.5, 0.65, 0.66)):
        parts = [
            {"dataset": "web", "weight": share, "max_epochs": 9},
            {"dataset": "wiki", "weight": 1 - share, "max_epochs": 9},
        ]
        cat.publish_mix({"name": f"try-{number}", "total": 60, "parts": parts})
        for size in (256_000, 1_000_000):
            for seed in range(3):
                noise = (0.02, -0.01, 0.0)[(seed + number) % 3]
                loss = (4 if size < 300_000 else 3) - share + noise
                add_trial(cat, f"try-{number}@v1", {"loss/mean": loss, "arc/acc": share / 2 + noise}, step=100, seed=seed,
                          tokens=10 * size, size=size, model=f"try-{number}-{size}-s{seed}")  # fmt: skip
    add_trial(cat, "try-0@v1", {"loss/mean": float("nan")}, seed=7, size=256_000, model="try-0-bad", diverged=True)
    return folder / "home"


@pytest.fixture
def at(home, monkeypatch) -> AppTest:
    monkeypatch.setenv("STRATA_HOME", str(home))
    return AppTest.from_file(str(APP), default_timeout=120)


def visit(at: AppTest, **query) -> str:
    return view(at, "experiments", **query)


def test_the_best_mix_is_named_with_its_ties_its_intervals_and_its_lock(at, home):
    text = visit(at)
    assert "31 runs on 5 mixes" in text
    assert "try-4@v1 has the lowest mean of loss/mean; the runs do not tell it from try-3@v1" in text
    assert text.count("tie with the best") == 1 and text.count(" worse ") >= 3
    from catalog.mixes import find_mix

    assert find_mix(Catalog.open(home), "try-4").digest[:8] in text
    assert 'class="sx-whiskers"' in markup(at) and "95% interval" in text and markup(at).count('role="alert"') == 0


def test_a_result_where_higher_is_better_and_another_size(at):
    text = visit(at, result="arc/acc", size="256000")
    assert "has the highest mean of arc/acc" in text and "256k 2.56M" in text
    assert "No finished run of that size and name" in visit(at, models="nothing-*")


def test_decisions_cost_and_what_the_mixes_say_of_their_parts(at):
    text = visit(at)
    assert re.search(r"256k parameters 1M 100%", text)
    assert re.search(r"try-4@v1 60 samples .*? 3 10M 6e\+13", text), text
    assert re.search(r"web 1 20\.0% to 66\.7% 5", text) and re.search(r"wiki −1 33\.3% to 80\.0% 5", text)


def test_two_mixes_result_by_result(at):
    text = visit(at, mix="try-4@v1", other="try-0@v1", models="*-1000000-*")
    assert "try-4@v1 is better" in text and "3 pairs" in text
    assert "say which are compared" in visit(at, mix="try-4@v1", other="try-0@v1")


def test_two_trials_beside_one_another_and_what_is_behind_a_model(at, home):
    from catalog.trials import list_trials

    known = {trial.model: trial.id for trial in list_trials(Catalog.open(home))}
    one, two = known["try-0-1000000-s0"], known["try-4-1000000-s0"]
    visit(at)
    at.query_params["trial"] = [one, two]
    at.run()
    text = said(at)
    assert "difference" in text and "weight of web 20.0% 66.7%" in text and "noise of their seeds" in text
    assert "behind try-0-1000000-s0" in text and "No ledger says what it was served" in text and "MIT" in text
    assert "No trial 0123456789ab is recorded" in visit(at, trial="0123456789abcdef")
    assert markup(at).count('role="alert"') == 0


def test_without_trials_it_says_how_to_make_one(tmp_path, monkeypatch):
    monkeypatch.setenv("STRATA_HOME", str(tmp_path / "none"))
    text = visit(AppTest.from_file(str(APP), default_timeout=120))
    assert "No trial yet" in text and "strata trial run" in text
