"""Packs of a revised mix: windows before the revision are those of the old lock, and a run goes on without a loss."""

import numpy as np
import pytest

pytest.importorskip("tokenizers")

import itertools

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.errors import BadInput
from catalog.mixes import publish, revise
from catalog.pull.pack import pack
from catalog.pull.packed import Place
from catalog.pull.windows import Windows, lineage, origin
from catalog.testing import append_texts, sentences, tiny_tokenizer

LENGTH, WINDOW, TOTAL = 64, 16, 90


@pytest.fixture
def folder(tmp_path):
    return tiny_tokenizer(tmp_path / "tokenizer")


@pytest.fixture
def store(cat):
    append_texts(cat, "web", [*sentences(70, low=4, high=30), "long " * 90], fragments=2)
    append_texts(cat, "chat", sentences(40, seed=1, low=4, high=30))
    parts = [{"dataset": "web", "weight": 3, "max_epochs": 2}, {"dataset": "chat", "weight": 1, "max_epochs": 3}]
    publish(cat, {"name": "m", "total": TOTAL, "parts": parts})
    return cat


def rows_of(packed, place=None, stop=None):
    out = {}
    for batch, after in packed.batches(1, place=place):
        if stop is not None and after.sequence > stop:
            break
        pieces = [tuple(source[2:]) for source in batch.sources.tolist()]
        out[int(batch.sequences[0])] = (batch.input_ids.tobytes(), batch.labels.tobytes(), pieces)
    return out


def served_once(rows, total):
    """Every index once, and all of each document."""
    found = sorted((index, first, tokens) for _, _, pieces in rows.values() for tokens, index, _, _, first in pieces)
    assert sorted({index for index, _, _ in found}) == list(range(total))
    for before, after in itertools.pairwise(found):
        assert after[1] == (before[1] + before[2] if after[0] == before[0] else 0)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(1, TOTAL), stop=st.integers(0, 60), world=st.integers(1, 3))
def test_a_packed_run_goes_on_in_the_revision(store, folder, cut, stop, world):
    old = pack(store.mix("m@v1"), folder, LENGTH, window=WINDOW)
    before = rows_of(old)
    made = revise(store, "m@v1", cut, {"web": 1, "chat": 2}, total=20)
    new = pack(store.mix(f"m@v{made.version}"), folder, LENGTH, window=WINDOW)
    after = rows_of(new)
    served_once(after, cut + 20)
    whole = old.bounds.before(cut)
    same = sum(old.plan_window(number) for number in range(whole))
    assert {k: row for k, row in after.items() if k < same} == {k: row for k, row in before.items() if k < same}

    places = [Place(0, 0, 0), *(after for _, after in old.batches(1))]
    place = places[min(stop, len(places) - 1)]
    state = old.state(place)
    needed = old.revisable(state)
    if needed > cut:
        assert place.sequence > same
        with pytest.raises(BadInput, match=f"changed what comes after index {cut}; revise at {needed} or later"):
            new.place_of(state)
        return
    seen = {k: row for k, row in before.items() if k < place.sequence}
    for rank in range(world):
        for batch, _ in new.batches(2, rank=rank, world=world, place=new.place_of(state)):
            for row, number in enumerate(batch.sequences.tolist()):
                assert number not in seen
                mine = batch.sources[batch.sources[:, 0] == row, 2:]
                ids, labels = batch.input_ids[row : row + 1], batch.labels[row : row + 1]
                seen[number] = (ids.tobytes(), labels.tobytes(), [tuple(held) for held in mine.tolist()])
    assert seen == after


def test_the_end_of_a_window_may_always_be_revised(store, folder):
    """The index that a state asks for is one that works, at every step of a run."""
    old = pack(store.mix("m@v1"), folder, LENGTH, window=WINDOW)
    states = [old.state(place) for _, place in old.batches(3)]
    assert old.revisable(states[-1]) == TOTAL
    for state in (states[0], states[len(states) // 2], states[-1]):
        made = revise(store, "m@v1", old.revisable(state), {"web": 1, "chat": 1}, total=10)
        new = pack(store.mix(f"m@v{made.version}"), folder, LENGTH, window=WINDOW)
        place = new.place_of(state)
        seen = rows_of(old, stop=state["sequence"]) | rows_of(new, place=place)
        assert seen == rows_of(new)
        assert new.revisable(new.state(place)) == old.revisable(state)


def test_states_load_over_a_chain_of_revisions(store, folder):
    for ref, cut in (("m@v1", 48), ("m@v2", 64), ("m@v3", 56)):  # the last takes the one before it back
        revise(store, ref, cut, {"web": 1, "chat": 1}, total=40)
    packs = [pack(store.mix(f"m@v{number}"), folder, LENGTH, window=WINDOW) for number in (1, 2, 3, 4)]
    assert [packed.bounds.cuts for packed in packs] == [(), (48,), (48, 64), (48, 56)]
    assert packs[3].reader.lock["revises"][1:] == [
        {"digest": packs[1].reader.digest, "ref": "m@v2", "at": 56, "samples": 88, "cut": 64},
        {"digest": packs[0].reader.digest, "ref": "m@v1", "at": 48, "samples": TOTAL},
    ]
    whole = [rows_of(packed) for packed in packs]
    first = [sum(packs[0].plan_window(number) for number in range(3))]
    for number in range(3):
        state = packs[number].state(Place(3, 0, first[0]))
        assert packs[3].place_of(state) == Place(3, 0, first[0])
        seen = {k: row for k, row in whole[number].items() if k < first[0]}
        assert seen | rows_of(packs[3], place=Place(3, 0, first[0])) == whole[3]
    inside = packs[2].state(Place(3, 1, first[0] + 1))  # of the window 48 to 64, which ends at 56 now
    with pytest.raises(BadInput, match=r"m@v3 needs the documents up to index 64 .* after index 56"):
        packs[3].place_of(inside)
    later = packs[1].state(Place(3, 1, first[0] + 1))
    assert packs[2].place_of(later) == Place(3, 1, first[0] + 1), "v3 revised v2 at the end of that window"
    with pytest.raises(BadInput, match="the state has lock"):
        packs[0].place_of(packs[1].state(Place(0, 0, 0)))


def test_counts_of_the_old_lock_are_taken_over(store, folder):
    old = pack(store.mix("m@v1"), folder, LENGTH, window=WINDOW)
    old.count()
    made = revise(store, "m@v1", 40, {"web": 1, "chat": 2})
    new = pack(store.mix(f"m@v{made.version}"), folder, LENGTH, window=WINDOW)
    assert [new._counts.get(number) for number in range(4)] == [old.plan_window(0), old.plan_window(1), None, None]
    whole = rows_of(new)
    for number in (0, len(whole) // 2, len(whole) - 1):
        found = new.sequence(number)
        assert found.input_ids.tobytes() == whole[number][0]
    assert new.count() == len(whole)


@pytest.mark.slow
def test_workers_serve_the_revision_alike(store, folder):
    torch_packed = pytest.importorskip("catalog.pull.pytorch_packed")
    old = pack(store.mix("m@v1"), folder, LENGTH, window=WINDOW)
    loader, seen = torch_packed.PackedLoader(old, 2), []
    for batch in loader:
        seen += batch["_sequence"].tolist()
        if old.revisable(loader.state_dict()) == 48:
            break
    revise(store, "m@v1", 48, {"web": 1, "chat": 2})
    new = pack(store.mix("m@v2"), folder, LENGTH, window=WINDOW)
    resumed = torch_packed.PackedLoader(new, 2, workers=2)
    resumed.load_state_dict(loader.state_dict())
    for batch in resumed:
        seen += batch["_sequence"].tolist()
    assert seen == list(range(new.count()))


def test_locks_revised_before_are_packed_as_they_were():
    """Without the length of the old mix a lock is cut nowhere and stands by itself."""
    held = {"digest": "a", "ref": "m@v1", "at": 48}
    windows, ancestors = lineage({"revises": [held]}, 90, WINDOW)
    assert (windows, ancestors) == (Windows(WINDOW, 90), [])
    newer = {"digest": "b", "ref": "m@v2", "at": 60, "samples": 90}
    windows, ancestors = lineage({"revises": [newer, held]}, 100, WINDOW)
    assert windows.cuts == (60,) and [found.digest for found in ancestors] == ["b"]


@given(size=st.integers(1, 20), total=st.integers(1, 200), cuts=st.lists(st.integers(1, 220), max_size=4))
def test_windows_cover_every_index_once_and_break_at_the_cuts(size, total, cuts):
    windows = Windows(size, total, tuple(sorted(cuts)))
    bounds = [windows.bounds(number) for number in range(len(windows))]
    assert [i for begin, end in bounds for i in range(begin, end)] == list(range(total))
    assert all(0 < end - begin <= size for begin, end in bounds)
    edges = {begin for begin, _ in bounds}
    assert {cut for cut in cuts if cut < total} <= edges
    for index in range(total + 1):
        assert windows.before(index) == sum(end <= index for _, end in bounds)
    assert windows.bounds(len(windows)) == (total, total)
    assert all(origin(number, windows, []) is None for number in range(len(windows)))
    assert np.array_equal(sorted(edges), [begin for begin, _ in bounds])
