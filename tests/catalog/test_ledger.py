"""The ledger: what was served survives a kill, a resume supersedes, and the records become columns and answers."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.errors import BadInput, NotFound
from catalog.mixes import publish
from catalog.pull.ledger import Ledger, audit, next_attempt, read_run, runs_of
from catalog.pull.ledger_columns import add_ledger, left, loss_curves, who
from catalog.testing import append_texts, errors_of, sentences


@pytest.fixture
def reader(cat):
    append_texts(cat, "web", sentences(90), fragments=2)
    append_texts(cat, "chat", sentences(20, seed=1))
    parts = [{"dataset": "web", "weight": 2}, {"dataset": "chat", "weight": 1, "max_epochs": 3}]
    publish(cat, {"name": "m", "total": 120, "parts": parts})
    return cat.mix("m")


def loss_of(index, step):
    return index + step / 1000


def train(reader, run, attempt, world, begin, steps, size=4, first=1):
    """`steps` steps of a world, as a trainer without a model takes them; returns the state after the last."""
    for rank in range(world):
        ledger = Ledger(reader, run, attempt=attempt, rank=rank, world=world, begin=begin)
        batches = reader.batches(begin, begin + steps * size * world, rank=rank, world=world, batch_rows=size)
        for step, batch in enumerate(batches, first):
            ledger.record(step, batch, loss=[loss_of(index, step) for index in batch.column("_index").to_pylist()])
        ledger.flush()
    return min(len(reader), begin + steps * size * world)


def test_what_was_served_is_there_once(reader):
    end = train(reader, "r", 1, 2, 0, 5)
    held = read_run(reader, "r")
    assert held.column("index").to_pylist() == list(range(end)) == held.column("position").to_pylist()
    part, _ = reader.locate(range(end))
    assert held.column("part").to_pylist() == part.tolist()
    assert audit(reader, held) == {"samples": 40, "records": 40, "packed": False, "lost": [], "repeated": []}
    assert runs_of(reader) == ["r"] and next_attempt(reader, "r") == 2


def test_a_resume_supersedes_what_came_after_its_checkpoint(reader):
    train(reader, "r", 1, 2, 0, 6)  # 48 samples, of which the checkpoint knows 24
    train(reader, "r", 2, 3, 24, 2, first=4)  # and this attempt was lost as a whole
    end = train(reader, "r", 3, 4, 24, 6, first=4)
    held = read_run(reader, "r")
    assert audit(reader, held) == {"samples": end, "records": end, "packed": False, "lost": [], "repeated": []}
    assert set(zip(held.column("attempt").to_pylist(), held.column("world").to_pylist())) == {(1, 2), (3, 4)}
    everything = audit(reader, read_run(reader, "r", superseded=True))
    assert everything["repeated"] == list(range(24, 48)), "the audit can fail"


def test_the_audit_names_what_is_lost(reader):
    train(reader, "r", 1, 2, 0, 3)
    train(reader, "r", 2, 1, 40, 3)
    assert audit(reader, read_run(reader, "r"))["lost"] == list(range(24, 40))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 12_000))
def test_a_torn_file_keeps_its_whole_records(reader, cut):
    if "torn" not in runs_of(reader):
        train(reader, "torn", 1, 1, 0, 10)
    path = reader.settings.home / "ledger" / reader.ref / "torn" / "a0001-r00000.arrows"
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[:cut])
        found = read_run(reader, "torn").column("index").to_pylist()
    finally:
        path.write_bytes(whole)
    assert found == list(range(len(found))) and len(found) % 4 == 0
    assert len(found) == 40 or cut < len(whole)
    assert len(found) >= 4 * min(10, (cut - 1400) // 1000), "a record is less than a kilobyte, the head less than 1.4"


def test_ledgers_become_columns(cat, reader):
    train(reader, "r-1", 1, 2, 0, 15)
    made = add_ledger(cat, "m")["runs"][0]
    assert made["lost"] == 0 and made["repeated"] == 0 and made["samples"] == 120
    assert add_ledger(cat, "m")["runs"][0] == made, "the same records again change nothing"
    wanted = {}
    for row in read_run(reader, "r-1").to_pylist():
        wanted.setdefault((row["part"], int(reader.locate([row["index"]])[1][0])), []).append(
            (row["step"], row["loss"])
        )
    for part, name in enumerate(("web", "chat")):
        columns = ", ".join(f"{output}_r_1" for output in ("seen", "step_last", "loss_first", "loss_last"))
        rows = cat.sql(f"select sample_id, {columns} from {name}").rows()
        ids = cat.lance(name).scanner(columns=["sample_id"], with_row_id=True).to_table().to_pylist()
        row_of = {row["sample_id"]: row["_rowid"] for row in ids}
        assert len(rows) == len(ids)
        for row in rows:
            seen = wanted.get((part, row_of[row["sample_id"]]))
            if seen is None:
                assert row["seen_r_1"] is None
                continue
            found = [row[f"{output}_r_1"] for output in ("seen", "step_last", "loss_first", "loss_last")]
            assert found == [len(seen), seen[-1][0], pytest.approx(seen[0][1]), pytest.approx(seen[-1][1])]
    assert max(len(seen) for seen in wanted.values()) == 2 and errors_of(cat) == []


def test_what_it_answers(cat, reader):
    train(reader, "r", 1, 2, 0, 10)
    row = reader.take([33], ["sample_id"]).to_pylist()[0]
    found = who(cat, row["sample_id"])
    assert [(held["run"], held["index"], held["rank"], held["step"]) for held in found][-1:] == [("r", 33, 1, 5)]
    assert all(
        reader.take([held["index"]], ["sample_id"]).to_pylist()[0]["sample_id"] == row["sample_id"] for held in found
    )
    part, _ = reader.locate(range(80))
    assert [held["served"] for held in left(reader, "r")] == np.bincount(part).tolist()
    assert [held["served"] + held["left"] for held in left(reader, "r")] == [80, 40]
    for by, names in (("part", ["1 web", "2 chat"]), ("source", ["chat", "web"])):
        curve = loss_curves(reader, "r", by=by, bins=5)
        assert sorted({held[by] for held in curve}) == names and sum(held["samples"] for held in curve) == 80
        first = [held for held in curve if held["from_step"] == 1]
        mine = [loss_of(i, i // 8 + 1) for i in range(16) if part[i] == 1]
        assert [held["loss"] for held in first if "chat" in held[by]] == [pytest.approx(np.mean(mine), rel=1e-5)]


def test_files_from_elsewhere(cat, reader, tmp_path):
    ledger = Ledger(reader, "far", folder=tmp_path / "scratch")
    batches = list(reader.batches(batch_rows=8))
    ledger.record(1, batches[0])
    early = add_ledger(cat, "m", [ledger.path])["runs"][0]
    ledger.record(2, batches[1])
    ledger.close()
    later = add_ledger(cat, "m", [ledger.path])["runs"][0]
    assert (early["samples"], later["samples"]) == (8, 16) and early["columns"] != later["columns"]
    with pytest.raises(BadInput, match="recorded no losses"):
        loss_curves(reader, "far")
    other = Ledger(reader, "far", folder=tmp_path / "other")
    other.record(1, batches[1])
    with pytest.raises(BadInput, match="held with other content"):
        add_ledger(cat, "m", [other.path])
    publish(cat, {"name": "n", "parts": [{"dataset": "chat"}]})
    with pytest.raises(BadInput, match="is a ledger of m@v1"):
        add_ledger(cat, "n", [ledger.path])
    (tmp_path / "x.arrows").write_bytes(b"x" * 9000)
    with pytest.raises(BadInput, match="is no ledger"):
        add_ledger(cat, "m", [tmp_path / "x.arrows"])


def test_what_is_refused(cat, reader):
    Ledger(reader, "r")
    with pytest.raises(BadInput, match="attempt 1 of run r is recorded already"):
        Ledger(reader, "r")
    with pytest.raises(BadInput, match="names a folder"):
        Ledger(reader, "../r")
    with pytest.raises(BadInput, match="begin is the state"):
        Ledger(reader, "s", begin={"lock": "other", "next": 3})
    batch = next(reader.batches(batch_rows=4))
    ledger = Ledger(reader, "t")
    with pytest.raises(BadInput, match="loss has 3 numbers for 4 samples"):
        ledger.record(1, batch, loss=[1, 2, 3])
    with pytest.raises(BadInput, match="the batch has no _index"):
        ledger.record(1, {"text": ["a"]})
    with pytest.raises(NotFound, match="run"):
        read_run(reader, "never")
    assert isinstance(read_run(reader, "t"), pa.Table) and read_run(reader, "t").num_rows == 0
