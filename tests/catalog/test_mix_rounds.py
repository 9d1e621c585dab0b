"""RS2 and progressive data dropout in one line: the rounds they are spelt out to, and what is served in each."""

from collections import Counter
from math import ceil, floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.errors import BadInput
from catalog.mixes import load_lock, preview, publish
from catalog.mixes.budget import Supply
from catalog.mixes.rounds import with_rounds
from catalog.mixes.spec import load_spec
from catalog.mixes.stages import plan
from catalog.pull.layout import Layout, PartRows
from catalog.pull.order import Order
from catalog.pull.rowset import RowSet
from catalog.testing import append_texts, sentences


@pytest.fixture
def store(cat):
    append_texts(cat, "web", sentences(100), fragments=2)
    append_texts(cat, "chat", sentences(40, seed=1))
    return cat


def spec(**facts):
    return {"name": "m", "seed": 3, "parts": [{"dataset": "web"}, {"dataset": "chat"}], **facts}


def rounds_of(store, ref="m"):
    """For each stage of a lock, the rows it serves as (part, sample)."""
    lock, reader = load_lock(store, ref), store.mix(ref)
    out = []
    for stage in lock["stages"]:
        rows = reader.take(np.arange(stage["start"], stage["start"] + stage["samples"]), ["sample_id"]).to_pylist()
        out.append([(row["_part"], row["sample_id"]) for row in rows])
    return out


def test_rs2_gives_each_round_another_random_share(store):
    shown = preview(store, spec(rs2={"share": 0.1, "rounds": 10}))
    assert [(stage["name"], stage["samples"]) for stage in shown["stages"]] == [
        (f"round-{n}", 14) for n in range(1, 11)
    ]
    assert [(part["samples"], part["epochs"], part["repeated"]) for part in shown["parts"]] == [(100, 1, 0), (40, 1, 0)]
    publish(store, spec(rs2={"share": 0.1, "rounds": 10}))
    served = rounds_of(store)
    assert all(Counter(part for part, _ in rows) == {0: 10, 1: 4} for rows in served)
    assert len({row for rows in served for row in rows}) == 140, "ten tenths are every row once"
    lock = load_lock(store, "m")
    assert "rs2" not in lock["spec"] and len(lock["spec"]["stages"]) == 10


def test_rs2_begins_a_new_epoch_when_less_than_a_round_is_left(store):
    publish(store, spec(rs2={"share": 0.3, "rounds": 7}))
    served = rounds_of(store)
    assert all(len(set(rows)) == len(rows) == 42 for rows in served), "no row twice in a round"
    for begin in (0, 3):
        group = [row for rows in served[begin : begin + 3] for row in rows]
        assert len(set(group)) == 126, "three rounds of a pass share no row"
    assert [part["max_epochs"] for part in load_lock(store, "m")["spec"]["parts"]] == [3, 3]
    assert [stage["fresh"] for stage in load_lock(store, "m")["stages"]] == [
        False,
        False,
        False,
        True,
        False,
        False,
        True,
    ]


def test_rs2_with_replacement_draws_from_all_rows_every_round(store):
    publish(store, spec(rs2={"share": 0.5, "rounds": 6, "replacement": True}))
    served = [set(rows) for rows in rounds_of(store)]
    assert all(len(rows) == 70 for rows in served)
    shared = [len(a & b) for at, a in enumerate(served) for b in served[:at]]
    assert 25 < np.mean(shared) < 45 and max(shared) < 60, "half of a half again, by chance"


def test_dropout_keeps_less_each_round_and_all_at_the_end(store):
    body = spec(dropout={"keep": 0.7, "rounds": 5})
    publish(store, body)
    served = rounds_of(store)
    kept = [1, 0.7, 0.49, 0.343, 1]
    assert [len(rows) for rows in served] == [ceil(100 * k) + ceil(40 * k) for k in kept]
    assert all(len(set(rows)) == len(rows) for rows in served)
    assert not set(served[2]) >= set(served[3]), "drawn from all rows, not from those of the round before"
    shown = preview(store, body)
    assert shown["digest"] == load_lock(store, "m")["digest"] and [part["repeated"] for part in shown["parts"]] == [
        100,
        40,
    ]
    publish(store, spec(dropout={"keep": 0.5, "rounds": 4, "revision": 2}, name="n"))
    assert [len(rows) for rows in rounds_of(store, "n")] == [140, 70, 140, 140]


def test_max_epochs_that_is_said_holds(store):
    parts = [{"dataset": "web", "max_epochs": 2}, {"dataset": "chat"}]
    shown = preview(store, spec(parts=parts, rs2={"share": 0.5, "rounds": 6}))
    assert [part["shortfall"] for part in shown["parts"]] == [100, 0]
    with pytest.raises(BadInput, match=r"stage round-5: part 1 \(web\) is short of 50 samples: max_epochs 2"):
        publish(store, spec(parts=parts, rs2={"share": 0.5, "rounds": 6}))


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"rs2": {"share": 1.5, "rounds": 2}}, "rs2.share: Input should be less than or equal to 1"),
        ({"rs2": {"share": 0.1}}, "rs2.rounds: Field required"),
        ({"rs2": {"share": 0.01, "rounds": 2}}, r"part 2 \(chat\) has 40 rows, and a share of 0.01 is none of them"),
        ({"rs2": {"share": 0.1, "rounds": 2}, "dropout": {"keep": 0.5, "rounds": 2}}, "rs2 and dropout contradict"),
        ({"rs2": {"share": 0.1, "rounds": 2}, "total": 9}, "rs2 and total contradict"),
        ({"dropout": {"keep": 0.5, "rounds": 2}, "unit": "tokens"}, "dropout counts samples"),
        ({"dropout": {"keep": 0.5, "rounds": 2, "revision": 3}}, "revision is more than its 2 rounds"),
        ({"dropout": {"keep": 0.5, "rounds": 2}, "order": {"shuffle": "none"}}, "draws at random"),
        (
            {"rs2": {"share": 0.1, "rounds": 2}, "parts": [{"dataset": "web", "weight": 1}]},
            "the same share of every part",
        ),
    ],
)
def test_a_wrong_line_is_one_line(store, facts, message):
    with pytest.raises(BadInput, match=message) as caught:
        preview(store, spec(**facts))
    assert "\n" not in str(caught.value)


@given(
    rows=st.lists(st.integers(10, 60), min_size=1, max_size=3), share=st.integers(1, 10), rounds=st.integers(1, 12),
    replacement=st.booleans(), seed=st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_every_round_has_its_share_of_every_part_and_no_row_twice(rows, share, rounds, replacement, seed):
    body = {"share": share / 10, "rounds": rounds, "replacement": replacement}
    parts = [{"dataset": f"d{number}"} for number in range(len(rows))]
    made = load_spec({"name": "m", "seed": seed, "parts": parts, "rs2": body})
    supplies = [Supply(held) for held in rows]
    order = Order([held.segment for held in plan(with_rounds(made, supplies), supplies)])
    layout = Layout(order, [PartRows(RowSet(0, held), f"k{at}") for at, held in enumerate(rows)], seed, "full")
    per_round = [floor(share * held / 10) for held in rows]
    found = layout.locate(np.arange(len(layout)))
    assert len(layout) == rounds * sum(per_round)
    for number in range(rounds):
        mine = slice(number * sum(per_round), (number + 1) * sum(per_round))
        pairs = list(zip(found.part[mine].tolist(), found.row[mine].tolist(), strict=True))
        assert len(set(pairs)) == len(pairs)
        assert [sum(part == at for part, _ in pairs) for at in range(len(rows))] == per_round
