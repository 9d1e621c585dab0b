"""Exports and the Hugging Face view hold the rows of the mix in its order; an export is whole or not there."""

import json
import pickle
from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from catalog.errors import BadInput, StrataError
from catalog.mixes import publish
from catalog.plugins import REGISTRY
from catalog.pull import export as exporting
from catalog.pull.formats import exporter, get_exporter
from catalog.testing import append_texts, sentences, text_dataset


@pytest.fixture
def store(cat):
    append_texts(cat, "web", sentences(150), fragments=2, licence="CC0-1.0")
    append_texts(cat, "chat", [*sentences(39, seed=1), 'odd "quotes"\n\u2028 \U0001f600 \u05d0'])
    publish(cat, {"name": "m", "parts": [{"dataset": "web"}, {"dataset": "chat"}]})
    return cat


def expected(store, name="text"):
    return [value for batch in store.mix("m").batches(columns=[name]) for value in batch.column(name).to_pylist()]


def read(folder, name="text"):
    out = []
    for shard in json.loads((folder / "manifest.json").read_bytes())["shards"]:
        path = folder / shard["file"]
        if path.suffix == ".parquet":
            out += pq.read_table(path).column(name).to_pylist()
        else:
            out += [json.loads(line)[name] for line in path.read_text("utf-8").split("\n") if line]
    return out


@pytest.mark.parametrize("format", ["parquet", "jsonl"])
def test_export_holds_every_row_in_order(store, tmp_path, format):
    target = tmp_path / "out" / "m"
    manifest = store.mix("m").export(target, format, shard_rows=64)
    assert (manifest["rows"], len(manifest["shards"])) == (190, 3)
    assert read(target) == expected(store) and read(target, "_index") == list(range(190))
    assert not list(target.parent.glob("*.partial")) and not list(target.glob("*.done"))
    assert store.mix("m").export(target, format, shard_rows=64) == manifest, "the same export again is the same"
    with pytest.raises(BadInput, match="exists and is not this export"):
        store.mix("m").export(target, format, shard_rows=65)


def test_ranks_export_the_mix_between_them(store, tmp_path):
    parts = [read_rank(store, tmp_path / f"r{rank}", rank) for rank in range(3)]
    assert sorted(index for part in parts for index in part) == list(range(20, 150))


def read_rank(store, target, rank):
    store.mix("m").export(target, "jsonl", columns=["text"], rank=rank, world=3, start=20, stop=150, shard_rows=10)
    return read(target, "_index")


def test_an_interrupted_export_is_not_visible_and_resumes(store, tmp_path, monkeypatch):
    target, reader = tmp_path / "m", store.mix("m")
    held, calls = get_exporter("jsonl"), []

    def failing(file, schema, batches):
        calls.append(1)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        held.write(file, schema, batches)

    monkeypatch.setitem(REGISTRY["exporter"], "jsonl", replace(held, write=failing))
    with pytest.raises(StrataError, match="No space left on device"):
        reader.export(target, "jsonl", shard_rows=50)
    assert not target.exists() and len(list(tmp_path.glob("m.*.partial"))) == 1
    reader.export(target, "jsonl", shard_rows=50)
    assert len(calls) == 5, "the two complete shards were kept"
    assert read(target) == expected(store)
    assert exporting.discard_partial(target) == 0


def test_partial_exports_can_be_discarded(store, tmp_path, monkeypatch):
    def failing(*args):
        raise OSError(5, "I/O error")

    monkeypatch.setitem(REGISTRY["exporter"], "jsonl", replace(get_exporter("jsonl"), write=failing))
    with pytest.raises(StrataError):
        store.mix("m").export(tmp_path / "m", "jsonl")
    assert exporting.discard_partial(tmp_path / "m") == 1 and not list(tmp_path.glob("m*"))


def test_wrong_formats_are_refused(store, tmp_path):
    with pytest.raises(BadInput, match="'csv' is not one of jsonl, mds, megatron, parquet, webdataset"):
        store.mix("m").export(tmp_path / "m", "csv")


def test_an_exporter_is_a_decorated_function(store, tmp_path, monkeypatch):
    monkeypatch.setitem(REGISTRY, "exporter", dict(REGISTRY.get("exporter", {})))

    @exporter("lengths", suffix=".txt")
    def write(file, schema, batches):
        """One number a line."""
        for batch in batches:
            file.write("".join(f"{len(text)}\n" for text in batch.column("text").to_pylist()).encode())

    manifest = store.mix("m").export(tmp_path / "m", "lengths", columns=["text"], shard_rows=100)
    assert [shard["file"] for shard in manifest["shards"]] == ["part-00000.txt", "part-00001.txt"]
    told = [int(line) for shard in manifest["shards"] for line in (tmp_path / "m" / shard["file"]).read_text().split()]
    assert told == [len(text) for text in expected(store)]


def test_a_selection_is_served_and_exported_in_table_order(store, tmp_path):
    store.select("short", "web", "length(text) < 220")
    texts = [
        text
        for batch in store.scan("web", ["text"], where="length(text) < 220")
        for text in batch.column(0).to_pylist()
    ]
    reader = store.pull("short")
    assert 10 < len(reader) == len(texts) < 150
    assert [t for batch in reader.batches(columns=["text"]) for t in batch.column("text").to_pylist()] == texts
    assert len(pickle.loads(pickle.dumps(reader))) == len(texts)
    reader.export(tmp_path / "short", "parquet", shard_rows=20)
    assert read(tmp_path / "short") == texts and read(tmp_path / "short", "_index") == list(range(len(texts)))
    assert store.pull("short@v1").export(tmp_path / "short", "parquet", shard_rows=20)["rows"] == len(texts)
    with pytest.raises(BadInput, match="no lock to train on: publish a mix"):
        reader.torch(4)
    append_texts(store, "web", ["short and new"])
    assert len(store.pull("short")) == len(texts) + 1
    with pytest.raises(BadInput, match="exists and is not this export"):
        store.pull("short").export(tmp_path / "short", "parquet", shard_rows=20)


def test_retracted_rows_are_not_exported(store, tmp_path):
    victim = next(store.mix("m").batches(columns=["sample_id"])).column("sample_id")[5].as_py()
    store.retract(reason="takedown", ids=[victim])
    store.mix("m").export(tmp_path / "m", "jsonl", shard_rows=100)
    assert victim not in read(tmp_path / "m", "sample_id") and len(read(tmp_path / "m")) == 189
    assert read(tmp_path / "m", "_index") == [index for index in range(190) if index != 5]


@pytest.mark.parametrize("streaming", [True, False])
def test_hugging_face_view(store, streaming):
    pytest.importorskip("datasets")
    made = store.mix("m").to_hf(streaming=streaming, columns=["text"], start=10, rank=1, world=2)
    assert [row["_index"] for row in made] == list(range(11, 190, 2))
    assert [row["text"] for row in made] == expected(store)[11::2]
    assert set(made.column_names) == {"_index", "_part", "_epoch", "text"}


def test_kinds_mix_and_what_a_kind_lacks_is_null(store, tmp_path):
    turns = [
        {"messages": [{"role": "user", "content": f"q{n}"}, {"role": "assistant", "content": f"a{n}"}]}
        for n in range(6)
    ]
    text_dataset(store, tmp_path, "talk", turns)
    publish(store, {"name": "both", "parts": [{"dataset": "talk"}, {"dataset": "web", "samples": 6}]})
    batch = store.mix("both").take(range(12))
    for part, messages in zip(batch.column("_part").to_pylist(), batch.column("messages").to_pylist(), strict=True):
        assert (messages is None) == (part == 1)
        assert messages is None or [turn["role"] for turn in messages] == ["user", "assistant"]
    store.mix("both").export(tmp_path / "both", "jsonl")
    served = [row for row in read(tmp_path / "both", "messages") if row]
    assert sorted(row[0]["content"] for row in served) == [f"q{n}" for n in range(6)]
    store.mix("both").export(tmp_path / "both-parquet", "parquet")
    assert sum(1 for row in read(tmp_path / "both-parquet", "messages") if row) == 6
    loaded = next(iter(store.mix("both").to_hf()))
    assert "messages" in loaded and loaded["_index"] == 0
