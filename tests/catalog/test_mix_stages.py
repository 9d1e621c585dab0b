"""Stages: chained segments whose parts go on from one to the next, within caps that hold over the whole mix."""

from collections import Counter
from math import ceil

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from catalog.errors import BadInput, NotFound
from catalog.mixes import diff_mixes, preview, publish
from catalog.mixes.budget import Supply
from catalog.mixes.spec import Spec, Stage, load_spec
from catalog.mixes.stages import plan
from catalog.pull.layout import Layout, PartRows
from catalog.pull.order import Order
from catalog.pull.rowset import RowSet
from catalog.testing import append_texts, sentences
from flows.runner import score

TIERS = {
    "name": "tiers",
    "seed": 3,
    "parts": [{"dataset": "l1"}, {"dataset": "l2", "max_epochs": 2}, {"dataset": "l3", "max_epochs": 3}],
    "stages": [
        {"name": "broad", "total": 200, "weights": {"l1": 9, "l2": 1}},
        {"name": "selected", "total": 150, "weights": {"l1": 1, "l2": 4, "l3": 1}},
        {"name": "refined", "total": 90, "weights": {"l2": 1, "l3": 2}},
    ],
}


@pytest.fixture
def store(cat):
    for number, name in enumerate(("l1", "l2", "l3")):
        append_texts(cat, name, sentences((300, 120, 40)[number], seed=number), fragments=2)
    return cat


def served(reader):
    columns = [batch.to_pydict() for batch in reader.batches(columns=["sample_id"])]
    return [row for body in columns for row in zip(body["_part"], body["_epoch"], body["sample_id"], strict=True)]


def test_a_tier_schedule_serves_its_stages_one_after_the_other(store):
    lock = publish(store, TIERS).lock
    rows = served(store.mix("tiers"))
    assert len(rows) == 440 and [stage["start"] for stage in lock["stages"]] == [0, 200, 350]
    counts = [Counter(row[0] for row in rows[a:b]) for a, b in ((0, 200), (200, 350), (350, 440))]
    assert counts == [{0: 180, 1: 20}, {0: 25, 1: 100, 2: 25}, {1: 30, 2: 60}]
    for stage, seen in zip(lock["stages"], counts, strict=True):
        assert [held["samples"] for held in stage["parts"].values()] == [seen[part] for part in sorted(seen)]
    assert [part["samples"] for part in lock["totals"]["parts"]] == [205, 150, 85]
    for (part, epoch, _), times in Counter(rows).items():
        assert times == 1, f"a row of part {part} came twice in epoch {epoch}"
    assert Counter(epoch for part, epoch, _ in rows if part == 1) == {0: 120, 1: 30}
    shown = preview(store, TIERS)["stages"][1]
    assert shown["parts"]["l2"] == "66.67%, 0.833 epochs" and (shown["samples"], shown["start"]) == (150, 200)


def test_stages_count_tokens_as_they_serve_them(store):
    for name in ("l1", "l2", "l3"):
        score(store, name, ["token_count"])
    stages = [{**stage, "total": 20 * stage["total"]} for stage in TIERS["stages"]]
    lock = publish(store, {**TIERS, "unit": "tokens", "stages": stages}).lock
    reader = store.mix("tiers")
    for stage in lock["stages"]:
        rows = reader.take(np.arange(stage["start"], stage["start"] + stage["samples"]), ["tokens"])
        assert stage["tokens"] == sum(rows.column("tokens").to_pylist())
        assert stage["tokens"] == pytest.approx(next(s["total"] for s in stages if s["name"] == stage["name"]), rel=0.1)
    assert sum(stage["tokens"] for stage in lock["stages"]) == lock["totals"]["tokens"]


def test_rounds_of_a_part_are_fresh_random_subsets(store):
    """RS2 without replacement: ten rounds of a tenth each serve every row once, another tenth every time."""
    rounds = [{"name": f"round-{at}", "total": 30, "weights": {"l1": 1}} for at in range(10)]
    publish(store, {"name": "rs2", "parts": [{"dataset": "l1"}], "stages": rounds})
    ids = [row[2] for row in served(store.mix("rs2"))]
    assert len(set(ids)) == 300
    order = [store.mix("rs2").locate(np.arange(at, at + 30))[1] for at in range(0, 300, 30)]
    assert all(abs(np.mean(rows) - 149.5) < 70 for rows in order), "each round is spread over the table"


def test_a_fresh_stage_draws_from_all_rows_again(store):
    """Scheduled random dropout: shrinking draws from the whole part, then all of it."""
    stages = [
        {"name": f"r{total}", "total": total, "weights": {"l1": 1}, "fresh": True} for total in (150, 90, 45, 300)
    ]
    spec = {"name": "pdd", "parts": [{"dataset": "l1", "max_epochs": 4}], "stages": stages}
    publish(store, spec)
    rows, at, seen = served(store.mix("pdd")), 0, []
    for number, stage in enumerate(stages):
        seen.append({row[2] for row in rows[at : at + stage["total"]]})
        assert {row[1] for row in rows[at : at + stage["total"]]} == {number} and len(seen[-1]) == stage["total"]
        at += stage["total"]
    assert 20 < len(seen[0] & seen[1]) < 70, "drawn anew: about 150 x 90 / 300 of them again"
    with pytest.raises(BadInput, match=r"stage r45: part 1 \(l1\) would begin epoch 3 and max_epochs is 2"):
        publish(store, {**spec, "parts": [{"dataset": "l1", "max_epochs": 2}]})


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"total": 10}, BadInput, "total and stages contradict"),
        ({"stages": []}, BadInput, "has 0 stages"),
        ({"parts": [{"dataset": "l1", "weight": 1}]}, BadInput, "the weights stand in the stages"),
        ({"stages": [{"name": "a", "weights": {"l9": 1}}]}, NotFound, "no part of mix tiers"),
        ({"stages": [{"name": "a", "weights": {"l1": 0}}]}, BadInput, "gives no part a weight"),
        ({"stages": [{"name": "a", "weights": {"l1": 1}}]}, BadInput, "no stage gives part l2 a weight"),
        ({"stages": [{"name": "a", "weights": {"l1": 1}}] * 2}, BadInput, "stage a is there twice"),
        ({"stages": [{"name": "a", "total": 0, "weights": {"l1": 1}}]}, BadInput, "stage 1: total"),
        (
            {"stages": [*TIERS["stages"], {"name": "more", "total": 200, "weights": {"l1": 1}}]},
            BadInput,
            r"stage more: part 1 \(l1\) is short of 105 samples: max_epochs 1 of 300 samples leave 95",
        ),
        (
            {"stages": [*TIERS["stages"], {"name": "x", "weights": {"l1": 1}, "order": {"shuffle": "blocks"}}]},
            BadInput,
            "chosen once for the whole mix",
        ),
    ],
)
def test_a_wrong_schedule_is_one_line(store, changes, error, message):
    with pytest.raises(error, match=message) as caught:
        publish(store, {**TIERS, **changes})
    assert "\n" not in str(caught.value)


def test_a_stage_without_a_total_takes_what_the_caps_leave(store):
    stages = [*TIERS["stages"], {"name": "rest", "weights": {"l1": 1, "l2": 1}}]
    lock = publish(store, {**TIERS, "stages": stages}).lock
    assert lock["stages"][3]["samples"] == 180, "l2 has 240 - 150 left, l1 300 - 205 = 95"


def test_a_difference_of_staged_mixes_counts_what_they_serve(store):
    publish(store, TIERS)
    publish(store, {**TIERS, "name": "shorter", "stages": TIERS["stages"][:2]})
    found = diff_mixes(store, "tiers", "shorter")
    ids = [{row[2] for row in served(store.mix(name))} for name in ("tiers", "shorter")]
    assert found["distinct_samples"] == {"a": len(ids[0]), "b": len(ids[1]), "change": len(ids[1]) - len(ids[0])}
    assert found["rows_removed"]["count"] == len(ids[0] - ids[1]) and found["rows_added"]["count"] == 0


parts = st.lists(st.tuples(st.integers(1, 60), st.sampled_from((0.5, 1, 1.5, 2, 3))), min_size=1, max_size=5)


@given(parts, st.data())
@settings(max_examples=120, deadline=None)
def test_caps_hold_over_any_chain_of_stages(sizes, data):
    """Any stages: counts add up, items of a part are never served twice, no row more often than its cap."""
    names = [f"p{number}" for number in range(len(sizes))]
    weight = st.fixed_dictionaries({}, optional={name: st.integers(1, 9) for name in names}).filter(bool)
    count = data.draw(st.integers(1, 4))
    stages = [
        Stage(
            name=f"s{n}", total=data.draw(st.integers(1, 40)), weights=data.draw(weight), fresh=data.draw(st.booleans())
        )
        for n in range(count)
    ]
    spec = Spec(
        name="m",
        parts=[{"dataset": name, "max_epochs": cap} for name, (_, cap) in zip(names, sizes, strict=True)],
        stages=stages,
    )
    try:
        planned = plan(spec, [Supply(rows) for rows, _ in sizes])
    except BadInput:
        assume(False)
        return
    order = Order([made.segment for made in planned])
    assert [made.segment.length for made in planned] == [stage.total for stage in stages]
    layout = Layout(order, [PartRows(RowSet(0, rows), str(at)) for at, (rows, _) in enumerate(sizes)], 1, "full")
    found, items = layout.locate(np.arange(order.total)), order.locate(np.arange(order.total))[1]
    for number, (_, cap) in enumerate(sizes):
        mine = items[found.part == number]
        assert (np.diff(mine) > 0).all(), "items only move on"
        times = Counter(found.row[found.part == number].tolist())
        assert max(times.values(), default=0) <= ceil(cap) and sum(times.values()) <= cap * sizes[number][0]
        pairs = Counter(zip(found.epoch[found.part == number].tolist(), found.row[found.part == number].tolist()))
        assert max(pairs.values(), default=1) == 1


def test_a_lock_without_stages_reads_as_before(store):
    """Golden value of an order digest made before there were stages and stored orders."""
    append_texts(store, "web", sentences(300), fragments=3)
    append_texts(store, "chat", sentences(120, seed=1))
    for shuffle, digest in (("full", "3d1d618f3fb05116"), ("none", "3de8cc58b733e8ab")):
        spec = {"name": "m", "seed": 5, "total": 300, "order": {"shuffle": shuffle},
                "parts": [{"dataset": "web@v1", "weight": 3, "where": "chars > 90"}, {"dataset": "chat", "weight": 1}]}  # fmt: skip
        lock = publish(store, spec).lock
        assert lock["order_digest"].startswith(digest) and not {"stages", "orders", "revises"} & set(lock)
        assert lock["order"] == lock["spec"]["order"] == {"shuffle": shuffle}
        assert set(lock["algorithms"]) == {"schedule", "permutation", "rowset"}
    assert load_spec(spec).stages is None
