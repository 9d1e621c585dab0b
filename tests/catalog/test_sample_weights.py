"""Weights of samples: pinned by the lock or named by the reader, delivered with every batch, aligned with labels."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from catalog.errors import BadInput, Corrupt, NotFound
from catalog.meta.models import Dataset
from catalog.mixes import publish, revise
from catalog.testing import append_texts, attach_columns, sentences, tiny_tokenizer
from flows.selecting import select

WEB, CHAT = 70, 25


def weight_of(text):
    return np.float32(len(text) % 7 + 0.25)


@pytest.fixture
def store(cat):
    texts = {"web": [*sentences(WEB - 1), "long " * 90], "chat": sentences(CHAT, seed=1)}
    for name, held in texts.items():
        append_texts(cat, name, held, fragments=2)
        grades = [float(weight_of(text)) for text in held]
        attach_columns(cat, name, {"grade": grades, "steps": [int(grade) for grade in grades]})
    return cat


def spec(**facts):
    parts = [{"dataset": "web", "weight": 2, "max_epochs": 2}, {"dataset": "chat", "weight": 1, "max_epochs": 3}]
    return {"name": "m", "total": 120, "parts": parts, **facts}


def test_the_lock_pins_the_column_and_every_batch_brings_it(store):
    lock = publish(store, spec(sample_weight="grade")).lock
    held = lock["parts"][0]["sample_weight"]
    assert held["column"] == "grade" and held["physical"].startswith("grade__") and held["fingerprint"]
    reader, seen = store.mix("m"), []
    for batch in reader.batches(batch_rows=32, columns=["text"]):
        assert batch.schema.names == ["_index", "_part", "_epoch", "sample_weight", "text"]
        wanted = [weight_of(text) for text in batch.column("text").to_pylist()]
        assert batch.column("sample_weight").to_pylist() == wanted
        seen += wanted
    row = reader.take([7, 3], ["text"])
    assert row.column("sample_weight").to_pylist() == [seen[7], seen[3]]
    assert reader.schema(["text"]).names == row.schema.names


def test_one_part_may_weigh_and_another_not(store):
    body = spec()
    body["parts"][0]["sample_weight"] = "chars"
    publish(store, body)
    batch = store.mix("m").take(range(120), ["chars"])
    wanted = np.where(batch.column("_part").to_numpy() == 0, batch.column("chars").to_numpy(), 1)
    assert batch.column("sample_weight").to_numpy().tolist() == wanted.tolist()


def test_without_weights_a_lock_and_its_batches_are_as_before(store):
    lock = publish(store, spec()).lock
    assert "sample_weight" not in lock["spec"] and not any("sample_weight" in part for part in lock["parts"])
    assert "sample_weight" not in store.mix("m").schema().names


def test_a_reader_may_name_a_column(store):
    publish(store, spec(sample_weight="grade"))
    reader = store.mix("m")
    batch = reader.take(range(120), ["text", "steps"], weights="steps")
    assert batch.column("sample_weight").to_pylist() == batch.column("steps").to_pylist()
    (whole,) = reader.batches(batch_rows=200, columns=["text"], weights="steps")
    assert whole.column("sample_weight").equals(batch.column("sample_weight"))
    with pytest.raises(NotFound, match="did you mean grade"):
        reader.batches(weights="grades")
    with pytest.raises(BadInput, match="weighed by numbers, and text holds string"):
        reader.batches(weights="text")


def test_torch_and_hugging_face_bring_it_too(store):
    torch = pytest.importorskip("torch")
    publish(store, spec(sample_weight="grade"))
    reader = store.mix("m")
    total = sum(float(weight_of(text)) for text in reader.take(range(120), ["text"]).column("text").to_pylist())
    for options in ({}, {"weights": "grade"}):
        found = [batch["sample_weight"] for rank in (0, 1) for batch in reader.torch(8, rank=rank, world=2, **options)]
        assert all(held.dtype == torch.float32 for held in found)
        assert sum(float(held.double().sum()) for held in found) == total
    pytest.importorskip("datasets")
    assert sum(row["sample_weight"] for row in reader.to_hf(columns=["text"])) == total
    assert sum(reader.to_hf(columns=["text"], streaming=False, weights="grade")["sample_weight"]) == total


def test_exports_keep_it(store, tmp_path):
    publish(store, spec(sample_weight="grade"))
    for format in ("jsonl", "mds", "webdataset"):
        store.mix("m").export(tmp_path / format, format, columns=["text"], stop=20)
    lines = [json.loads(line) for line in (tmp_path / "jsonl" / "part-00000.jsonl").read_text("utf-8").splitlines()]
    assert len(lines) == 20 and all(line["sample_weight"] == weight_of(line["text"]) for line in lines)
    assert "sample_weight" in json.loads((tmp_path / "mds" / "index.json").read_text())["shards"][0]["column_names"]
    store.mix("m").export(tmp_path / "out", "parquet", columns=["text"])
    held = pq.read_table(tmp_path / "out" / "part-00000.parquet")
    assert held.column("sample_weight").to_pylist() == [weight_of(text) for text in held.column("text").to_pylist()]


@pytest.fixture
def folder(tmp_path):
    pytest.importorskip("tokenizers")
    return tiny_tokenizer(tmp_path / "tokenizer")


@pytest.mark.parametrize("known", [False, True])
def test_packed_weights_stand_at_the_labels_of_their_sample(store, folder, known):
    from catalog.pull.packed import IGNORED
    from catalog.pull.tokens import open_tokenizer

    raw = open_tokenizer(folder).raw
    if known:
        for name in ("web", "chat"):
            texts = store.lance(name).to_table(columns=["text"]).column("text").to_pylist()
            attach_columns(store, name, {"tokens": [len(raw.encode(text).ids) for text in texts]}, scorer="count")
    publish(store, spec(sample_weight="grade"))
    reader = store.mix("m")
    weight = [weight_of(text) for text in reader.take(range(120), ["text"]).column("text").to_pylist()]
    packed = reader.pack(folder, 64, window=32, lengths="tokens" if known else None)
    plain, labelled = reader.pack(folder, 64, window=32), np.zeros(120)
    for rank in range(2):
        for (batch, _), (same, _) in zip(
            packed.batches(3, rank=rank, world=2), plain.batches(3, rank=rank, world=2), strict=True
        ):
            assert batch.weights is not None and batch.weights.shape == batch.labels.shape
            assert (batch.input_ids == same.input_ids).all(), "weights move no sequence"
            expected = np.zeros(batch.labels.shape, np.float32)
            for row, begin, count, index, *_ in batch.sources.tolist():
                piece = batch.labels[row, begin : begin + count] != IGNORED
                expected[row, begin : begin + count] = np.where(piece, weight[index], 0)
                labelled[index] += piece.sum()
            assert (batch.weights == expected).all()
    total = sum(float(batch.weights.astype(float).sum()) for batch, _ in packed.batches(4))
    assert total == pytest.approx(float((labelled * weight).sum()), rel=1e-12)


def test_packed_weights_reach_torch_and_megatron(store, folder):
    torch = pytest.importorskip("torch")
    from catalog.pull.megatron import MegatronSequences

    publish(store, spec())
    packed = store.mix("m").pack(folder, 64, window=32, weights="grade")
    batch = next(iter(packed.torch(4)))
    assert batch["sample_weight"].shape == batch["labels"].shape and batch["sample_weight"].dtype == torch.float32
    assert ((batch["sample_weight"] > 0) == (batch["labels"] != -100)).all()
    item = MegatronSequences(packed, samples=1)[0]
    assert item["loss_mask"].tolist() == packed.sequence(0).weights[0, 1:].tolist()
    assert store.mix("m").pack(folder, 64, window=32).sequence(0).weights is None


def test_a_retracted_row_weighs_nothing(store, folder):
    publish(store, spec(sample_weight="grade"))
    gone = store.mix("m").take([5], ["sample_id"]).to_pylist()[0]["sample_id"]
    store.retract(reason="takedown", ids=[gone])
    packed = store.mix("m").pack(folder, 64, window=32)
    for batch, _ in packed.batches(8):
        assert ((batch.weights > 0) == (batch.labels != -100)).all()


def test_a_revision_keeps_the_weights(store):
    publish(store, spec(sample_weight="grade"))
    append_texts(store, "math", sentences(30, seed=3))
    revise(store, "m", 60, {"web": 1, "math": 1}, add=[{"dataset": "math", "sample_weight": "chars"}])
    batch = store.mix("m").take(range(len(store.mix("m"))), ["text", "chars"]).to_pylist()
    for row in batch:
        assert row["sample_weight"] == (row["chars"] if row["_part"] == 2 else weight_of(row["text"]))


def test_what_is_refused_is_one_line_and_publishes_nothing(store):
    wrong = [1.0, None, float("nan"), *[1.0] * (CHAT - 3)]  # NaN is above every number
    attach_columns(store, "chat", {"holes": wrong, "huge": [1e100] * CHAT}, scorer="other")
    for column, error, message in (
        (
            "holes",
            BadInput,
            r"part 1 \(chat\): sample_weight: 2 of its 25 rows have no number in holes; leave them out",
        ),
        ("huge", BadInput, "25 of its 25 rows have no number in huge"),
        ("text", BadInput, "weighed by numbers, and text holds string"),
        ("grate", NotFound, "did you mean grade"),
    ):
        with pytest.raises(error, match=message) as caught:
            publish(store, {"name": "n", "parts": [{"dataset": "chat", "sample_weight": column}]})
        assert "\n" not in str(caught.value)
    made = publish(store, {"name": "n", "sample_weight": "holes", "parts": [{"dataset": "chat", "where": "holes < 9"}]})
    assert (
        store.mix("n").take(range(made.lock["totals"]["samples"]), []).column("sample_weight").to_pylist() == [1] * 23
    )
    publish(store, {"name": "o", "parts": [{"dataset": "chat"}]})
    with pytest.raises(BadInput, match=r"index \d+ has no weight in holes"):
        store.mix("o").take(range(25), ["text"], weights="holes")


def test_a_column_that_is_gone_is_named(store):
    """Somebody took it out of the table behind the catalog's back."""
    lock = publish(store, spec(sample_weight="grade")).lock
    table = store.lance("web")
    table.drop_columns([lock["parts"][0]["sample_weight"]["physical"]])
    with store.session() as session:
        held = session.get(Dataset, lock["parts"][0]["dataset_id"])
        held.lance_version = table.version
        session.add(held)
        session.commit()
    with pytest.raises(
        Corrupt, match=r"weighs samples by grade of web \(fingerprint [0-9a-f]{12}\), which the store"
    ) as caught:
        store.mix("m")
    assert "\n" not in str(caught.value)


def test_weights_of_a_selector_arrive_with_its_rows(store):
    """Rows drawn with unequal chances bring 1 / chance, so that weighed sums estimate those of all rows."""
    made = select(store, "drawn", "web", "subsample", 35, params={"by": "grade", "weights": "inverse"}, seed=4)
    column = next(c.alias for c in store.columns("web") if c.output == "weight")
    assert column == "weight_drawn_v1" and made.name == "drawn"
    publish(store, {"name": "s", "parts": [{"selection": "drawn", "sample_weight": column}]})
    batch = store.mix("s").take(range(len(store.mix("s"))), ["grade", column])
    weights, grades = batch.column("sample_weight").to_numpy(), batch.column("grade").to_numpy()
    assert weights.tolist() == batch.column(column).to_pylist() and weights.min() >= 1
    free = weights > 1
    assert free.sum() > 9 and np.ptp((weights * grades)[free]) < 1e-4, "1 / chance, and chance grows with the grade"
    every = store.sql("select sum(grade) n from web").rows()[0]["n"]
    assert float((weights * grades).sum()) == pytest.approx(float(every), rel=0.35)
