"""A registered eval queues the leak check alone, which costs the new eval alone and answers as a check from scratch."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest

from catalog.catalog import Catalog
from catalog.evals import declare, queued, stale
from catalog.mixes import publish
from catalog.testing import errors_of, sentences, text_dataset
from flows import score
from flows.leak_checks import check_queued
from flows.planner import plan
from flows.scorers.ngram import eval_overlap as module

DATA = Path(__file__).resolve().parents[2] / "examples" / "data"
GSM = [json.loads(line)["question"] for line in (DATA / "eval_gsm8k_test.jsonl").read_text().splitlines()[:60]]
EXAM = sentences(60, seed=5, low=20)
COMMON = "which of the following statements about the river is always true "
PHRASES = [COMMON + text for text in sentences(15, seed=6, low=10)], [COMMON + t for t in sentences(15, seed=7, low=10)]
OUTPUTS = [
    "eval_overlap", "eval_overlap_hits", "eval_overlap_source", "eval_leak", "eval_leak_numbers", "eval_leak_longest",
    "eval_leak_action", "eval_leak_items",
]  # fmt: skip


def rows() -> list[str]:
    """Clean rows, rows with a part of one eval, of the other, of both, with numbers changed, one without a word."""
    rng = random.Random(0)
    clean = sentences(80, seed=1)
    both = [f"{a} {b}" for a, b in zip(GSM[:8], EXAM[:8], strict=True)]
    renumbered = [re.sub(r"\d+", lambda _: str(rng.randint(2, 999)), text) for text in GSM[10:20]]
    return clean + GSM[20:26] + EXAM[20:26] + both + renumbered + ["...", COMMON * 2, *PHRASES[0][:3], *PHRASES[1][:3]]


def register(cat, folder, *names):
    texts = {"gsm": GSM + PHRASES[0], "exam": EXAM + PHRASES[1], "late": [GSM[21] + " Extra.", *EXAM[30:40]]}
    for name in names:
        text_dataset(cat, folder, name, texts[name], role="eval")


def values(cat, name):
    """The newest verdict of every row, by sample."""
    held = {c.output: c for c in sorted(cat.columns(name), key=lambda c: c.created) if c.scorer == "eval_overlap"}
    assert all(column.alias == output for output, column in held.items() if column.covered), "it owns the short names"
    return [
        {name: row[name] for name in ("sample_id", *OUTPUTS)}
        for batch in cat.scan(name, ["sample_id", *OUTPUTS])
        for row in batch.to_pylist()
    ]


@pytest.fixture
def cat(tmp_path):
    return Catalog.open(tmp_path / "home")


def from_scratch(tmp_path, change=lambda cat: None, names=("gsm", "exam")):
    cat = Catalog.open(tmp_path / "other")
    text_dataset(cat, tmp_path, "web", rows(), tier="L2")
    register(cat, tmp_path, *names)
    change(cat)
    score(cat, "web", ["eval_overlap"])
    return values(cat, "web")


def test_the_incremental_check_equals_a_rebuild_and_tests_the_new_eval_alone(cat, tmp_path, monkeypatch):
    text_dataset(cat, tmp_path, "web", rows(), tier="L2")
    text_dataset(cat, tmp_path, "raw", sentences(5))
    register(cat, tmp_path, "gsm")
    assert [row["object"] for row in queued(cat)] == ["web"]
    assert [row["dataset"] for row in check_queued(cat)] == ["web"] and not queued(cat)
    old = {c.physical for c in cat.columns("web")}
    register(cat, tmp_path, "exam")
    assert [row["against"] for row in queued(cat)] == ["exam@v1"]
    asked = []
    whole = module.eval_overlap

    def counted(batch, ctx):
        asked.append((batch.num_rows, tuple(ctx.state["refs"])))
        return whole(batch, ctx)

    monkeypatch.setattr(module, "eval_overlap", counted)
    done = check_queued(cat)
    assert [(row["dataset"], row["rows"]) for row in done] == [("web", len(rows()))]
    assert done[0]["leaking"] > done[0]["before"] > 0
    total = {refs: sum(count for count, r in asked if r == refs) for refs in {refs for _, refs in asked}}
    assert total[("exam@v1",)] == len(rows()) and ("gsm@v1",) not in total
    assert total[("exam@v1", "gsm@v1")] == 15, "only rows with a hit in both are tested against both"
    assert values(cat, "web") == from_scratch(tmp_path)
    assert len({c.physical for c in cat.columns("web")} - old) == len(OUTPUTS)
    assert not stale(cat) and errors_of(cat) == []


@pytest.mark.parametrize("change", ["declared", "dropped", "grown"])
def test_an_eval_that_changes_or_goes_leaves_what_a_rebuild_leaves(cat, tmp_path, change):
    text_dataset(cat, tmp_path, "web", rows(), tier="L2")
    register(cat, tmp_path, "gsm", "exam", "late")
    check_queued(cat)

    def changed(store):
        if change == "declared":
            declare(store, "gsm", share=0.99, action="drop")
        elif change == "dropped":
            store.drop("late")
        else:
            text_dataset(store, tmp_path, "late", [GSM[21] + " Extra.", *EXAM[30:40], *sentences(80, seed=1)[:5]])

    changed(cat)
    assert [row["object"] for row in queued(cat)] == ([] if change == "dropped" else ["web"])
    step = plan(cat, "web", ["eval_overlap"]).steps[0]
    assert step.extends and step.extends["gone"] and len(step.extends["added"]) == (change != "dropped")
    score(cat, "web", ["eval_overlap"])
    assert values(cat, "web") == from_scratch(tmp_path, changed, ("gsm", "exam", "late"))


def test_rows_that_came_later_and_other_parameters_are_checked_in_full(cat, tmp_path):
    text_dataset(cat, tmp_path, "web", rows()[:60], tier="L2")
    register(cat, tmp_path, "gsm")
    check_queued(cat)
    text_dataset(cat, tmp_path, "web", rows())
    register(cat, tmp_path, "exam")
    assert plan(cat, "web", ["eval_overlap"], params={"span": 9}).steps[0].extends is None
    check_queued(cat)
    assert sorted(values(cat, "web"), key=lambda r: r["sample_id"]) == sorted(
        from_scratch(tmp_path), key=lambda r: r["sample_id"]
    )


def test_nothing_but_the_check_is_queued_and_every_face_says_so(cat, tmp_path, capsys, monkeypatch):
    from ui.cli.main import run

    monkeypatch.setenv("STRATA_HOME", str(cat.settings.home))
    for name, tier in (("web", "L2"), ("web-raw", "L0"), ("web-l1", "L1"), ("notes", "L2")):
        text_dataset(cat, tmp_path, name, rows()[:40], tier=tier)
    publish(cat, {"name": "m", "parts": [{"dataset": "web"}]})
    (tmp_path / "late.jsonl").write_text(json.dumps({"text": EXAM[0]}) + "\n")
    assert run(["ingest", str(tmp_path / "late.jsonl"), "--as", "late", "--role", "eval"]) == 0
    said = capsys.readouterr().err
    assert "leak checks queued for notes, web: `strata evals check` runs them" in said and "m@v1" in said
    findings = {(f.level, f.object) for f in cat.doctor()}
    assert {("warning", "web"), ("warning", "notes"), ("note", "mix m@v1")} <= findings
    assert not {name for level, name in findings if name in ("web-raw", "web-l1")}
    assert run(["evals", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["waiting"] == "notes, web"
    assert run(["evals", "check"]) == 0
    assert "publish them again" in capsys.readouterr().err
    assert not queued(cat) and {run.verb for run in cat.runs() if run.dataset == "web"} == {"ingest", "score"}
    assert run(["evals", "declare", "late", "--share", "0.9"]) == 0
    assert "leak checks queued for notes, web" in capsys.readouterr().err
    assert run(["evals", "declare", "late"]) == 2 and run(["evals", "check", "nobody"]) == 2
