"""What is exported is read back by the library of its format, and by the bytes that library writes itself."""

import hashlib
import io
import json
import struct
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pytest

from catalog.errors import BadInput
from catalog.mixes import publish
from catalog.pull.formats import get_exporter
from catalog.testing import append_texts, sentences, tiny_tokenizer

GOLDEN = Path(__file__).parents[1] / "oracles" / "data" / "mds_golden.json"


@pytest.fixture
def store(cat):
    append_texts(cat, "web", [*sentences(90), "", "Zürich 東京"], fragments=2)
    append_texts(cat, "chat", sentences(30, seed=1))
    parts = [{"dataset": "web", "weight": 3}, {"dataset": "chat", "weight": 1, "max_epochs": 2}]
    publish(cat, {"name": "m", "total": 120, "parts": parts})
    return cat


def rows_of(reader, columns):
    return reader.take(range(len(reader)), columns).to_pylist()


def check_manifest(folder):
    manifest = orjson.loads((folder / "manifest.json").read_bytes())
    listed = [
        *(file for shard in manifest["shards"] for file in shard.get("files", [shard])),
        *manifest.get("files", []),
    ]
    for file in listed:
        assert hashlib.sha256((folder / file["file"]).read_bytes()).hexdigest() == file["sha256"]
    assert {path.name for path in folder.iterdir()} == {file["file"] for file in listed} | {"manifest.json"}
    return manifest


def test_webdataset_reads_its_shards(store, tmp_path):
    wds = pytest.importorskip("webdataset")
    reader, folder = store.mix("m"), tmp_path / "out"
    reader.export(folder, "webdataset", columns=["sample_id", "text"], shard_rows=50)
    check_manifest(folder)
    shards = [str(folder / f"part-0000{n}.tar") for n in range(3)]
    found = []
    for sample in wds.WebDataset(shards, shardshuffle=False).decode():
        assert sample["__key__"] == f"{sample['json']['_index']:012d}"
        found.append({**sample["json"], "text": sample.get("txt")})
    assert found == rows_of(reader, ["sample_id", "text"])


def test_mds_is_what_mosaicmls_writer_writes():
    golden = orjson.loads(GOLDEN.read_bytes())
    message = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    fields = [pa.field("_index", pa.int64()), pa.field("_part", pa.int32()), pa.field("_epoch", pa.int32()),
              pa.field("sample_id", pa.string(), nullable=False), pa.field("text", pa.string()),
              pa.field("score", pa.float64()), pa.field("chars", pa.int32()), pa.field("messages", message)]  # fmt: skip
    schema, file = pa.schema(fields), io.BytesIO()
    get_exporter("mds").write(file, schema, iter([pa.RecordBatch.from_pylist(golden["rows"], schema=schema)]))
    assert file.getvalue().hex() == golden["shard"]


def read_mds(folder):
    """A reader after the documented format, of what the index says."""
    for shard in json.loads((folder / "index.json").read_text())["shards"]:
        body = (folder / shard["raw_data"]["basename"]).read_bytes()
        assert len(body) == shard["raw_data"]["bytes"]
        assert hashlib.sha256(body).hexdigest() == shard["raw_data"]["hashes"]["sha256"]
        count = struct.unpack_from("<I", body)[0]
        offsets = np.frombuffer(body, "<u4", count + 1, 4)
        assert count == shard["samples"] and offsets[-1] == len(body)
        names, how, sizes = shard["column_names"], shard["column_encodings"], shard["column_sizes"]
        for at in offsets[:-1].tolist():
            lengths = list(sizes)
            for number, size in enumerate(sizes):
                if size is None:
                    lengths[number], at = struct.unpack_from("<I", body, at)[0], at + 4
            row = {}
            for name, kind, length in zip(names, how, lengths, strict=True):
                held, at = body[at : at + length], at + length
                row[name] = (
                    held.decode()
                    if kind == "str"
                    else json.loads(held)
                    if kind == "json"
                    else np.frombuffer(held, kind)[0].item()
                )
            yield row


def test_mds_shards_come_back(store, tmp_path):
    reader, folder = store.mix("m"), tmp_path / "out"
    gone = rows_of(reader, ["sample_id"])[5]["sample_id"]
    store.retract(reason="takedown", ids=[gone])
    reader = store.mix("m")
    reader.export(folder, "mds", columns=["sample_id", "text", "chars", "url"], shard_rows=50)
    check_manifest(folder)
    wanted = rows_of(reader, ["sample_id", "text", "chars", "url"])
    assert list(read_mds(folder)) == [{**row, "text": row["text"] or ""} for row in wanted]
    assert (
        json.loads((folder / "index.json").read_text())["shards"][0].keys()
        == orjson.loads(GOLDEN.read_bytes())["index"]["shards"][0].keys()
    )


@pytest.fixture
def tokenizer(tmp_path):
    return tiny_tokenizer(tmp_path / "tokenizer")


def test_megatron_reads_a_pair_a_part(store, tmp_path, tokenizer):
    indexed = pytest.importorskip("megatron.core.datasets.indexed_dataset")
    from catalog.pull.tokens import open_tokenizer

    held, reader, folder = open_tokenizer(tokenizer), store.mix("m"), tmp_path / "out"
    reader.export(folder, "megatron", options={"tokenizer": str(tokenizer)})
    manifest = check_manifest(folder)
    assert manifest["order"].startswith("not preserved") and manifest["options"]["tokenizer"] == held.digest
    served = rows_of(reader, ["text"])
    for part, name in enumerate(["part-00000-web", "part-00001-chat"]):
        found = indexed.IndexedDataset(str(folder / name))
        wanted = [row["text"] for row in served if row["_part"] == part and row["_epoch"] == 0 and row["text"]]
        assert [ids.tolist() for ids in found] == [[*held.raw.encode(text).ids, held.end] for text in wanted]
        assert found.document_indices.tolist() == list(range(len(wanted) + 1)) and found.index.dtype is np.uint16
    blend = (folder / "data-path.txt").read_text().split()
    assert blend[1::2] == ["part-00000-web", "part-00001-chat"]
    tokens = [sum(len(held.raw.encode(row["text"] or "").ids) + bool(row["text"]) for row in served if row["_part"] == part)
              for part in (0, 1)]  # fmt: skip
    assert [float(weight) for weight in blend[::2]] == pytest.approx([n / sum(tokens) for n in tokens], rel=0.03)


def test_a_large_vocabulary_has_four_bytes_a_token(tmp_path):
    indexed = pytest.importorskip("megatron.core.datasets.indexed_dataset")
    from catalog.pull.exporters.megatron import write_pair

    documents = [np.array(ids, np.int32) for ids in ([1, 70_000], [5], [69_999, 2, 3])]
    with open(tmp_path / "x.bin", "wb") as tokens, open(tmp_path / "x.idx", "wb") as index:
        assert write_pair(tokens, index, iter(documents), 70_001) == (3, 6)
    found = indexed.IndexedDataset(str(tmp_path / "x"))
    assert [ids.tolist() for ids in found] == [ids.tolist() for ids in documents]


def test_a_crash_keeps_what_was_complete(store, tmp_path, tokenizer, monkeypatch):
    """The second part fails; the repeated command writes only that, and the folder is that of an undisturbed export."""
    import catalog.pull.exporters.megatron as megatron

    reader, real, calls = store.mix("m"), megatron.write_pair, []

    def failing(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        return real(*arguments)

    monkeypatch.setattr(megatron, "write_pair", failing)
    options = {"tokenizer": str(tokenizer)}
    with pytest.raises(Exception, match="No space left on device; mend that and repeat to resume"):
        reader.export(tmp_path / "out", "megatron", options=options)
    assert not (tmp_path / "out").exists()
    reader.export(tmp_path / "out", "megatron", options=options)
    assert len(calls) == 3
    reader.export(tmp_path / "whole", "megatron", options=options)
    assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == {
        p.name: p.read_bytes() for p in (tmp_path / "whole").iterdir()
    }
    again = reader.export(tmp_path / "out", "megatron", options=options)
    assert len(calls) == 5 and again == check_manifest(tmp_path / "out")


def test_options_that_are_wrong(store, tmp_path, tokenizer):
    reader = store.mix("m")
    with pytest.raises(BadInput, match="has no option tokenizer; it takes none"):
        reader.export(tmp_path / "out", "mds", options={"tokenizer": "x"})
    with pytest.raises(BadInput, match="needs a tokenizer"):
        reader.export(tmp_path / "out", "megatron")
    with pytest.raises(BadInput, match="has no option size; it takes tokenizer, end"):
        reader.export(tmp_path / "out", "megatron", options={"size": 1})
    reader.export(tmp_path / "out", "megatron", options={"tokenizer": str(tokenizer)})
    other = tiny_tokenizer(tmp_path / "other", size=300)
    with pytest.raises(BadInput, match="exists and is not this export"):
        reader.export(tmp_path / "out", "megatron", options={"tokenizer": str(other)})
