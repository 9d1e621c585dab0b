"""Edits on their way to L3: who made them, whether they still mean the same, and a contract that names what is missing."""

import json

import numpy as np
import pyarrow as pa
import pytest

from catalog import Catalog, grades
from catalog.errors import Refused
from catalog.plugins import Context, get_scorer
from catalog.testing import errors_of, sentences, write_jsonl
from flows import promote, score
from flows.scorers.text.generator import declared

ORACLES = {
    "generator": "the meta of each row, read by hand",
    "semantic_check": "numpy, one row at a time",
}
ONE = {"name": "clarity", "about": "How clear?", "scales": {"clarity": {"low": 1, "high": 5}}}
FAR = "Colourless green ideas sleep furiously under the bridge of sighs."
RULES = "pii_email < 1 AND secrets_count < 1 AND eval_overlap < 0.5"


def column(cat: Catalog, ref: str, name: str) -> list:
    return [value for batch in cat.scan(ref, [name]) for value in batch.column(0).to_pylist()]


def edited(folder) -> Catalog:
    """Two edits of texts, one that keeps the meaning and one that does not, and an eval."""
    cat = Catalog.open(folder / "home")
    cat.ingest([write_jsonl(folder / "web.jsonl", [{"text": text} for text in sentences(4)])], "web", licence="MIT")
    questions = [{"question": f"What is {at} and {at}?", "answer": str(2 * at)} for at in range(3)]
    cat.ingest([write_jsonl(folder / "exam.jsonl", questions)], "exam", licence="MIT", role="eval")
    grades.create(cat, "c", "web", ONE)
    for far in (False, True):
        item = grades.next_item(cat, "c", "ann")
        assert item is not None
        words = FAR if far else item["samples"][0]["text"] + " Indeed."
        grades.put(cat, item["item"], {"clarity": 3}, grader="ann", edit=words)
    grades.publish_edits(cat, "c", "better")
    return cat


def test_edits_enter_l3_once_each_check_is_there_and_not_before(tmp_path):
    cat = edited(tmp_path)
    with pytest.raises(Refused) as error:
        promote(cat, "better", "L3", name="refined")
    missing = str(error.value)
    for words in ("generator: no such column; score generator", "semantic_check: no such column", "--target", "PII", "secrets",
                  "decontamination"):  # fmt: skip
        assert words in missing, words
    assert "parents" not in missing.partition("semantic_check")[0]
    score(cat, "better", ["generator", "pii", "secrets", "eval_overlap"])
    score(cat, "better", ["semantic_check"], target="web")
    assert column(cat, "better", "generator") == ["person:ann"] * 2
    near, far = column(cat, "better", "semantic_check_web")
    assert near > 0.9 and far < 0.5
    promote(cat, "better", "L3", name="refined", where=RULES)
    assert cat.resolve("refined").dataset.tier == "L3"
    held = cat.lance("refined").to_table(columns=["sample_id", "parents"]).to_pylist()
    assert held == cat.lance("better").to_table(columns=["sample_id", "parents"]).to_pylist() and len(held) == 2
    (parent,) = held[0]["parents"]
    assert {child["dataset"] for child in cat.trace(parent)["children"]} == {"better", "refined"}
    assert errors_of(cat) == []


def test_rows_that_name_no_parent_do_not_enter_l3(tmp_path):
    cat = edited(tmp_path)
    with pytest.raises(Refused, match="parents: 0 of 4 rows name one"):
        promote(cat, "web", "L3", name="refined", where="chars > 1")
    cat.retract(ids=column(cat, "web", "sample_id")[:1], reason="asked for")
    score(cat, "better", ["semantic_check"], target="web")
    assert [c.states for c in cat.columns("better") if c.output == "semantic_check"] == [{"value": 1, "undefined": 1}]
    with pytest.raises(Refused, match="semantic_check: a value on 1 of 2 rows"):
        promote(cat, "better", "L3", name="refined", where="chars > 1")


def test_a_generator_is_what_the_row_declares():
    said = [
        '{"generator": "person:ann"}',
        '{"made": {"by": "gpt"}}',
        "{",
        "[1]",
        '{"generator": 3}',
        '{"generator": " "}',
        None,
    ]
    assert [declared(meta, ["generator"]) for meta in said] == ["person:ann", *[None] * 6]
    assert declared(said[1], ["made", "by"]) == "gpt"


def test_semantic_check_is_the_mean_cosine_of_the_parents_the_target_holds():
    """Against numpy, one row at a time."""
    points = np.random.default_rng(3).normal(size=(6, 8)).astype(np.float32)
    kind = pa.list_(pa.float32(), 8)
    named = [["p0"], ["p0", "p1"], ["gone"], [], ["p2", "gone"]]
    rows = pa.record_batch({
        "sample_id": pa.array([f"c{at}" for at in range(5)]),
        "embedding": pa.array(points[:5].tolist(), kind),
        "meta": pa.array([json.dumps({"parents": names}) for names in named]),
    })  # fmt: skip
    target = pa.record_batch({"sample_id": ["p0", "p1", "p2"], "own": pa.array((2 * points[3:]).tolist(), kind)})
    check = get_scorer("semantic_check")
    ctx = Context(params=check.parse_params({"vectors": "own"}), target=lambda columns: iter([target]))
    for size in (1, 2, 5):
        parts = [rows.slice(at, size) for at in range(0, 5, size)]
        made = check.function(lambda parts=parts: iter(parts), ctx)
        for at, names in enumerate(named):
            held = [points[3 + int(name[1])] for name in names if name != "gone"]
            own = points[at] / np.linalg.norm(points[at])
            wanted = np.mean([own @ point / np.linalg.norm(point) for point in held]) if held else None
            assert made["semantic_check"][at].as_py() == (wanted if wanted is None else pytest.approx(wanted, abs=1e-6))
