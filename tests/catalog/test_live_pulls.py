"""A live pull leaves one row: lock, actor, where it began. It never holds training up, and a store that cannot be written
is no reason to stop."""

from __future__ import annotations

import time

import pytest
from sqlmodel import select

from catalog.catalog import Catalog
from catalog.leaks import _streamed
from catalog.meta import session as meta
from catalog.meta.models import Stream
from catalog.pull import live
from catalog.settings import load_settings
from catalog.testing import append_texts, errors_of, sentences


@pytest.fixture
def cat(tmp_path):
    cat = Catalog(load_settings(tmp_path / "home"))
    append_texts(cat, "web", sentences(60))
    cat.publish_mix({"name": "diet", "parts": [{"dataset": "web"}], "seed": 1})
    return cat


def streams(cat):
    with cat.session() as session:
        return list(session.exec(select(Stream).order_by(Stream.created)))


def test_torch_hf_and_arrow_are_recorded_once_a_start_and_exports_are_not(cat, tmp_path):
    reader = cat.mix("diet")
    reader.export(tmp_path / "out", "jsonl")
    reader.verify(full=True)
    assert streams(cat) == []
    loader = reader.torch(8, rank=1, world=2, columns=["text"])
    first = next(iter(loader))
    assert len(first["text"]) == 8 and [s.face for s in streams(cat)] == ["torch"]
    for _ in loader:  # goes on at index 16: another start
        pass
    assert len(list(reader.to_hf(columns=["text"]))) == 60
    for at in range(0, 60, 20):
        list(reader.batches(at, at + 20))
    held = streams(cat)
    assert [(s.face, s.rank, s.world, s.start, s.stop) for s in held] == [
        ("torch", 1, 2, 0, 60), ("torch", 1, 2, 16, 60), ("hf", 0, 1, 0, 60), ("arrow", 0, 1, 0, 20),
    ]  # fmt: skip
    assert {(s.mix, s.lock, s.actor) for s in held} == {("diet@v1", reader.digest, cat.settings.actor)}
    assert errors_of(cat) == []
    cat.lineage("mix:diet@v1")


def test_workers_and_the_iterable_alone_record_one_stream(cat):
    reader = cat.mix("diet")
    assert sum(len(batch["text"]) for batch in reader.torch(10, workers=1, columns=["text"])) == 60
    assert [s.face for s in streams(cat)] == ["torch"]
    from catalog.pull.pytorch import StrataIterable

    assert sum(len(batch["text"]) for batch in StrataIterable(cat.mix("diet"), 10)) == 60
    assert [s.face for s in streams(cat)] == ["torch", "torch"]


def test_a_store_that_cannot_be_written_changes_nothing(cat, monkeypatch):
    from sqlalchemy import event

    want = [row["sample_id"] for batch in cat.mix("diet").batches(batch_rows=7) for row in batch.to_pylist()]
    before = len(streams(cat))
    engine = meta.engine_of(cat.settings.database)

    def read_only(connection, record, proxy):
        connection.execute("PRAGMA query_only=ON")

    event.listen(engine, "checkout", read_only)
    try:
        got = [row["sample_id"] for batch in cat.mix("diet").batches(batch_rows=7) for row in batch.to_pylist()]
        assert got == want and len(list(cat.mix("diet").torch(8))) == 8
    finally:
        event.remove(engine, "checkout", read_only)
        engine.dispose()
    assert len(streams(cat)) == before


def test_a_store_that_is_busy_holds_the_first_batch_only_for_the_bound(cat, monkeypatch):
    monkeypatch.setattr(live, "WAIT", 0.2)
    monkeypatch.setattr(live, "_record", lambda *given: time.sleep(5))
    began = time.monotonic()
    assert sum(batch.num_rows for batch in cat.mix("diet").batches(batch_rows=10)) == 60
    assert time.monotonic() - began < 3


def test_ranks_of_one_pull_are_one_line():
    ranks = [Stream(mix="m@v1", lock="l", face="torch", actor="ann", host=f"node{r}", rank=r, world=2, start=4096, stop=9000,
                    created="2025-01-02T03:04:05") for r in range(2)]  # fmt: skip
    assert _streamed(ranks) == ["torch stream of ann on node0 by 2 ranks, from index 4,096 on (2025-01-02T03:04)"]
