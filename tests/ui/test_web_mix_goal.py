"""A goal in words on the page of a new mix: the draft fills the spec, says why, and is published or proposed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from streamlit.testing.v1 import AppTest

from agents import proposals
from catalog import Catalog
from catalog.mixes import find_mix
from catalog.testing import sentences, write_jsonl
from ui.web.testing import APP, markup, said, view

GOAL = "maths-heavy 40 samples, commercial use, at most 2 epochs, no eval leaks"


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """Maths and web text under MIT, notes that forbid commercial use, and an eval."""
    folder = tmp_path_factory.mktemp("goal")
    cat = Catalog.open(folder / "home")
    held = {
        "maths": (20, {"licence": "MIT", "note": "maths problems with worked answers"}),
        "web": (30, {"licence": "MIT", "note": "pages of the web"}),
        "diary": (9, {"licence": "CC-BY-NC-4.0", "note": "notes of a traveller"}),
        "quiz": (5, {"role": "eval", "note": "maths quiz"}),
    }
    for at, (name, (rows, facts)) in enumerate(held.items()):
        cat.ingest(
            [write_jsonl(folder / f"{name}.jsonl", [{"text": t} for t in sentences(rows, seed=at)])], name, **facts
        )
    return folder / "home"


@pytest.fixture
def at(home, monkeypatch) -> AppTest:
    monkeypatch.setenv("STRATA_HOME", str(home))
    return AppTest.from_file(str(APP), default_timeout=120)


def visit(at: AppTest, **query) -> str:
    return view(at, "mixes", **query)


def drafted(at: AppTest, goal: str = GOAL) -> str:
    visit(at, mix="new")
    at.text_area(key="mix_goal_words").set_value(goal).run()
    at.button(key="mix_draft_go").click().run()
    return said(at)


def test_a_goal_fills_the_spec_and_says_why(at, home):
    text = drafted(at)
    spec = yaml.safe_load(at.text_area(key="mix_spec").value)
    names = [part["dataset"] for part in spec["parts"]]
    assert "maths@v1" in names and "diary@v1" not in names and spec["use"] == "commercial" and spec["total"] <= 40
    for words in ("read as", "maths 50.0%", "40 samples", "commercial use", "at most 2 times", "left out", "in its name",
                  "licence MIT 20 rows", "it forbids commercial use", "the language model is off", "Left out:", "strata trial design"):  # fmt: skip
        assert words in text, words
    assert 'href="dataset?ref=maths%40v1"' in markup(at)
    held = {row for batch in Catalog.open(home).scan("maths", ["sample_id"]) for row in batch["sample_id"].to_pylist()}
    assert held & set(re.findall(r'href="incidents\?q=([0-9a-f]{32})"', markup(at)))
    at.text_area(key="mix_spec").set_value(at.text_area(key="mix_spec").value + "seed: 3\n").run()
    assert "The spec was changed since" in said(at)


def test_a_draft_is_proposed_with_its_reasons_and_approved_by_somebody(at, home):
    drafted(at)
    at.button(key="mix_propose").click().run()
    cat = Catalog.open(home)
    held = proposals.proposals(cat, "open")[0]
    assert f"proposal {held.id[:8]}" in said(at) and f"assistant?proposal={held.id}" in markup(at)
    assert held.verb == "mix_publish" and held.agent == "mix" and held.reasons and held.reasons[0]["samples"]
    proposals.approve(cat, held.id, seen=held.seen)
    assert find_mix(cat, "draft@v1").spec["use"] == "commercial"


def test_a_spec_of_ones_own_is_proposed_without_reasons_and_a_wrong_one_is_refused(at, home):
    visit(at, mix="new")
    at.text_area(key="mix_spec").set_value("name: own\nparts: [{dataset: web}]\n").run()
    at.button(key="mix_propose").click().run()
    held = proposals.proposals(Catalog.open(home), "open")[0]
    assert held.args["spec"]["name"] == "own" and not held.reasons and not held.agent
    for text in ("name: x\nparts: [{dataset: wbe}]", "a: [", "name: x\nparts: 3", ""):
        at.text_area(key="mix_spec").set_value(text).run()
        at.button(key="mix_propose").click().run()
        assert markup(at).count('role="alert"') == 1 and "could not be drawn" not in said(at), text


def test_goals_that_cannot_be_met_leave_the_spec_as_it_was(at):
    visit(at, mix="new")
    before = at.text_area(key="mix_spec").value
    assert at.button(key="mix_draft_go").disabled
    text = drafted(at, "12345")
    assert "Say in words what to mix" in text and at.text_area(key="mix_spec").value == before
    text = drafted(at, "Icelandic sagas, for commercial use, tier L4")
    assert "No dataset of the catalog fits the goal" in text and at.text_area(key="mix_spec").value == before


def test_reasons_without_a_draft_say_how_to_get_one(at):
    assert "Write a goal in words and press Draft" in visit(at, mix="new", view="draft")


def test_a_label_in_all_and_the_snippet_in_a_process_of_its_own(at, home, tmp_path):
    cat = Catalog.open(home)
    cat.publish_mix(
        {"name": "both", "parts": [{"dataset": "maths", "max_epochs": 2}, {"dataset": "web", "where": "chars > 1"}]}
    )
    text = visit(at, mix="both@v1")
    assert "Labels" in str([held.label for held in at.expander]) and "In all 50 samples" in text
    assert "The filter of web@v1 is not counted in" in text and 'aria-label="label of both@v1"' in markup(at)
    visit(at, mix="both@v1", tab="train")
    (tmp_path / "train.py").write_text(at.code[0].value + "\nprint(step, state['next'])\n")
    done = subprocess.run([sys.executable, "train.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["2", "50"]
