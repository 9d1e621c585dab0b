"""Leaks from planting to the report: found, counted by eval, cut or dropped as the eval declares, traced to mixes."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest

from catalog.catalog import Catalog
from catalog.errors import BadInput, Refused
from catalog.evals import declare, stale
from catalog.leaks import markdown, trace_eval
from catalog.mixes import publish
from catalog.plugins import get_transform
from catalog.testing import errors_of, sentences, text_dataset
from flows import score

DATA = Path(__file__).resolve().parents[2] / "examples" / "data"
ITEMS = [json.loads(line)["question"] for line in (DATA / "eval_gsm8k_test.jsonl").read_text().splitlines()[:150]]
PAGES = [json.loads(line)["text"] for line in (DATA / "web_quality_dclm.jsonl").read_text().splitlines()[:120]]

ORACLES = {"eval_nearest": "cosines in a loop over the encoder's vectors"}


def renumbered(text: str) -> str:
    rng = random.Random(text)
    return re.sub(r"\d+", lambda _: str(rng.randint(2, 999)), text)


@pytest.fixture
def cat(tmp_path):
    cat = Catalog.open(tmp_path / "home")
    cat.ingest([str(DATA / "eval_gsm8k_test.jsonl")], "gsm8k", role="eval")
    return cat


def rows_of(cat, name, *columns):
    return [row for batch in cat.scan(name, list(columns)) for row in batch.to_pylist()]


def test_every_planted_change_is_found_and_clean_text_is_not(cat, tmp_path):
    planted = ITEMS + [item.upper().replace(" ", "\n ") for item in ITEMS]
    planted += [f"{page[:300]}\n{item}\n{page[300:]}" for item, page in zip(ITEMS, PAGES)]
    numbers = [renumbered(item) for item in ITEMS if re.search(r"\d", item)]
    text_dataset(cat, tmp_path, "web", planted + numbers + PAGES)
    score(cat, "web", ["eval_overlap"])
    got = rows_of(cat, "web", "text", "eval_leak", "eval_leak_numbers", "eval_leak_action")
    by_text = {row["text"]: row for row in got}
    assert all(by_text[text]["eval_leak"] > 0.95 for text in planted)
    assert sum(by_text[text]["eval_leak_numbers"] >= 0.8 for text in numbers) >= 0.99 * len(numbers)
    assert all(by_text[text]["eval_leak_action"] == "flag" for text in planted)
    assert not any(by_text[page]["eval_leak_action"] for page in PAGES)


def test_train_problems_are_not_test_problems(cat, tmp_path):
    cat.ingest([str(DATA / "math_gsm8k_train.jsonl")], "train")
    score(cat, "train", ["eval_overlap"])
    flagged = [row for row in rows_of(cat, "train", "text", "eval_leak_action") if row["eval_leak_action"]]
    assert len(flagged) <= 2  # one stamp-collecting problem is in both parts, with other numbers


def test_fields_actions_and_short_items_are_declared(cat, tmp_path):
    quiz = [
        {"question": "What is it?", "answer": " ".join(f"answer{i}" for i in range(20)), "context": sentences(1)[0]},
        {"question": " ".join(f"q{i}" for i in range(12)), "answer": "yes", "context": "short"},
    ]
    from catalog.testing import write_jsonl

    cat.ingest([write_jsonl(tmp_path / "quiz.jsonl", quiz)], "quiz", role="eval", kind="task",
               mapping={"question": "question", "answer": "answer"})  # fmt: skip
    declare(cat, "quiz", fields=["question", "answer", "context"], action="cut")
    texts = [f"Before it. {quiz[0]['answer']}. After it.", quiz[0]["context"], quiz[1]["question"], sentences(3, 9)[2]]
    text_dataset(cat, tmp_path, "web", texts)
    score(cat, "web", ["eval_overlap"])
    got = rows_of(cat, "web", "text", "eval_leak_action", "eval_leak_items")
    fields = [[item["field"] for item in json.loads(row["eval_leak_items"] or "[]")] for row in got]
    assert fields == [["answer"], ["context"], ["question"], []]
    assert [row["eval_leak_action"] for row in got] == ["cut", "cut", "cut", None]
    report = next(c for c in cat.columns("web") if c.output == "eval_leak").report["evals"]
    short = {e["ref"]: [entry[1:] for entry in e["untested"]] for e in report}["quiz@v1"]
    assert sorted(short) == [["answer", 1], ["context", 1], ["question", 3]]
    import pyarrow as pa

    cut = get_transform("cut_leaks").function(
        pa.array(texts), pa.array([row["eval_leak_items"] for row in got], pa.string())
    )
    assert cut.to_pylist() == ["Before it.\n\nAfter it.", "", "", None]


def test_a_declaration_is_refused_where_it_makes_no_sense(cat, tmp_path):
    text_dataset(cat, tmp_path, "web", sentences(3))
    for given, name in (
        ({"action": "burn"}, "gsm8k"),
        ({"fields": [" "]}, "gsm8k"),
        ({"share": 2}, "gsm8k"),
        ({}, "web"),
    ):
        with pytest.raises(BadInput):
            declare(cat, name, **given)


def test_a_lock_counts_leaks_by_eval_and_the_trace_names_who_holds_each(cat, tmp_path):
    text_dataset(cat, tmp_path, "exam", sentences(40, seed=5, low=20), role="eval")
    texts = (
        sentences(60, seed=1) + ITEMS[:7] + [ITEMS[0] + " Again, and otherwise."] + sentences(40, seed=5, low=20)[:2]
    )
    text_dataset(cat, tmp_path, "web", texts)
    assert trace_eval(cat, "gsm8k")["unchecked"] == [
        {"dataset": "web", "tier": "L0", "remedy": "strata score web eval_overlap"}
    ]
    score(cat, "web", ["eval_overlap"])
    made = publish(cat, {"name": "m", "parts": [{"dataset": "web"}]})
    parts = {entry["eval"]: entry["parts"][0] for entry in made.lock["contamination"]["evals"]}
    assert (parts["gsm8k@v1"]["leaking"], parts["gsm8k@v1"]["leaked_items"]) == (8, 7)
    assert (parts["exam@v1"]["leaking"], parts["exam@v1"]["leaked_items"]) == (2, 2)
    cat.mix("m@v1").export(tmp_path / "out", "jsonl")
    next(iter(cat.mix("m@v1").torch(4, world=2)))
    report = trace_eval(cat, "gsm8k")
    assert all("torch stream of local on" in item["pulls"][1] for item in report["leaked"])
    assert "; torch stream of local on" in markdown(report) and "by 2 ranks, from index 0 on" in markdown(report)
    assert len(report["leaked"]) == 7 and len(report["leaked"][0]["rows"]) == 2
    assert all(item["mixes"] == ["m@v1"] and item["pulls"] for item in report["leaked"])
    assert report["leaked"][0]["text"].startswith("user: Janet")
    page = markdown(report)
    assert "7 of 1319 items leak" in page and "- in m@v1; pulled to file:" in page
    assert not stale(cat)
    # Another declaration is another verdict: what was checked is stale at once, in locks too.
    declare(cat, "gsm8k", fields=["question", "answer"])
    assert [row["object"] for row in stale(cat)] == ["mix:m@v1"]
    assert trace_eval(cat, "gsm8k")["unchecked"][0]["dataset"] == "web"
    assert publish(cat, {"name": "m", "parts": [{"dataset": "web"}]}).lock["contamination"]["unchecked"] == ["gsm8k@v1"]
    score(cat, "web", ["eval_overlap"])
    assert publish(cat, {"name": "m", "parts": [{"dataset": "web"}]}).lock["contamination"]["verdict"] == "checked"
    assert errors_of(cat) == []


def test_only_an_eval_is_traced(cat, tmp_path):
    text_dataset(cat, tmp_path, "web", sentences(3))
    with pytest.raises(BadInput, match="not eval"):
        trace_eval(cat, "web")


def test_an_edit_cuts_the_spans_in_a_promotion(cat, tmp_path):
    from flows import promote

    declare(cat, "gsm8k", action="cut")
    page = sentences(1, seed=3, low=40)[0]
    text_dataset(cat, tmp_path, "web", [f"{page} {ITEMS[0]}", *sentences(5, seed=8, low=30)])
    body = {"name": "cut", "to": "L1", "edits": ["mask_pii", "cut_leaks"], "scores": ["eval_overlap"]}
    with pytest.raises(BadInput, match="first of edits"):
        promote(cat, "web", to="L1", name="web-l1", recipe=body)
    with pytest.raises(Refused, match="web-l1 cannot enter L1"):
        promote(cat, "web", to="L1", name="web-l1", recipe={**body, "edits": ["cut_leaks"]})


def test_the_nearest_item_is_that_of_a_loop(tmp_path):
    import numpy as np
    import pyarrow as pa

    from catalog.plugins import Context, EvalSet, get_scorer
    from flows.models import embed_texts, load_encoder

    plugin, rows = get_scorer("eval_nearest"), [ITEMS[3].replace("every", "each"), PAGES[0], ITEMS[5]]
    evals = pa.record_batch({"sample_id": [f"{k:032x}" for k in range(8)], "text": ITEMS[:8]})
    ctx = Context(params=plugin.parse_params({}), evals=(EvalSet("gsm8k@v1", lambda wanted=None: iter([evals])),))
    assert plugin.fit is not None
    ctx.state = plugin.fit(lambda: iter(()), ctx)
    encoder = load_encoder("minilm-l6")
    points, items = (embed_texts(encoder, texts)[0] for texts in (rows, ITEMS[:8]))
    held = pa.FixedSizeListArray.from_arrays(pa.array(points.ravel()), 384)
    got = plugin.function(pa.record_batch({"embedding": held}), ctx)
    want = [[float(np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b)) for b in items] for a in points]
    assert got["eval_nearest"].to_pylist() == pytest.approx([max(row) for row in want], abs=1e-5)
    assert got["eval_nearest_item"].to_pylist() == [f"gsm8k@v1#{int(np.argmax(row)):032x}" for row in want]
    assert got["eval_nearest_item"].to_pylist()[0].endswith("3")
