"""The page of mixes in Streamlit's own test runner: lock, history, trials, diff, code, live preview and what-if."""

import re
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from catalog import Catalog
from catalog.mixes import find_mix, preview
from catalog.mixes.sign import new_key, sign
from catalog.pull.ledger import Ledger
from catalog.testing import sentences, write_jsonl
from catalog.trials import add_trial
from ui.web.queries.mixtures import tidy, written
from ui.web.testing import APP, markup, said, view

SPEC = """name: tried
total: 30
parts:
  - {dataset: web, weight: 3, max_epochs: 2}
  - {dataset: wiki, weight: 1, max_epochs: 3}
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """Two datasets and an eval; a mix in stages, revised and signed; one with a use and a waiver; trials and a ledger."""
    folder = tmp_path_factory.mktemp("mixes")
    cat = Catalog.open(folder / "home")
    for at, (name, rows, facts) in enumerate(
        [
            ("web", 60, {"licence": "CC-BY-NC-4.0"}),
            ("wiki", 12, {"licence": "CC-BY-SA-4.0"}),
            ("quiz", 5, {"role": "eval"}),
        ]
    ):
        path = write_jsonl(folder / f"{name}.jsonl", [{"text": text} for text in sentences(rows, seed=at)])
        cat.ingest([path], name, **facts)
    parts = [{"dataset": "web", "max_epochs": 2}, {"dataset": "wiki", "max_epochs": 3}]
    stages = [
        {"name": "broad", "total": 40, "weights": {"web": 3, "wiki": 1}},
        {"name": "sorted", "total": 20, "weights": {"web": 1, "wiki": 1}, "order": {"by": "chars", "folds": 2}},
    ]
    cat.publish_mix({"name": "tiers", "parts": parts, "stages": stages})
    cat.revise_mix("tiers@v1", 30, {"web": 1, "wiki": 2})
    new_key(folder / "key")
    sign(cat, "tiers@v1", folder / "key")
    waiver = {"licence": "CC-BY-NC-4.0", "part": "web", "by": "ann", "reason": "asked the authors"}
    cat.publish_mix({"name": "used", "use": "commercial", "waive": [waiver], "parts": parts})
    mix = cat.mix("used@v1")
    ledger = Ledger(mix, "run-1", begin={"lock": mix.digest, "next": 0})
    for step, batch in enumerate(mix.batches(0, 36, batch_rows=12), 1):
        ledger.record(step, batch)
    ledger.close()
    for seed in range(3):
        add_trial(cat, "tiers@v2", {"loss": 2.0 + seed / 100, "acc": 0.3}, seed=seed, tokens=5_000, size=256_000)
        add_trial(cat, "used@v1", {"loss": 3.0 + seed / 90, "acc": 0.3}, seed=seed, tokens=5_000, size=256_000)
    add_trial(cat, "tiers@v2", {"loss": float("nan")}, seed=9)
    return folder / "home"


@pytest.fixture
def at(home, monkeypatch) -> AppTest:
    monkeypatch.setenv("STRATA_HOME", str(home))
    return AppTest.from_file(str(APP), default_timeout=120)


def visit(at: AppTest, **query) -> str:
    return view(at, "mixes", **query)


def test_a_lock_shows_stages_orders_and_who_stands_for_it(at):
    text = visit(at, mix="tiers@v1")
    for words in ("2 stages, seed 0", "0–39", "by chars, ascending, in 2 folds", "web 75.0%", "signed by",
                  "unchecked against 1 eval", "strata score web eval_overlap", "nothing is blocked", "Digests"):  # fmt: skip
        assert words in text, words
    text = visit(at, mix="tiers@v2")
    assert "revises tiers@v1 from index 30" in text and "unsigned" in text and "from-30" in text


def test_a_use_shows_what_blocks_what_is_waived_and_what_is_asked_for(at):
    text = visit(at, mix="used")
    for words in ("commercial: allowed, 1 waiver", "web CC-BY-NC-4.0 60 it forbids commercial use ann asked the authors",
                  "asks for share alike", "train models that earn money"):  # fmt: skip
        assert words in text, words


def test_origins_and_many_stages_have_a_place(at, home):
    cat = Catalog.open(home)
    parts = [{"dataset": "web", "origin": "natural"}, {"dataset": "wiki", "origin": "rephrased"}]
    cat.publish_mix({"name": "made", "expect": {"synthetic": [0.1, 0.3]}, "parts": parts})
    cat.publish_mix({"name": "rounds", "rs2": {"share": 0.5, "rounds": 40}, "parts": [{"dataset": "web"}]})
    text = visit(at, mix="made")
    assert "rephrased 16.7% –" in text and "synthetic (both) 16.7% 10% to 30%" in text and "arXiv:2510.01631" in text
    text = visit(at, mix="rounds")
    assert "40 stages" in text and "25 more" in text and "round-40" in text and "round-20" not in text
    text = visit(at, mix="new", **{"from": "made"})
    assert "natural 83.3%, rephrased 16.7%" in text


def test_history_shows_revisions_signatures_pulls_and_what_a_run_was_served(at):
    text = visit(at, mix="tiers@v1", tab="history")
    assert "tiers@v2 index 30 web 1, wiki 2" in text and "valid" in text and "No pull" in text
    text = visit(at, mix="used", tab="history", run="run-1")
    assert "Arrow batches" in text and "0–36" in text
    assert "nothing lost nothing repeated" in text and "1 web 60 30 50.0% 30" in text and "2 wiki 12 6 50.0% 6" in text
    assert "no run" in visit(at, mix="used", tab="history", run="../../x").lower()
    assert markup(at).count('role="alert"') == 1


def test_trials_have_intervals_and_ties_are_said(at):
    text = visit(at, mix="tiers@v2", tab="trials")
    assert "256k parameters, 5,000 tokens, 3 seeds" in text and "loss 2.01 1.985 to 2.035 3" in text
    assert "diverged, not used" in text
    text = visit(at, mix="tiers@v2", tab="trials", other="used@v1")
    assert "tiers@v2 is better" in text and "tie" in text and "3 pairs" in text
    assert "strata trial add tiers@v1" in visit(at, mix="tiers@v1", tab="trials")
    assert "no finished trial" in visit(at, mix="tiers@v2", tab="trials", other="used@v1", models="none-*").lower()


def test_a_diff_tells_how_scores_shift(at):
    text = visit(at, mix="tiers@v2", tab="diff", other="tiers@v1")
    assert "Shifts of what is served" not in text and "different order" in text
    at.checkbox(key="mix_scores").check().run()
    assert "source web 66.7% 60.0%" in said(at)


def test_the_code_to_copy_runs(at, home, monkeypatch):
    visit(at, mix="used", tab="train")
    code = at.code[0].value
    assert 'mix("used@v1")' in code
    names: dict = {}
    exec(code.replace("run-1", "copied"), names)
    assert names["state"]["next"] == 72 and names["step"] == 3
    assert len(names["inputs"]) == 8
    assert "copied" in visit(at, mix="used", tab="history")


def test_the_spec_is_yaml_that_the_editor_takes(at, home):
    visit(at, mix="used", tab="spec")
    assert at.code[0].value.startswith("name: used\nparts:\n- {dataset: web, max_epochs: 2}\n")
    text = visit(at, mix="new", **{"from": "tiers@v1"})
    assert at.text_area(key="mix_spec").value.startswith("name: tiers\n") and "sorted" in text
    cat = Catalog.open(home)
    for name in ("tiers@v1", "used@v1"):  # nothing is lost on the way: the same text gives the same lock
        made = find_mix(cat, name)
        assert preview(cat, written(tidy(made.spec)) + "\n")["digest"] == made.digest
    assert "A revision made this version" in visit(at, mix="tiers@v2", tab="spec")


def test_a_preview_follows_the_spec_and_says_what_repeats_and_what_blocks(at):
    visit(at, mix="new")
    at.text_area(key="mix_spec").set_value(SPEC).run()
    text = said(at)
    assert re.search(r"samples 30\b", text) and "none" in text and "each row" not in text
    at.text_area(key="mix_spec").set_value(SPEC.replace("30", "200")).run()
    text = said(at)
    assert "Publishing" not in text and "Mix tried: part 1 (web) is short of 30 samples" in text
    assert "wiki@v1 12 – 50 25.0% 4.17 12 rows, up to 5× 14 samples" in text
    at.text_area(key="mix_spec").set_value(SPEC.replace("30", "80") + "use: commercial\n").run()
    text = said(at)
    assert "wiki@v1 12 – 20 25.0% 1.67 8 rows, up to 2×" in text
    assert "commercial: blocked by 60 rows" in text and "NOT (licence = 'CC-BY-NC-4.0'" in text
    assert "max_epochs" in visit(at, mix="new", view="fields")


MISTAKES = [
    "", "[]", "a: [", "1: 2", "name: x\nparts: 3", "name: x\nparts: [1]", "name: x\nparts: [{dataset: wbe}]",
    "name: x\nparts: [{dataset: web, where: 'chars >'}]", "name: x\nparts: [{dataset: quiz}]",
    "name: x\ntotal: 500\nparts: [{dataset: web, weight: 1}]", "name: web\nparts: [{dataset: web, where: 5}]",
    "name: x\nseed: 99999999999999999999\nparts: [{dataset: web}]",
]  # fmt: skip


@pytest.mark.parametrize("view", ["preview", "weights"])
def test_a_mistake_is_one_line(at, view):
    visit(at, mix="new", view=view)
    for text in MISTAKES:
        at.text_area(key="mix_spec").set_value(text).run()
        for button in [held for held in at.button if held.label == "Find weights"]:
            button.click().run()
        assert "could not be drawn" not in said(at) and markup(at).count('role="alert"') == 1, text


def test_what_if_finds_weights_and_says_what_to_expect(at, home):
    at.session_state["mix_spec"] = SPEC
    assert "No trial of mixes of web, wiki alone" not in visit(at, mix="new", view="weights", mixer="regmix")
    at.button(key="mix_find").click().run()
    assert "needs 16 trials" in said(at)
    cat, random = Catalog.open(home), np.random.default_rng(0)
    for number, share in enumerate(np.linspace(0.1, 0.9, 16)):
        parts = [
            {"dataset": "web", "weight": float(share)},
            {"dataset": "wiki", "weight": float(1 - share), "max_epochs": 3},
        ]
        made = cat.publish_mix({"name": f"try-{number}", "total": 20, "parts": parts})
        add_trial(cat, f"{made.name}@v1", {"loss": 3 - share + random.normal(0, 0.01)}, model=f"try-{number}")
    visit(at, mix="new", view="weights", mixer="regmix")
    at.selectbox(key="mix_goal").set_value("loss")
    at.text_input(key="mix_models").set_value("try-*").run()
    at.selectbox(key="param_model").set_value("linear")
    at.number_input(key="param_draws").set_value(500).run()
    at.button(key="mix_find").click().run()
    text = said(at)
    found = re.search(r"weights found ([\d.]+) ([\d.]+) to ([\d.]+)", text)
    assert found and float(found[2]) < float(found[1]) < float(found[3]) and "conformal" in text
    assert "weights in the spec" in text and "outside the interval" in text and "spearman out of fold" in text
    at.button(key="mix_take").click().run()
    written = at.text_area(key="mix_spec").value
    share = re.search(r"web, weight: ([\d.]+)", written)
    assert share and float(share[1]) > 0.8
    assert "samples 30" in said(at)  # the preview follows


def test_what_if_without_trials_weighs_by_what_parts_hold(at):
    at.session_state["mix_spec"] = SPEC
    visit(at, mix="new", view="weights", mixer="temperature")
    at.number_input(key="param_temperature").set_value(1.0).run()
    at.button(key="mix_find").click().run()
    text = said(at)
    assert "predicts no outcome" in text and re.search(r"web 83\.3% 75\.0% 83\.3%", text)


def test_runs_from_a_table_elsewhere(at):
    at.session_state["mix_spec"] = SPEC
    visit(at, mix="new", view="weights", mixer="regmix")
    at.radio(key="mix_runs").set_value("a table of runs").run()
    assert at.button(key="mix_find").disabled
    rows = "".join(f"{x:.2f},{1 - x:.2f},{3 - x:.3f}\n" for x in np.linspace(0.1, 0.9, 20))
    at.get("file_uploader")[0].set_value(("runs.csv", f"web,wiki,loss\n{rows}".encode(), "text/csv")).run()
    at.selectbox(key="param_model").set_value("linear").run()
    at.button(key="mix_find").click().run()
    assert "weights found" in said(at)
    at.get("file_uploader")[0].set_value(("runs.csv", b"web,loss\n0.5,1\n", "text/csv")).run()
    assert "Trials runs.csv: no column of weights for part 'wiki'" in said(at)
