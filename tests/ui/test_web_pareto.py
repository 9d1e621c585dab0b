"""Two results in What if: the front of runs and of predictions, its table, and a point's weights in the spec and back."""

import re
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from catalog import Catalog
from catalog.testing import sentences, write_jsonl
from catalog.trials import add_trial, trials_of
from flows.mix_front import Aim, measured
from ui.web.components.mix_pareto import NEXT, TAKEN, taken
from ui.web.testing import APP, markup, said, view

SPEC = """name: tried
total: 30
parts:
  - {dataset: web, weight: 3, max_epochs: 2}
  - {dataset: wiki, weight: 1, max_epochs: 3}
"""
AIMS = (Aim("acc", "higher"), Aim("loss"))


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """Eighteen mixes of two datasets: more of web lowers the loss and the accuracy. Two seeds of the first one."""
    folder = tmp_path_factory.mktemp("pareto")
    cat, random = Catalog.open(folder / "home"), np.random.default_rng(0)
    for at, (name, rows) in enumerate([("web", 60), ("wiki", 20), ("other", 10), ("more", 10)]):
        cat.ingest([write_jsonl(folder / f"{name}.jsonl", [{"text": t} for t in sentences(rows, seed=at)])], name)
    for number, share in enumerate(np.linspace(0.1, 0.9, 18)):
        parts = [
            {"dataset": "web", "weight": float(share)},
            {"dataset": "wiki", "weight": float(1 - share), "max_epochs": 3},
        ]
        made = cat.publish_mix({"name": f"try-{number}", "total": 40, "parts": parts})
        for seed in range(2 if number == 0 else 1):
            noise = random.normal(0, 0.002, 2)
            results = {"loss": 3 - share + noise[0], "acc": 0.7 - share / 2 + noise[1], "loss_stderr": 0.1}
            add_trial(cat, f"{made.name}@v1", results, model="m", seed=seed)
    poor = [{"dataset": "web", "weight": 1}, {"dataset": "wiki", "weight": 19, "max_epochs": 3}]
    cat.publish_mix({"name": "poor", "total": 40, "parts": poor})
    add_trial(cat, "poor@v1", {"loss": 4.0, "acc": 0.1}, model="m")
    cat.publish_mix({"name": "else", "parts": [{"dataset": "other"}, {"dataset": "more"}]})
    add_trial(cat, "else@v1", {"loss": 2.0})
    return folder / "home"


@pytest.fixture
def at(home, monkeypatch) -> AppTest:
    monkeypatch.setenv("STRATA_HOME", str(home))
    app = AppTest.from_file(str(APP), default_timeout=120)
    app.session_state["mix_spec"] = SPEC
    return app


def visit(at: AppTest, **query) -> str:
    return view(at, "mixes", **{"mix": "new", "view": "weights", "aim": "two", **query})


def test_the_front_of_the_runs_and_the_table_beside_it(at):
    text = visit(at, x="acc", y="loss")
    assert re.search(r"\b\d+ of 19 measured mixes are on the front", text), text
    assert "poor@v1 1 run dominated 0.1 4 " in text
    for words in (
        "acc, higher is better",
        "loss, lower is better",
        "dominated",
        "measured, on the front",
        "try-0@v1",
        "2 runs",
    ):
        assert words in text, words
    made = markup(at)
    keys = re.findall(
        r'<button class="sx-pick" type="button" aria-pressed="false" aria-label="Put into the spec: measured', made
    )
    assert len(keys) >= 18 and 'role="img"' in made and "loss_stderr" not in text


def test_directions_are_in_the_address_and_change_the_front(at):
    both = visit(at, x="acc", y="loss")
    other = visit(at, x="acc", xup="lower", y="loss")
    assert "acc, lower is better" in other and both != other
    assert "both results are loss" in visit(at, x="loss", y="loss").lower()


def test_predictions_have_intervals_and_go_with_the_spec(at):
    visit(at, x="acc", y="loss")
    at.selectbox(key="param_model").set_value("linear")
    at.number_input(key="param_draws").set_value(500).run()
    at.button(key="mix_predict").click().run()
    text = said(at)
    for words in (
        "Predictions are not measured",
        "best in one result",
        "weights of the spec",
        "conformal",
        "are predicted",
    ):
        assert words in text, words
    assert re.search(r"best in one result front [\d.]+ [\d.]+ to [\d.]+ [\d.]+ [\d.]+ to [\d.]+", text)
    at.text_area(key="mix_spec").set_value(SPEC.replace("total: 30", "total: 25")).run()
    assert "Predictions are not measured" not in said(at)


def test_a_fit_that_fails_is_said_and_the_runs_stay(at):
    visit(at, x="acc", y="loss", mixer="mixing_laws")
    at.button(key="mix_predict").click().run()
    text = said(at)
    assert "fits losses" in text and "measured mixes are on the front" in text
    assert markup(at).count('role="alert"') == 1


def test_a_point_goes_into_the_spec_and_back(at, home):
    visit(at, x="acc", y="loss")
    names = ["web", "wiki"]
    points = measured(trials_of(Catalog.open(home), names), names, AIMS).points
    point = min(points, key=lambda held: held.values[1])
    held = taken(SPEC, AIMS, points, point.key)
    assert held and taken(SPEC, AIMS, points, "r999") is None
    at.session_state[TAKEN], at.session_state[NEXT] = held, held["written"]  # as a click on the point does
    at.run()
    spec = at.text_area(key="mix_spec").value
    share = re.search(r"web, weight: ([\d.]+)", spec)
    assert share and float(share[1]) == pytest.approx(point.weights[0], abs=1e-4)
    assert 'class="ring"' in markup(at) and 'aria-pressed="true"' in markup(at) and "Chosen" in said(at)
    at.button(key="mix_back").click().run()
    assert at.text_area(key="mix_spec").value == SPEC and 'aria-pressed="true"' not in markup(at)


def test_what_is_missing_is_said(at):
    at.session_state["mix_spec"] = "name: x\nparts: [{dataset: other, weight: 1}, {dataset: more, weight: 1}]\n"
    assert "The runs measured one result, loss; a front needs two" in visit(at)
    at.session_state["mix_spec"] = "name: x\nparts: [{dataset: web, weight: 1}, {dataset: more, weight: 1}]\n"
    assert "No trial of mixes of web, more alone is recorded" in visit(at)
    at.session_state["mix_spec"] = "name: x\nparts: [{dataset: web, weight: 1}]\n"
    assert "there is nothing to trade" in visit(at)
    at.session_state["mix_spec"] = "a: ["
    visit(at)
    assert markup(at).count('role="alert"') == 1
