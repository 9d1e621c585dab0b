"""A run that goes on under a revision of its mix has one history: in the records, the answers and the columns."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.errors import BadInput, NotFound
from catalog.mixes import publish, revise
from catalog.pull.ledger import Ledger, audit, next_attempt, read_run
from catalog.pull.ledger_columns import add_ledger, left, loss_curves, newest, who
from catalog.testing import append_texts, errors_of, sentences


@pytest.fixture
def store(cat):
    append_texts(cat, "web", sentences(90), fragments=2)
    append_texts(cat, "chat", sentences(40, seed=1))
    parts = [{"dataset": "web", "weight": 2, "max_epochs": 2}, {"dataset": "chat", "weight": 1, "max_epochs": 3}]
    publish(cat, {"name": "m", "total": 120, "parts": parts})
    return cat


def train(reader, run, begin, stop, *, world=2, size=4, first=1, attempt=None):
    """Serve [begin, stop) as a trainer without a model would; begin: an index or the state of a loader."""
    attempt = attempt or next_attempt(reader, run)
    start = begin if isinstance(begin, int) else begin["next"]
    for rank in range(world):
        ledger = Ledger(reader, run, attempt=attempt, rank=rank, world=world, begin=begin)
        for step, batch in enumerate(reader.batches(start, stop, rank=rank, world=world, batch_rows=size), first):
            ledger.record(step, batch, loss=[index / 10 for index in batch.column("_index").to_pylist()])
        ledger.flush()


@pytest.fixture
def spanning(store):
    """48 samples under v1, a checkpoint at 32; revised at 40, resumed from the checkpoint, then killed and resumed."""
    first = store.mix("m@v1")
    train(first, "r", 0, 48)
    revise(store, "m@v1", 40, {"web": 1, "chat": 3})
    second = store.mix("m@v2")
    train(second, "r", {"lock": first.digest, "next": 32}, 80, world=3, first=5)
    train(second, "r", 68, 120, world=1, first=8)
    return store


def test_one_history_without_loss_or_repetition(spanning):
    reader = spanning.mix("m@v2")
    held = read_run(reader, "r")
    assert audit(reader, held) == {"samples": 120, "records": 120, "packed": False, "lost": [], "repeated": []}
    ends = {mix: held.filter(np.array(held.column("mix").to_pylist()) == mix) for mix in ("m@v1", "m@v2")}
    assert ends["m@v1"].column("index").to_pylist() == list(range(32))
    assert ends["m@v2"].column("index").to_pylist() == list(range(32, 120))
    assert sorted(set(held.column("attempt").to_pylist())) == [1, 2, 3] and next_attempt(reader, "r") == 4
    part, _ = reader.locate(range(120))
    assert held.column("part").to_pylist() == part.tolist()
    assert [facts["left"] for facts in left(reader, "r")] == [0, 0]
    everything = audit(reader, read_run(reader, "r", superseded=True))
    assert everything["repeated"] == [*range(32, 40), *range(68, 80)], "past 40, v1 served other rows"
    assert newest(spanning, spanning.mix("m@v1"), "r").ref == "m@v2"


def test_what_is_asked_of_either_lock_is_the_whole_history(spanning):
    for ref in ("m@v1", "m@v2"):
        reader = newest(spanning, spanning.mix(ref), "r")
        curve = loss_curves(reader, "r", by="source", bins=3)
        assert sum(held["samples"] for held in curve) == 120
    reader = spanning.mix("m@v2")
    for index in (3, 36, 100):
        sample = reader.take([index], ["sample_id"]).to_pylist()[0]["sample_id"]
        found = {held["index"]: held["mix"] for held in who(spanning, sample)}
        assert found[index] == ("m@v1" if index < 32 else "m@v2")
        assert all(reader.take([at], ["sample_id"]).to_pylist()[0]["sample_id"] == sample for at in found)


def test_columns_are_published_once(spanning):
    made = add_ledger(spanning, "m@v2")["runs"]
    assert [(held["mix"], held["samples"], held["lost"], held["repeated"]) for held in made] == [("m@v2", 120, 0, 0)]
    assert add_ledger(spanning, "m@v1")["runs"] == made, "the same history, whichever lock is named"
    aliases = [column.alias for name in ("web", "chat") for column in spanning.columns(name)]
    assert sorted(aliases) == sorted(2 * ["seen_r", "step_last_r", "loss_first_r", "loss_last_r"])
    seen = [row["n"] for name in ("web", "chat") for row in spanning.sql(f"select sum(seen_r) n from {name}").rows()]
    assert sum(seen) == 120 and errors_of(spanning) == []


def test_a_run_of_the_same_name_from_the_start_is_another(store):
    first = store.mix("m@v1")
    train(first, "r", 0, 24)
    revise(store, "m@v1", 40, {"web": 1, "chat": 3})
    second = store.mix("m@v2")
    train(second, "r", 0, 60)
    assert newest(store, first, "r") is first
    assert read_run(first, "r").num_rows == 24
    held = read_run(second, "r")
    assert set(held.column("mix").to_pylist()) == {"m@v2"} and held.num_rows == 60


def test_records_past_the_revision_do_not_count_before_it_is_trained_on(store):
    train(store.mix("m@v1"), "r", 0, 48)
    revise(store, "m@v1", 40, {"web": 1, "chat": 3})
    reader = store.mix("m@v2")
    assert read_run(reader, "r").column("index").to_pylist() == list(range(40))
    assert read_run(store.mix("m@v1"), "r").num_rows == 48
    with pytest.raises(NotFound, match="run"):
        read_run(reader, "other")


def test_begin_may_be_a_state_of_the_old_lock_up_to_the_cut(store, tmp_path):
    first = store.mix("m@v1")
    revise(store, "m@v1", 40, {"web": 1, "chat": 3})
    reader = store.mix("m@v2")
    with pytest.raises(BadInput, match="begin stands at index 41, and m@v2 changed what comes after index 40"):
        Ledger(reader, "r", begin={"lock": first.digest, "next": 41})
    with pytest.raises(BadInput, match="begin is the state"):
        Ledger(first, "r", begin={"lock": reader.digest, "next": 3})
    away = Ledger(first, "far", folder=tmp_path / "a")
    away.record(1, next(first.batches(batch_rows=40)))
    later = Ledger(reader, "far", attempt=2, begin={"lock": first.digest, "next": 40}, folder=tmp_path / "b")
    later.record(2, next(reader.batches(40, batch_rows=8)))
    made = add_ledger(store, "m@v2", [away.path, later.path])["runs"]
    assert [(held["samples"], held["lost"]) for held in made] == [(48, 0)]
    with pytest.raises(BadInput, match="is a ledger of m@v2"):
        add_ledger(store, "m@v1", [later.path])


def test_a_packed_run_has_one_history_too(store, tmp_path):
    pytest.importorskip("tokenizers")
    from catalog.testing import tiny_tokenizer

    folder = tiny_tokenizer(tmp_path / "tokenizer")
    packed = store.mix("m@v1").pack(folder, 64, window=16)
    ledger, place = Ledger(packed.reader, "p"), None
    for step, (batch, place) in enumerate(packed.batches(2), 1):
        ledger.record(step, as_given(batch))
        if packed.revisable(packed.state(place)) >= 48:
            break
    assert place is not None
    state = packed.state(place)
    revise(store, "m@v1", packed.revisable(state), {"web": 1, "chat": 3})
    again = store.mix("m@v2").pack(folder, 64, window=16)
    later = Ledger(again.reader, "p", attempt=next_attempt(again.reader, "p"), begin=state)
    for step, (batch, _) in enumerate(again.batches(3, place=again.place_of(state)), 20):
        later.record(step, as_given(batch))
    held = read_run(again.reader, "p")
    found = audit(again.reader, held)
    assert (found["samples"], found["packed"], found["lost"], found["repeated"]) == (120, True, [], [])
    assert sorted(set(held.column("mix").to_pylist())) == ["m@v1", "m@v2"]


def as_given(batch):
    """A packed batch as the torch loader gives it, without torch."""
    from catalog.pull.packed import SOURCES

    return {
        "_sequence": batch.sequences,
        "sources": {name: batch.sources[:, at] for at, name in enumerate(SOURCES)},
    }


def test_any_checkpoint_and_cut_give_one_whole_history(store):
    first, number = store.mix("m@v1"), iter(range(1000))

    @settings(max_examples=10, deadline=None)
    @given(data=st.data())
    def check(data):
        run, size = f"r{next(number)}", data.draw(st.integers(1, 5))
        reached = data.draw(st.integers(1, 119))
        cut = data.draw(st.integers(1, 120))
        kept = data.draw(st.integers(0, min(reached, cut)))
        train(first, run, 0, reached, world=data.draw(st.integers(1, 4)), size=size)
        made = revise(store, "m@v1", cut, {"web": 1, "chat": 1}, total=20)
        reader = store.mix(f"m@v{made.version}")
        begin = {"lock": first.digest, "next": kept}
        train(reader, run, begin, cut + 20, world=data.draw(st.integers(1, 4)), size=size, first=kept + 1)
        held = read_run(reader, run)
        found = audit(reader, held)
        assert (found["records"], found["lost"], found["repeated"]) == (cut + 20, [], [])
        part, _ = reader.locate(range(cut + 20))
        assert held.sort_by("index").column("part").to_pylist() == part.tolist()
        assert newest(store, first, run).ref == (reader.ref if kept else "m@v1"), "from 0 on it is a run of its own"

    check()
