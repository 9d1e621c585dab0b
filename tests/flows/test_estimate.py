"""Times of a plan: fitted and global methods are piloted too; what is unknown is placed by its rows and said."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from catalog.plugins import REGISTRY, Out, scorer
from catalog.testing import append_texts, sentences, text_dataset
from flows import plan, score
from flows.estimate import SLOW_ROWS, estimate, expected_seconds
from flows.places import choose
from ui.planning import choose_by, plan_facts


@pytest.fixture
def slow():
    """A global method that takes 20 ms and 100 microseconds a row, so that the truth is known."""
    import time

    @scorer("slow", version="1", reads=["text"], writes=[Out("slow", pa.int64(), "row")], cost="cpu",
            pattern="global", citation="ours")  # fmt: skip
    def slow(scan, ctx):
        rows = sum(batch.num_rows for batch in scan())
        time.sleep(0.02 + rows * 1e-4)
        return {"slow": pa.array(np.arange(rows), pa.int64())}

    yield
    REGISTRY["scorer"].pop("slow")


def test_a_global_method_is_timed_on_few_rows_and_scaled(cat, slow):
    append_texts(cat, "web", sentences(8000))
    [item] = estimate(cat, plan(cat, "web", ["slow"]))
    assert item.seconds == pytest.approx(0.02 + 0.8, rel=0.5) and item.basis == "pilot of 1024 rows, scaled: about"
    assert estimate(cat, plan(cat, "web", ["slow"]))[0].seconds == item.seconds, "the second estimate is not cached"
    assert cat.columns("web") == []


def test_fits_are_timed_and_a_frozen_fit_costs_its_map_alone(cat, tmp_path):
    append_texts(cat, "web", sentences(3000))
    labelled = [{"text": text, "label": i % 2} for i, text in enumerate(sentences(200, seed=4))]
    text_dataset(cat, tmp_path, "good", labelled)
    text_dataset(cat, tmp_path, "gsm", sentences(50, seed=5), role="eval")
    planned = plan(cat, "web", ["dsir", "quality_linear", "eval_overlap", "minhash", "exact_dup"], target="good")
    costs = estimate(cat, planned)
    assert all(item.seconds and item.basis.endswith("scaled: about") for item in costs)
    facts = plan_facts(planned, costs)
    assert facts["unknown"] == [] and all(row["time"].startswith("about ") for row in facts["steps"])
    score(cat, "web", ["dsir"], target="good")
    append_texts(cat, "web", sentences(100, seed=9))
    [again] = estimate(cat, plan(cat, "web", ["dsir"], target="good"))
    assert again.missing == 100 and again.basis == "pilot of 512 rows"
    assert again.seconds < next(item.seconds for item in costs if item.scorer == "dsir")


def test_what_no_pilot_can_tell_is_unknown_and_placed_by_its_rows(cat, tmp_path, monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    append_texts(cat, "web", sentences(40))
    text_dataset(cat, tmp_path, "few", [{"text": text, "label": i % 2} for i, text in enumerate(sentences(6))])
    planned = plan(cat, "web", ["quality_linear"], target="few")
    [item] = estimate(cat, planned)
    assert item.seconds is None and "20 or more" in item.basis
    assert plan_facts(planned, [item])["unknown"] == ["quality_linear"]
    many = replace(item, missing=600_000)
    assert expected_seconds([many]) == 600_000 / SLOW_ROWS["cpu"]
    place = choose(cat, planned, **choose_by([many]))
    assert place.kind == "inline" and "about 10 min (quality_linear by its rows alone" in place.sentence
    assert "no server runs (--on home" in place.sentence
    monkeypatch.setenv("PREFECT_API_URL", "http://prefect:4200/api")
    assert choose(cat, planned, **choose_by([many])).kind == "team"
    assert choose(cat, planned, **choose_by([item])).kind == "inline"
