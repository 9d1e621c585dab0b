"""A local copy of a mix serves what the tables serve, and nothing more."""

import pickle

import pytest

from catalog.errors import Corrupt, NotFound
from catalog.mixes import publish
from catalog.pull import local as local_copies
from catalog.pull.reader import open_mix
from catalog.testing import append_texts, attach_columns, sentences, tiny_tokenizer

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


def rows(reader, columns=("sample_id", "text"), **options):
    return [row for batch in reader.batches(columns=list(columns), **options) for row in batch.to_pylist()]


def files(cat):
    return sorted((cat.settings.home / "copies").glob("*.arrow"))


def test_a_copy_serves_the_rows_of_the_tables_in_their_order(store):
    whole = open_mix(store, "m@v1")
    copy = whole.local(["sample_id", "text", "source"])
    assert rows(copy) == rows(whole) and rows(copy, batch_rows=64, rank=1, world=3) == rows(
        whole, batch_rows=64, rank=1, world=3
    )
    assert copy.take([699, 0, 350, 0], ["text"]) == whole.take([699, 0, 350, 0], ["text"])
    assert next(copy.batches()).schema.names == ["_index", "_part", "_epoch", "sample_id", "text", "source"]
    assert rows(copy, [])[:1] == rows(whole, [])[:1]
    assert copy.digest == whole.digest and copy.verify(full=True) == whole.verify(full=True)


def test_a_copy_holds_each_row_of_the_lock_once_and_is_made_once(store):
    copy = open_mix(store, "m@v1").local(["text"])
    held = {(part["dataset_id"], part["rows"].get("digest"), part["rows"]["rows"]) for part in copy.lock["parts"]}
    assert sum(table.rows.rows for table in copy.sources.tables) == sum(count for _, _, count in held)
    stamps = [path.stat().st_mtime_ns for path in files(store)]
    assert len(stamps) == 2 and open_mix(store, "m@v1").local(["text"]).files == copy.files
    assert [path.stat().st_mtime_ns for path in files(store)] == stamps
    before = rows(copy, ["text"])
    for path in files(store):
        path.unlink()
    assert rows(open_mix(store, "m@v1").local(["text"]), ["text"]) == before and len(files(store)) == 2


def test_blocks_of_long_rows_are_copied_whole(store, monkeypatch):
    append_texts(store, "long", [f"{n} " + "x" * 20_000 for n in range(300)])
    publish(store, {"name": "long-mix", "parts": [{"dataset": "long"}]})
    monkeypatch.setattr(local_copies, "BLOCK_BYTES", 200_000)
    monkeypatch.setattr(local_copies, "FIRST", 16)
    whole = open_mix(store, "long-mix")
    copy = whole.local()
    assert len(copy.sources.tables[0].batches) > 20 and rows(copy) == rows(whole)


def test_retracted_rows_are_left_out_and_shift_nothing(store):
    copy = open_mix(store, "m@v1").local(["sample_id", "text"])
    victims = {row["sample_id"] for row in rows(copy) if row["_index"] in (3, 250, 699)}
    store.retract(reason="takedown", ids=sorted(victims))
    after = open_mix(store, "m@v1").local(["sample_id", "text"])
    assert after.files == copy.files
    assert (
        rows(after) == [row for row in rows(copy) if row["sample_id"] not in victims] == rows(open_mix(store, "m@v1"))
    )


def test_growth_compaction_and_another_process_change_nothing(store):
    copy = open_mix(store, "m@v1").local(["text"])
    before = rows(copy, ["text"])
    append_texts(store, "chat", sentences(30, seed=5))
    store.gc(compact=True, older_than_s=0)
    again = open_mix(store, "m@v1").local(["text"])
    assert again.files == copy.files and rows(again, ["text"]) == before
    sent = pickle.loads(pickle.dumps(copy))
    assert sent.files == copy.files and rows(sent, ["text"]) == before


def test_a_state_passes_between_the_tables_and_a_copy(store):
    pytest.importorskip("torch")
    whole = open_mix(store, "m@v1")
    first, second = whole.torch(64), whole.local(["sample_id", "text"]).torch(64)
    batches = iter(first)
    seen = [next(batches)["text"] for _ in range(4)]
    second.load_state_dict(first.state_dict())
    seen += [batch["text"] for batch in second]
    assert [text for batch in seen for text in batch] == [row["text"] for row in rows(whole)]


def test_packed_sequences_are_those_of_the_tables(store, tmp_path):
    pytest.importorskip("tokenizers")
    tiny_tokenizer(tmp_path / "tokenizer")
    whole = open_mix(store, "m@v1")
    sides = [side.pack(tmp_path / "tokenizer", 96, window=64) for side in (whole, whole.local(["text"]))]
    assert sides[0].digest == sides[1].digest
    a, b = ([batch.input_ids.tobytes() for batch, _ in side.batches(8)] for side in sides)
    assert a == b and len(a) > 5


def test_computed_columns_are_copied_anew_when_the_table_changed(store):
    attach_columns(store, "chat", {"score": [float(n) for n in range(100)]})
    attach_columns(store, "web", {"score": [float(n) for n in range(650)]})
    copy = open_mix(store, "m@v1").local(["score"])
    assert rows(copy, ["score"]) == rows(open_mix(store, "m@v1"), ["score"])
    attach_columns(store, "chat", {"other": [0.0] * 100})
    again = open_mix(store, "m@v1").local(["score"])
    assert len(set(again.files) - set(copy.files)) == 1 and rows(again, ["score"]) == rows(copy, ["score"])


def test_weights_of_samples_are_copied_too(store):
    attach_columns(store, "chat", {"score": [1.0 + n for n in range(100)]})
    publish(store, {"name": "w", "parts": [{"dataset": "chat", "sample_weight": "score"}]})
    whole = open_mix(store, "w")
    assert rows(whole.local(["text"]), ["text"]) == rows(whole, ["text"])


def test_what_was_not_copied_is_refused(store):
    copy = open_mix(store, "m@v1").local(["text"])
    with pytest.raises(NotFound, match="source"):
        copy.batches(columns=["source"])
    with pytest.raises(NotFound, match="txet"):
        open_mix(store, "m@v1").local(["txet"])


@pytest.mark.parametrize("cut", [0, 100, -200])
def test_a_broken_file_is_named(store, cut):
    open_mix(store, "m@v1").local(["text"])
    path = files(store)[0]
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(Corrupt, match="delete it, it is made again"):
        open_mix(store, "m@v1").local(["text"])
