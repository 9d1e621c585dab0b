"""A takedown: what it reaches, to the index of every mix that serves it, and what is left afterwards."""

import json

import numpy as np
import pytest

from catalog import Catalog
from catalog.errors import BadInput, NotFound
from catalog.ingest import ingest
from catalog.mixes import publish
from catalog.testing import errors_of, write_jsonl


@pytest.fixture
def cat(tmp_path):
    cat = Catalog.open(tmp_path / "home")
    rows = [{"text": f"page {n} of some words", "url": f"https://{'a' if n < 10 else 'b'}.org/{n}"} for n in range(40)]
    ingest(cat, [str(write_jsonl(tmp_path / "web.jsonl", rows))], "web", source="crawl")
    mirror = [{"text": f"page {n} of some words", "url": f"https://c.org/{n}"} for n in range(5, 15)]
    ingest(cat, [str(write_jsonl(tmp_path / "mirror.jsonl", mirror))], "mirror", source="mirror")
    parts = [{"dataset": "web", "weight": 3, "max_epochs": 3}, {"dataset": "mirror", "weight": 1, "max_epochs": 3}]
    publish(cat, {"name": "m", "total": 100, "parts": parts})
    return cat


def served(cat, ids):
    """Global indices of the mix at which one of the samples stands, by reading all of it."""
    return [
        index for batch in cat.mix("m").batches(columns=["sample_id"])
        for index, sample in zip(batch.column("_index").to_pylist(), batch.column("sample_id").to_pylist(), strict=True)
        if sample in ids
    ]  # fmt: skip


def ids_of(cat, name, where):
    return {row for batch in cat.scan(name, ["sample_id"], where=where) for row in batch.column(0).to_pylist()}


def test_an_address_reaches_rows_copies_and_every_index_that_serves_them(cat):
    wanted = ids_of(cat, "web", "starts_with(url, 'https://a.org/')")
    at = served(cat, wanted)
    found = cat.retract(match="https://a.org/", reason="request 17", dry_run=True)
    assert found["rows"] == {"web": 10} and found["copies"] == {"mirror": 5} and found["included"] == []
    assert found["mixes"] == [{"mix": "m@v1", "samples": len(at), "indices": at[:20]}]
    assert found["pulls"] and found["pulls"][0]["samples"] == len(at)
    assert cat.resolve("web").dataset.rows == 40 and "digest" not in found
    json.dumps(found)


def test_copies_go_too_when_asked_for_and_old_locks_shift_nothing(cat):
    before = {index: sample for index, sample in _sequence(cat)}
    found = cat.retract(match="https://a.org/", reason="request 17", copies=True)
    assert found["rows"] == {"web": 10, "mirror": 5} and len(found["digest"]) == 64 and found["run"]
    after = dict(_sequence(cat))
    assert len(after) == 100 - found["mixes"][0]["samples"]
    assert all(before[index] == sample for index, sample in after.items())
    assert errors_of(cat) == []


def _sequence(cat):
    for batch in cat.mix("m").batches(columns=["sample_id"]):
        yield from zip(batch.column("_index").to_pylist(), batch.column("sample_id").to_pylist(), strict=True)


def test_a_match_is_read_as_what_it_looks_like(cat):
    sample = sorted(ids_of(cat, "web", None))[3]
    assert cat.retract(match=sample[:12], reason="x", dry_run=True)["samples"] == 1
    assert cat.retract(match="mirror", reason="x", dry_run=True)["rows"] == {"mirror": 10}
    with pytest.raises(NotFound, match="no source 'mirrro': did you mean mirror"):
        cat.retract(match="mirrro", reason="x", dry_run=True)
    with pytest.raises(BadInput, match="in one way"):
        cat.retract(match="mirror", where="chars > 3", reason="x")


def test_index_of_is_the_inverse_of_the_order():
    from catalog.pull.order import Order, Segment, whole

    counts = (7, 100_000, 35_001, 1)
    for order in (
        Order([whole(counts)]),
        Order([Segment(0, 60_000, counts, (0,) * 4), Segment(60_000, 9, (3, 3, 3, 0), (9,) * 4)]),
    ):
        part, item = order.locate(np.arange(order.total))
        for number in range(len(counts)):
            mine = np.flatnonzero(part == number)
            assert order.index_of(number, item[mine]).tolist() == mine.tolist()
        assert order.index_of(0, np.array([10**9])).tolist() == []


def test_a_receipt_is_kept_found_by_run_and_by_sample_and_read_only_whole(cat):
    from catalog.receipts import receipt, receipts, receipts_of

    wanted = ids_of(cat, "web", "starts_with(url, 'https://a.org/')")
    other = next(iter(ids_of(cat, "web", "starts_with(url, 'https://b.org/')")))
    assert receipts(cat) == [] and receipts_of(cat, wanted) == []
    made = cat.retract(match="https://a.org/", reason="request 17")
    assert receipt(cat, made["run"][:8]) == made == receipts(cat)[0]
    assert receipts_of(cat, [sorted(wanted)[-1]]) == [made] and receipts_of(cat, [other, "not an id"]) == []
    with pytest.raises(NotFound, match="no receipt"):
        receipt(cat, "0" * 32)
    with pytest.raises(BadInput, match="6 of its 32"):
        receipt(cat, "xy")


def test_a_retraction_that_is_stopped_half_way_leaves_a_receipt_that_says_so(cat, monkeypatch):
    from catalog import retract
    from catalog.receipts import receipts

    done = retract._retract_rows

    def stopped(cat, name, *rest):
        if name == "web":
            raise KeyboardInterrupt
        done(cat, name, *rest)

    monkeypatch.setattr(retract, "_retract_rows", stopped)
    with pytest.raises(KeyboardInterrupt):
        cat.retract(match="https://a.org/", reason="request 17", copies=True)
    (held,) = receipts(cat)
    assert held["done"] is None and held["samples"] == 15
    monkeypatch.undo()
    assert cat.retract(match="https://a.org/", reason="request 17", copies=True)["rows"]["web"] == 10
