"""The reader serves what the lock says, whoever reads, whenever, and notices a store that disagrees."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlmodel import select

from catalog.errors import BadInput, Corrupt, NotFound
from catalog.meta.models import Dataset, Mix, Version
from catalog.mixes import publish
from catalog.pull import rowset
from catalog.pull.reader import open_mix
from catalog.testing import append_texts, sentences

SPEC = {
    "name": "m",
    "seed": 11,
    "total": 700,
    "parts": [
        {"dataset": "web@v1", "weight": 4, "where": "chars > 90"},
        {"dataset": "chat", "weight": 2, "max_epochs": 3},
        {"dataset": "web", "where": "chars <= 90", "samples": 20},
    ],
}


@pytest.fixture
def store(cat):
    append_texts(cat, "web", sentences(600), fragments=4)
    append_texts(cat, "chat", sentences(100, seed=1), fragments=2)
    append_texts(cat, "web", sentences(50, seed=2))
    publish(cat, SPEC)
    return cat


def stream(reader, *args, **options):
    """{index: (part, epoch, sample id)} and the indices in the order they came."""
    rows, order = {}, []
    for batch in reader.batches(*args, columns=["sample_id"], **options):
        body = batch.to_pydict()
        order += body["_index"]
        rows |= dict(
            zip(body["_index"], zip(body["_part"], body["_epoch"], body["sample_id"], strict=True), strict=True)
        )
    return rows, order


def test_every_index_once_counts_and_epochs_as_locked(store):
    reader = open_mix(store, "m@v1")
    rows, order = stream(reader, batch_rows=64)
    assert order == list(range(700)) == list(range(len(reader)))
    for part, (entry, total) in enumerate(zip(reader.lock["parts"], reader.lock["totals"]["parts"], strict=True)):
        mine = [row for row in (rows[i] for i in order) if row[0] == part]
        assert len(mine) == total["samples"]
        size = entry["rows"]["rows"]
        for epoch in range(-(-len(mine) // size)):
            served = mine[epoch * size : (epoch + 1) * size]
            assert {row[1] for row in served} == {epoch}
            assert len({row[2] for row in served}) == len(served), "a row came twice in one epoch"
    chat = [row[2] for row in (rows[i] for i in order) if row[0] == 1]
    assert set(chat[:100]) == set(chat[100:200]) and chat[:100] != chat[100:200], "epochs are shuffled anew"


def test_locate_and_take_agree_with_the_stream(store):
    reader = open_mix(store, "m@v1")
    rows, _ = stream(reader)
    wanted = [699, 0, 350, 0]
    part, row_id = reader.locate(wanted)
    batch = reader.take(wanted, ["sample_id", "text"])
    assert batch.column("sample_id").to_pylist() == [rows[i][2] for i in wanted]
    assert part.tolist() == [rows[i][0] for i in wanted] and row_id[1] == row_id[3]
    with pytest.raises(BadInput, match="outside the mix"):
        reader.take([700])


@given(
    st.sampled_from((1, 2, 3, 5, 8)), st.integers(1, 90), st.integers(0, 700), st.integers(0, 700), st.integers(1, 4)
)
@settings(max_examples=25, deadline=None)
def test_any_ranks_workers_and_start_give_the_same_rows(world, batch_rows, start, stop, workers):
    reader, whole = test_any_ranks_workers_and_start_give_the_same_rows.store
    seen = {}
    for rank in range(world):
        for worker in range(workers):
            part, _ = stream(
                reader, start, max(start, stop), rank=rank, world=world, batch_rows=batch_rows, stripe=(worker, workers)
            )
            assert all(index % world == rank for index in part) and not set(part) & set(seen)
            seen |= part
    assert seen == {index: whole[index] for index in range(start, max(start, stop))}


@pytest.fixture(autouse=True)
def _shared(request):
    """Hypothesis runs one test body many times; the store is made once for it."""
    if request.function is test_any_ranks_workers_and_start_give_the_same_rows:
        reader = open_mix(request.getfixturevalue("store"), "m@v1")
        request.function.store = (reader, stream(reader)[0])


def test_compaction_and_growth_change_nothing(store):
    before, digest = stream(open_mix(store, "m@v1"))[0], open_mix(store, "m@v1").verify(full=True)
    append_texts(store, "chat", sentences(30, seed=5))
    store.gc(compact=True, older_than_s=0)
    assert len(store.lance("web").get_fragments()) == 1
    after = open_mix(store, "m@v1")
    assert stream(after)[0] == before and after.verify(full=True) == digest


def test_retraction_shifts_nothing(store):
    before, _ = stream(open_mix(store, "m@v1"))
    victims = {before[index][2] for index in (3, 4, 250, 699)}
    store.retract(reason="takedown", ids=sorted(victims))
    reader = open_mix(store, "m@v1")
    after, _ = stream(reader, batch_rows=16)
    assert after == {index: row for index, row in before.items() if row[2] not in victims}
    assert reader.retracted == 700 - len(after) >= 4
    assert [len(reader.take([index], ["text"])) for index in (3, 5)] == [0, 1]
    reader.verify(full=True)


def test_verify_notices_rows_that_joined_a_version(store):
    """Rows moved into v1 behind the catalog's back: the probes agree, the row set does not."""
    chat = store.find("chat")
    append_texts(store, "chat", sentences(30, seed=5))
    table = store.lance("chat")
    table.update({"added": "1"}, where="added = 2")
    change(store, Dataset, lambda d: d.id == chat.id, lance_version=table.version)
    reader = open_mix(store, "m@v1")
    reader.verify()
    with pytest.raises(Corrupt, match=r"part 2 \(chat@v1\) now selects other rows"):
        reader.verify(full=True)


def test_removal_from_a_later_version_is_not_retraction(store):
    before, _ = stream(open_mix(store, "m@v1"))
    store.rollback("web", 1)
    assert stream(open_mix(store, "m@v1"))[0] == before


def test_columns_by_name_and_by_default(store):
    reader = open_mix(store, "m@v1")
    batch = next(reader.batches())
    assert {"_index", "_part", "_epoch", "sample_id", "content_id", "text", "licence"} <= set(batch.schema.names)
    assert not {"added", "removed"} & set(batch.schema.names)
    assert next(reader.batches(columns=[])).schema.names == ["_index", "_part", "_epoch"]
    with pytest.raises(NotFound, match="txet"):
        reader.batches(columns=["txet"])


@pytest.mark.parametrize(
    "options", [{"rank": 2, "world": 2}, {"world": 0}, {"batch_rows": 0}, {"start": 701}, {"start": 9, "stop": 3}]
)
def test_wrong_arguments_are_refused_at_once(store, options):
    with pytest.raises(BadInput):
        open_mix(store, "m@v1").batches(**options)


def test_long_rows_shrink_the_block(store, monkeypatch):
    append_texts(store, "long", [f"{n} " + "x" * 20_000 for n in range(300)])
    publish(store, {"name": "long-mix", "parts": [{"dataset": "long"}]})
    monkeypatch.setattr("catalog.pull.reader.BLOCK_BYTES", 200_000)
    reader, sizes = open_mix(store, "long-mix"), []
    fetch = reader._fetch
    monkeypatch.setattr(reader, "_fetch", lambda *args: sizes.append(len(args[0])) or fetch(*args))
    assert sum(batch.num_rows for batch in reader.batches(batch_rows=4)) == 300
    assert sizes[0] <= 64 and max(sizes[1:]) <= 12


# -- a store that disagrees --------------------------------------------------------------------------------------


def change(cat, model, where, **values):
    with cat.session() as session:
        row = next(row for row in session.exec(select(model)) if where(row))
        for name, value in values.items():
            setattr(row, name, value)
        session.add(row)
        session.commit()


def side_file(cat):
    lock = open_mix(cat, "m@v1").lock
    return cat.settings.locks / f"{lock['parts'][0]['rows']['digest']}.rows"


def test_a_lost_side_file_is_named(store):
    path = side_file(store)
    path.unlink()
    with pytest.raises(Corrupt, match=path.name):
        open_mix(store, "m@v1")


def test_a_changed_side_file_is_named(store):
    path = side_file(store)
    body = bytearray(path.read_bytes())
    body[40] ^= 1
    path.write_bytes(body)
    with pytest.raises(Corrupt, match="was changed"):
        open_mix(store, "m@v1")


def test_a_changed_lock_is_named(store):
    lock = open_mix(store, "m@v1").lock
    change(store, Mix, lambda mix: mix.name == "m", lock={**lock, "seed": 12})
    with pytest.raises(Corrupt, match="the lock of m@v1 was changed"):
        open_mix(store, "m@v1")


def test_a_changed_version_is_named(store):
    identity = store.find("chat").id
    change(store, Version, lambda v: v.dataset_id == identity, digest="0" * 32)
    with pytest.raises(Corrupt, match="chat@v1 has digest 0000"):
        open_mix(store, "m@v1")


def test_a_dropped_dataset_is_named(store):
    change(store, Dataset, lambda d: d.name == "chat", dropped="2025-01-01")
    with pytest.raises(Corrupt, match=r"dataset chat .* dropped"):
        open_mix(store, "m@v1")


def test_other_rows_under_the_same_name_are_noticed(store):
    """A table swapped for one with as many rows: the versions agree, the witnesses do not."""
    append_texts(store, "fake", sentences(100, seed=44))
    fake = store.find("fake")
    change(store, Dataset, lambda d: d.name == "chat", uri=fake.uri, lance_version=fake.lance_version)
    with pytest.raises(Corrupt, match=r"index \d+ of chat@v1 holds content"):
        open_mix(store, "m@v1")


def test_lost_rows_are_noticed(store):
    append_texts(store, "fake", sentences(20, seed=44))
    fake = store.find("fake")
    change(store, Dataset, lambda d: d.name == "chat", uri=fake.uri, lance_version=fake.lance_version)
    with pytest.raises(Corrupt, match="rows of chat are gone"):
        open_mix(store, "m@v1")


def test_a_lock_of_another_release_is_refused(store, monkeypatch):
    monkeypatch.setitem(
        __import__("catalog.pull.layout", fromlist=["ALGORITHMS"]).ALGORITHMS, "permutation", "feistel-2"
    )
    with pytest.raises(BadInput, match="permutation feistel-1"):
        open_mix(store, "m@v1")


# -- row sets ----------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=300, unique=True), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_select_and_rank_are_inverse(ids, base):
    ids = np.array(ids, np.int64) + base
    built = rowset.row_set([ids[: len(ids) // 2], ids[len(ids) // 2 :]])
    ordered = np.sort(ids)
    positions = np.arange(len(ids))
    assert np.array_equal(built.select(positions), ordered)
    assert np.array_equal(built.rank(ordered), positions)
    assert (built.words is None) == (int(ordered[-1] - ordered[0]) + 1 == len(ids))


def test_row_sets_are_named_by_their_bytes(tmp_path):
    ids = np.flatnonzero(np.random.default_rng(0).random(20_000) < 0.3)
    a, b = rowset.row_set([ids]), rowset.row_set([ids[::-1]])
    assert a.digest == b.digest
    rowset.save(a, tmp_path)
    rowset.save(a, tmp_path)
    opened = rowset.load(a.to_json(), tmp_path)
    assert np.array_equal(opened.select(np.arange(len(ids))), ids) and len(list(tmp_path.iterdir())) == 1


def test_contains_agrees_with_the_set():
    rng = np.random.default_rng(1)
    ids = np.flatnonzero(rng.random(3000) < 0.4) + 77
    for built, held in ((rowset.row_set([ids]), ids), (rowset.row_set([np.arange(50, 90)]), np.arange(50, 90))):
        asked = rng.integers(0, 4000, 2000)
        assert np.array_equal(built.contains(asked), np.isin(asked, held))
