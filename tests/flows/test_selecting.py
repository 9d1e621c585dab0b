"""A selector's whole path: chosen, frozen, reported, and accepted by everything that takes a selection."""

from __future__ import annotations

import pickle
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from catalog.errors import BadInput, NotFound
from catalog.selections import count_selection, find_selection, save
from catalog.testing import append_texts, attach_columns, errors_of, sentences, text_dataset
from flows import promote, score
from flows.selecting import select, selection_report


@pytest.fixture
def web(cat, tmp_path):
    text_dataset(cat, tmp_path, "web", sentences(60, seed=1))
    values = np.arange(60, dtype=np.float64) * 7 % 60
    attach_columns(cat, "web", {"quality": values, "tokens": np.full(60, 10, np.int32)})
    return cat


def ids_where(cat, where: str) -> set[str]:
    return {i for b in cat.scan("web", ["sample_id"], where=where) for i in b.column(0).to_pylist()}


def test_a_choice_is_frozen_and_survives_new_rows(web):
    made = select(web, "best", "web", "topk", 10, params={"by": "quality", "order": "highest"})
    assert (made.version, made.dataset, count_selection(web, "best")) == (1, "web@v1", 10)
    wanted = ids_where(web, "quality >= 50")
    assert {i for b in web.pull("best").batches(columns=["sample_id"]) for i in b["sample_id"].to_pylist()} == wanted
    append_texts(web, "web", sentences(30, seed=2))
    assert {i for b in web.pull("best").batches(columns=["sample_id"]) for i in b["sample_id"].to_pylist()} == wanted
    assert errors_of(web) == []


def test_the_same_request_is_the_same_version_and_another_budget_the_next(web):
    ask = {"params": {"by": "quality", "order": "lowest"}}
    first = select(web, "low", "web", "topk", 5, **ask)
    assert select(web, "low", "web", "topk", 5, **ask).version == first.version
    second = select(web, "low", "web", "topk", 6, **ask)
    assert second.version == 2 and count_selection(web, "low@v1") == 5 and count_selection(web, "low") == 6


def test_a_token_budget_is_spent_and_never_exceeded(web):
    select(web, "some", "web", "topk", 95, unit="tokens", params={"by": "quality", "order": "highest"})
    report = selection_report(web, "some")
    assert report["rows"]["chosen"] == 9 and report["budget"] == {"amount": 95, "unit": "tokens", "spent": 90}


def test_the_report_holds_a_random_choice_of_equal_budget(web):
    select(web, "best", "web", "topk", 20, params={"by": "quality", "order": "highest"})
    report = selection_report(web, "best")
    means = report["means"]["quality"]
    assert report["rows"] == {"chosen": 20, "random": 20, "candidates": 60, "rs2": 60} and report["rounds"] == 4
    assert means["chosen"] == pytest.approx(49.5) and means["candidates"] == pytest.approx(29.5)
    assert means["low"] <= means["random"] <= means["high"] and 10 < means["rs2"] < 49
    assert report["sources"]["web"] == dict.fromkeys(["chosen", "random", "rs2", "low", "high", "candidates"], 1.0)
    assert 10 < means["random"] < 49 and report["overlap"]["by chance"] == pytest.approx(1 / 3)
    assert selection_report(web, find_selection(web, "best").name)["recipe"]["selector"] == "topk"


def test_the_report_compares_diversity_with_rounds_of_rs2(web):
    near = np.random.default_rng(0).standard_normal((60, 8)).astype(np.float32)
    near[:20] = near[0]  # twenty copies of one vector
    attach_columns(web, "web", {"copies": (np.arange(60) < 20).astype(np.float64),
                                "embedding": pa.FixedSizeListArray.from_arrays(pa.array(near.ravel()), 8)}, scorer="v")  # fmt: skip
    select(web, "same", "web", "topk", 20, params={"by": "copies", "order": "highest"})
    held = selection_report(web, "same")["vendi"]
    assert held["column"] == "embedding" and held["rows"] == 20
    assert held["chosen"] == pytest.approx(1.0) and held["low"] > 2


def test_everything_that_takes_a_selection_takes_this_one(web, tmp_path):
    select(web, "best", "web", "topk", 12, params={"by": "quality", "order": "highest"})
    report = promote(web, "web", "L1", recipe={"name": "all", "to": "L1"}, selection="best", dry_run=True)
    assert report.waterfall.kept[0] == 12
    mix = web.publish_mix({"name": "m", "parts": [{"selection": "best"}]})
    assert len(web.mix(f"m@v{mix.version}")) == 12
    score(web, "web", ["text_length"], selection="best")
    column = next(c for c in web.columns("web") if c.scorer == "text_length")
    assert column.states["value"] == 12
    assert web.pull("best").export(tmp_path / "out", "jsonl")
    assert len(ids_where(web, "rank_best_v1 < 12")) == 12


def test_a_selection_is_pulled_by_rank(web):
    select(web, "best", "web", "topk", 12, params={"by": "quality", "order": "highest"})
    reader = web.pull("best", by_rank=True)
    held = [value for batch in reader.batches(columns=["quality"]) for value in batch["quality"].to_pylist()]
    assert held == sorted(held, reverse=True) and held[0] == 59 and reader.digest != web.pull("best").digest
    again = pickle.loads(pickle.dumps(reader))
    assert again.digest == reader.digest
    save(web, "plain", "web", "quality > 3")
    with pytest.raises(BadInput, match="no rank"):
        web.pull("plain", by_rank=True)


def test_a_mix_serves_the_copies_that_a_selector_gave(web):
    made = select(web, "often", "web", "soft_cap", 40, params={"by": "quality", "order": "highest", "penalty": 20.0})
    column = f"weight_often_v{made.version}"
    wanted = {}
    for batch in web.scan("web", ["sample_id", column], where=f'"{column}" > 0', missing="drop"):
        wanted |= dict(zip(batch["sample_id"].to_pylist(), batch[column].to_pylist()))
    assert sum(wanted.values()) == 40 and max(wanted.values()) > 1
    mix = web.publish_mix({"name": "m", "parts": [{"selection": "often", "copies": column}]})
    served = Counter(
        i for b in web.mix(f"m@v{mix.version}").batches(columns=["sample_id"]) for i in b["sample_id"].to_pylist()
    )
    assert served == wanted
    for part, error in (
        ({"selection": "often", "copies": column, "weight": 1}, "contradict"),
        ({"selection": "often", "copies": "quality", "where": "quality > 100"}, "no row has a copy"),
    ):
        with pytest.raises(BadInput, match=error):
            web.publish_mix({"name": "m", "parts": [part]})
    attach_columns(web, "web", {"half": np.full(60, 0.5)}, scorer="half")
    with pytest.raises(BadInput, match="holds weights"):
        web.publish_mix({"name": "m", "parts": [{"dataset": "web", "copies": "half"}]})


def test_stages_choose_from_a_saved_selection(web):
    select(web, "first", "web", "topk", 30, params={"by": "quality", "order": "highest"})
    select(web, "second", "first", "random", 10, seed=3)
    assert ids_where(web, "rank_second_v1 >= 0") < ids_where(web, "rank_first_v1 >= 0")


def test_a_column_that_does_not_cover_every_row_is_refused_unless_missing_is_said(web):
    append_texts(web, "web", sentences(10, seed=5))
    ask = {"params": {"by": "quality", "order": "highest"}}
    with pytest.raises(BadInput, match=r"quality \(60 of 70 rows\).*missing: drop"):
        select(web, "best", "web", "topk", 5, **ask)
    select(web, "best", "web", "topk", 5, missing="drop", **ask)
    assert selection_report(web, "best")["read"] == {"rows": 70, "without a value": 10}


def test_values_that_are_no_numbers_are_no_candidates(web):
    attach_columns(web, "web", {"hole": np.where(np.arange(60) % 2, np.nan, 1.0)}, scorer="holes")
    select(web, "half", "web", "topk", 60, params={"by": "hole", "order": "highest"})
    assert selection_report(web, "half")["rows"]["chosen"] == 30


def test_vectors_that_are_not_whole_are_no_candidates(web):
    points = np.random.default_rng(0).standard_normal((60, 4)).astype(np.float32)
    points[0, 1], points[1, 2], points[2, 3] = np.nan, np.inf, -np.inf
    held = pa.FixedSizeListArray.from_arrays(pa.array(points.ravel()), 4)
    attach_columns(web, "web", {"embedding": held}, scorer="v")
    for name in ("kcenter", "facility_location"):
        select(web, f"some-{name}", "web", name, 1000)
        report = selection_report(web, f"some-{name}")
        assert report["rows"]["chosen"] == 57 and report["read"] == {"rows": 60, "without a value": 3}
    with pytest.raises(BadInput, match="'quality' holds no vectors"):
        select(web, "x", "web", "facility_location", 5, params={"vectors": "quality"})


def test_infinite_scores_are_no_candidates(web):
    attach_columns(web, "web", {"far": np.where(np.arange(60) < 20, np.inf, np.arange(60.0))}, scorer="far")
    for name in ("topk", "softmax", "gumbel_topk", "quantile_band"):
        select(
            web,
            f"some-{name}",
            "web",
            name,
            1000,
            params={"by": "far"} if name == "quantile_band" else {"by": "far", "order": "highest"},
        )
        assert selection_report(web, f"some-{name}")["rows"]["candidates"] == 40


@pytest.mark.parametrize(
    ("selector", "budget", "options", "error"),
    [
        ("topk", 0, {"params": {"by": "quality"}}, "chooses nothing"),
        ("topk", 5, {"params": {"by": "quality"}}, "declares no better direction"),
        ("topk", 5, {}, "by: Field required"),
        ("topk", 5, {"params": {"by": "quality", "k": 1}}, "its parameters are: by, order"),
        ("random", 5, {"missing": "keep"}, "missing is error or drop"),
        ("random", 5, {"unit": "bytes"}, "samples or tokens"),
        ("random", 5, {"unit": "tokens"}, "chose no row"),
        ("random", 5, {"unit": "tokens", "tokens": "counts"}, "no column 'counts'"),
        ("random", 5, {"where": "quality > 100"}, "leaves no row"),
    ],
)
def test_mistakes_are_one_line(web, selector, budget, options, error):
    with pytest.raises(BadInput, match=error) as caught:
        select(web, "x", "web", selector, budget, **options)
    assert "\n" not in str(caught.value)


def test_unknown_names_are_named(web):
    with pytest.raises(NotFound, match="topk"):
        select(web, "x", "web", "topp", 5)
    with pytest.raises(NotFound, match="quality"):
        select(web, "x", "web", "topk", 5, params={"by": "qualty"})
