"""Revisions: other weights from index N on, exactly: nothing lost, nothing beyond its cap, states load across."""

from collections import Counter
from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.errors import BadInput, NotFound
from catalog.mixes import load_lock, publish, revise
from catalog.testing import append_texts, attach_columns, errors_of, sentences
from flows.runner import score

SPEC = {
    "name": "m",
    "seed": 2,
    "total": 300,
    "parts": [{"dataset": "web", "weight": 2, "max_epochs": 2}, {"dataset": "chat", "weight": 1, "max_epochs": 3}],
}


@pytest.fixture
def store(cat):
    for number, (name, rows) in enumerate((("web", 250), ("chat", 80), ("math", 60))):
        append_texts(cat, name, sentences(rows, seed=number), fragments=2)
    return cat


def rows_of(reader, begin=0, end=None):
    rows = reader.take(np.arange(begin, len(reader) if end is None else end), ["sample_id"]).to_pydict()
    return list(zip(rows["_part"], rows["_epoch"], rows["sample_id"], strict=True))


def test_a_revision_goes_on_exactly_where_the_old_lock_stands(store):
    old = publish(store, SPEC)
    new = revise(store, "m", 120, {"web": 1, "chat": 1})
    assert (new.version, len(store.mix("m@v2"))) == (2, 300)
    before, after = rows_of(store.mix("m@v1")), rows_of(store.mix("m@v2"))
    assert after[:120] == before[:120] and after[120:] != before[120:]
    assert Counter(row[0] for row in after[120:]) == {0: 90, 1: 90}
    assert new.lock["revises"] == [{"digest": old.digest, "ref": "m@v1", "at": 120, "samples": 300}]
    assert max(Counter(after).values()) == 1, "no row twice in an epoch"
    for part, rows in ((0, 250), (1, 80)):
        mine = [row[2] for row in after if row[0] == part]
        assert len(set(mine[:rows])) == min(rows, len(mine)), "an epoch is finished before the next begins"
    assert [stage["samples"] for stage in new.lock["stages"]] == [120, 180]
    assert revise(store, "m@v1", 120, {"web": 1, "chat": 1}).id == new.id, "the same revision is the same version"
    store.mix("m@v2").verify(full=True)
    assert errors_of(store) == []


def test_states_load_into_the_revision_up_to_the_cut(store):
    publish(store, SPEC)
    revise(store, "m", 120, {"web": 1, "chat": 1})
    revise(store, "m@v2", 200, {"web": 5})
    first, second, third = (store.mix(f"m@v{number}") for number in (1, 2, 3))
    state = {"lock": first.digest, "next": 96}
    loader = third.torch(batch_size=12, world=2, rank=1, columns=["sample_id"])
    loader.load_state_dict(state)
    held = [i for batch in loader for i in batch["_index"].tolist()]
    assert held == [i for i in range(96, 300) if i % 2 == 1]
    assert loader.state_dict()["lock"] == third.digest
    for reader, lock, index in ((second, first, 121), (third, first, 130), (third, second, 201)):
        with pytest.raises(BadInput, match=r"changed what comes after index 1?2"):
            reader.torch(batch_size=4).load_state_dict({"lock": lock.digest, "next": index})
    third.torch(batch_size=4).load_state_dict({"lock": second.digest, "next": 200})
    with pytest.raises(BadInput, match="the state belongs to lock"):
        first.torch(batch_size=4).load_state_dict({"lock": second.digest, "next": 3})


def test_a_part_is_added_and_another_ends(store):
    publish(store, SPEC)
    made = revise(store, "m", 150, {"web": 0, "math": 2, "chat": 1}, add=["math"], total=90)
    rows = rows_of(store.mix("m"))
    assert len(rows) == 240 and Counter(row[0] for row in rows[150:]) == {2: 60, 1: 30}
    assert rows[:150] == rows_of(store.mix("m@v1"), 0, 150)
    assert [part["dataset"] for part in made.lock["parts"]] == ["web", "chat", "math"]
    assert made.lock["totals"]["parts"][0]["samples"] == 100
    more = revise(store, "m", 240, {"chat": 1, "math": 0, "web": 1}, total=40)
    assert len(store.mix("m")) == 280 and more.lock["revises"][1]["at"] == 150


def test_later_stages_stay_and_orders_go_on(store):
    for name, rows in (("web", 250), ("chat", 80)):
        attach_columns(store, name, {"grade": [float(at * 37 % 101) for at in range(rows)]})
    stages = [
        {"name": "a", "total": 120, "weights": {"web": 1, "chat": 1}, "order": {"by": "grade"}},
        {"name": "b", "total": 60, "weights": {"web": 1}},
        {"name": "c", "total": 60, "weights": {"chat": 1}, "order": {"by": "grade", "direction": "descending"}},
    ]
    parts = [{"dataset": "web", "max_epochs": 2}, {"dataset": "chat", "max_epochs": 3}]
    publish(store, {"name": "m", "parts": parts, "stages": stages})
    new = revise(store, "m", 40, {"web": 3, "chat": 1})
    assert [(s["name"], s["start"], s["samples"]) for s in new.lock["stages"]] == [
        ("a", 0, 40), ("from-40", 40, 80), ("b", 120, 60), ("c", 180, 60)]  # fmt: skip
    rows = store.mix("m").take(np.arange(240), ["grade", "sample_id"]).to_pydict()
    web = [rows["grade"][at] for at in range(120) if rows["_part"][at] == 0]
    assert len(web) == 80 and web[:60] == sorted(web[:60]) and web[60:] == sorted(web[60:])
    last = [rows["grade"][at] for at in range(180, 240)]
    assert last[:20] == sorted(last[:20]), "20 chat rows that stage a would have served come in its order"
    for begin, end in ((20, 40), (40, 60)):
        assert last[begin:end] == sorted(last[begin:end], reverse=True), "then each epoch in the order of c"
    pairs = Counter(zip(rows["_part"], rows["_epoch"], rows["sample_id"], strict=True))
    assert max(pairs.values()) == 1
    store.mix("m").verify(full=True)


def test_token_mixes_are_revised_in_tokens(store):
    for name in ("web", "chat"):
        score(store, name, ["token_count"])
    publish(store, {**SPEC, "unit": "tokens", "total": 9000})
    made = revise(store, "m", 100, {"web": 1, "chat": 3})
    reader = store.mix("m")
    for stage in made.lock["stages"]:
        rows = reader.take(np.arange(stage["start"], stage["start"] + stage["samples"]), ["tokens"])
        assert stage["tokens"] == sum(rows.column("tokens").to_pylist())
    shares = made.lock["stages"][1]["parts"]
    assert shares["chat"]["tokens"] / made.lock["stages"][1]["tokens"] == pytest.approx(0.75, abs=0.06)
    assert made.lock["totals"]["tokens"] == pytest.approx(9000, rel=0.05)


def test_a_revision_keeps_the_rows_of_its_lock(store):
    """Rows that came, went or moved since change nothing but that the retracted are left out."""
    publish(store, SPEC)
    before = rows_of(store.mix("m@v1"))
    append_texts(store, "web", sentences(40, seed=9))
    gone = before[200][2]
    store.retract(reason="takedown", ids=[gone])
    store.rename("chat", "talk")
    made = revise(store, "m", 100, {"web": 2, "chat": 1})
    assert made.lock["parts"][0]["rows"]["rows"] == 250
    after = rows_of(store.mix("m@v2"))
    assert sorted(row for row in before if row[2] != gone) == sorted(after), "the same weights serve the same rows"


@pytest.mark.parametrize(
    ("at", "weights", "options", "error", "message"),
    [
        (0, {"web": 1}, {}, BadInput, "--at-sample 0 is not between"),
        (301, {"web": 1}, {}, BadInput, "--at-sample 301 is not between"),
        (300, {"web": 1}, {}, BadInput, "ends at index 300; say with --total"),
        (10, {"wbe": 1}, {}, NotFound, "did you mean web"),
        (10, {"web": 0, "chat": 0}, {}, BadInput, "gives no part a weight"),
        (10, {"web": -1}, {}, BadInput, "not a number from 0 up"),
        (10, {"chat": 100}, {}, BadInput, r"part 2 \(chat\) is short of"),
        (10, {"web": 1}, {"add": ["web"]}, BadInput, "has a part web already"),
        (10, {"web": 1}, {"add": [{"dataset": "web", "name": "w", "weight": 1}]}, BadInput, "rows of a part that is"),
        (10, {"web": 1}, {"add": ["math"]}, BadInput, "the new part math has no weight|math has no weight"),
        (10, {"moth": 1}, {"add": ["moth"]}, NotFound, "moth"),
    ],
)
def test_a_wrong_revision_is_one_line_and_changes_nothing(store, at, weights, options, error, message):
    publish(store, SPEC)
    with pytest.raises(error, match=message) as caught:
        revise(store, "m", at, weights, **options)
    assert "\n" not in str(caught.value)
    assert load_lock(store, "m") == load_lock(store, "m@v1")


def test_a_mix_without_weights_asks_for_all_of_them(store):
    publish(store, {"name": "m", "parts": [{"dataset": "web"}, {"dataset": "chat"}]})
    with pytest.raises(BadInput, match="chat has no weight; name it in --weights"):
        revise(store, "m", 50, {"web": 1})
    revise(store, "m", 50, {"web": 1, "chat": 0}, total=100)
    assert Counter(row[0] for row in rows_of(store.mix("m"), 50)) == {0: 100}


@pytest.fixture
def shared(store):
    publish(store, {**SPEC, "total": 150})
    return store


def test_any_chain_of_revisions_keeps_caps_and_loses_nothing(shared):
    """Random cuts and weights, one revision on another: every epoch of a part is served whole before the next."""

    @given(st.data())
    @settings(max_examples=12, deadline=None)
    def check(data):
        ref, rows, at = "m@v1", rows_of(shared.mix("m@v1")), 0
        for _ in range(data.draw(st.integers(1, 3))):
            at = data.draw(st.integers(at + 1, min(at + 60, len(rows) - 1)))
            weights = {"web": data.draw(st.integers(0, 4)), "chat": data.draw(st.integers(1, 4))}
            try:
                made = revise(shared, ref, at, weights)
            except BadInput as error:
                assert "short of" in str(error) or "less than one" in str(error)
                return
            ref, before = f"m@v{made.version}", rows
            rows = rows_of(shared.mix(ref))
            assert rows[:at] == before[:at] and len(rows) == 150
            for part, size, cap in ((0, 250, 2), (1, 80, 3)):
                mine = [row for row in rows if row[0] == part]
                assert len(mine) <= cap * size and max(Counter(mine).values(), default=1) == 1
                for epoch in range(ceil(len(mine) / size)):
                    assert {row[1] for row in mine[epoch * size : (epoch + 1) * size]} == {epoch}

    check()


def test_a_long_mix_by_decimal_weights_repeats_a_period_and_is_revised(store):
    """70,003 samples at 0.7 and 0.3: counts that begin a period of ten, kept through a revision and a store again."""
    spec = {**SPEC, "total": 70_003, "parts": [
        {"dataset": "web", "weight": 0.7, "max_epochs": 200}, {"dataset": "chat", "weight": 0.3, "max_epochs": 300},
    ]}  # fmt: skip
    old = publish(store, spec)
    assert old.lock["algorithms"]["periods"] == "whole-periods-1" and old.lock["segments"][0]["turns"] == 2
    assert [part["samples"] for part in old.lock["totals"]["parts"]] == [49_002, 21_001]
    assert store.mix("m").verify(full=True)
    new = revise(store, "m", 69_000, {"web": 1, "chat": 9})
    before, after = (store.mix(name).layout.order.locate(np.arange(70_003)) for name in ("m@v1", "m@v2"))
    assert new.lock["algorithms"]["periods"] == "whole-periods-1"
    for a, b in zip(before, after, strict=True):
        assert np.array_equal(a[:69_000], b[:69_000])
    for part in (0, 1):
        assert after[1][after[0] == part].tolist() == list(range(int((after[0] == part).sum())))
    assert int((after[0][69_000:] == 1).sum()) == round(0.9 * 1003)
    assert errors_of(store) == []
