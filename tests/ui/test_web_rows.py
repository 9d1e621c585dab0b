"""Paging, sorting and filtering of the sample browser, against plain lists over the same rows."""

import math
import random
import time

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog import Catalog
from catalog.errors import BadInput, NotFound
from catalog.testing import append_texts, attach_columns, sentences, write_jsonl
from ui.web.queries import rows


@pytest.fixture
def store(cat: Catalog) -> tuple[Catalog, list[float | None]]:
    """300 rows in three fragments, twenty more in v2, and a score with gaps and ties."""
    append_texts(cat, "web", sentences(300), fragments=3)
    append_texts(cat, "web", sentences(20, seed=1))
    rng = random.Random(3)
    values = [None if at % 29 == 0 else round(rng.random(), 2) for at in range(320)]
    values[5], values[6] = float("nan"), -1.5
    attach_columns(cat, "web", {"quality": values, "lang": [("en", "de", None)[at % 3] for at in range(320)]})
    return cat, values


def texts(cat: Catalog, ref: str, where: str | None = None, missing: str = "error") -> list[str]:
    """Sample ids of a version in table order."""
    batches = cat.scan(ref, ["sample_id"], where=where, missing=missing)
    return [value for batch in batches for value in batch.column("sample_id").to_pylist()]


def pages(cat: Catalog, held: rows.View, size: int = 25) -> list[str]:
    """Every page of a view in table order, one after another."""
    found = []
    for at in range(0, rows.count(cat, held), size):
        got = rows.take(cat, held, rows.table_ids(cat, held, at, size), ["sample_id"])
        found += [row["sample_id"] for row in got]
    return found


@pytest.mark.parametrize("ref", ["web", "web@v1"])
def test_pages_in_table_order_hold_every_row_of_the_version_once(store, ref):
    cat, _ = store
    assert pages(cat, rows.view(cat, ref)) == texts(cat, ref)


def test_pages_of_a_filter_hold_its_rows_once(store):
    cat, _ = store
    where = "lang = 'en' AND chars > 60"
    held = rows.view(cat, "web", where=where, missing="drop")
    expected = texts(cat, "web", where, "drop")
    assert 0 < len(expected) < 320
    assert rows.count(cat, held) == len(expected)
    assert pages(cat, held, 7) == expected


@pytest.mark.parametrize("descending", [True, False])
def test_an_order_puts_gaps_last_and_keeps_ties_in_table_order(store, descending):
    cat, values = store
    ids = texts(cat, "web")
    held = rows.view(cat, "web", sort="quality", descending=descending)
    got = rows.take(cat, held, rows.ordered_ids(cat, held), ["sample_id", "quality"])
    gap = [at for at, value in enumerate(values) if value is None or value != value]
    rest = [at for at in range(320) if at not in gap]
    expected = sorted(rest, key=lambda at: -values[at] if descending else values[at]) + gap
    assert [row["sample_id"] for row in got] == [ids[at] for at in expected]


def test_an_order_by_text_and_a_bounded_order_agree_with_the_whole(store, monkeypatch):
    cat, _ = store
    monkeypatch.setattr(rows, "CHUNK", 32)
    for column in ("quality", "lang", "chars", "source", "added"):
        held = rows.view(cat, "web", sort=column)
        whole = rows.ordered_ids(cat, held)
        assert len(whole) == len(set(whole.tolist())) == 320
        assert rows.ordered_ids(cat, held, keep=40).tolist() == whole[:40].tolist()


NUMBERS = st.one_of(st.none(), st.sampled_from([0.0, -0.0, 1.0, math.nan, math.inf, -math.inf]), st.floats(width=64))
WHOLE = st.one_of(st.none(), st.integers(-3, 3), st.integers(-(2**63), 2**63 - 1))
KEYS = st.one_of(
    st.lists(NUMBERS, max_size=60).map(lambda held: pa.array(held, pa.float64())),
    st.lists(WHOLE, max_size=60).map(lambda held: pa.array(held, pa.int64())),
    st.lists(st.one_of(st.none(), st.integers(0, 2**64 - 1)), max_size=60).map(
        lambda held: pa.array(held, pa.uint64())
    ),
    st.lists(st.one_of(st.none(), st.booleans()), max_size=60).map(lambda held: pa.array(held, pa.bool_())),
    st.lists(st.one_of(st.none(), st.text("abé", max_size=2)), max_size=60).map(
        lambda held: pa.array(held, pa.string())
    ),
    st.lists(st.one_of(st.none(), st.datetimes()), max_size=60).map(lambda held: pa.array(held, pa.timestamp("us"))),
)


@given(keys=KEYS, descending=st.booleans(), keep=st.integers(1, 70))
def test_the_first_rows_are_those_of_a_stable_sort_with_what_has_no_value_last(keys, descending, keep):
    held = pa.table({"key": keys, "row": pa.array(range(100, 100 + len(keys)), pa.uint64())})
    given_values = keys.to_pylist()

    def lacks(at):
        return given_values[at] is None or given_values[at] != given_values[at]

    def key(at):
        return given_values[at].encode() if isinstance(given_values[at], str) else given_values[at]

    known = [at for at in range(len(keys)) if not lacks(at)]
    wanted = sorted(known, key=key, reverse=descending) + [at for at in range(len(keys)) if lacks(at)]
    got = rows._first(held, descending, keep)
    assert got.column("row").to_pylist() == [100 + at for at in wanted[:keep]]


def test_an_order_by_a_conversation_is_refused(store, tmp_path):
    cat, _ = store
    with pytest.raises(NotFound, match="column of web 'qualty'"):
        rows.ordered_ids(cat, rows.view(cat, "web", sort="qualty"))
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    cat.ingest([write_jsonl(tmp_path / "chat.jsonl", [{"messages": turns}])], "chat")
    with pytest.raises(BadInput, match="cannot be sorted by 'messages'"):
        rows.ordered_ids(cat, rows.view(cat, "chat", sort="messages"))


def test_one_row_shows_its_fields_and_columns_and_hides_what_is_not_in_the_version(store):
    cat, values = store
    held = rows.view(cat, "web@v1")
    ids = rows.table_ids(cat, rows.view(cat, "web"), 0, 320)
    row = rows.one(cat, held, int(ids[10]))
    assert row["sample_id"] == texts(cat, "web")[10]
    assert row["quality"] == values[10]
    with pytest.raises(NotFound, match="not in web@v1"):
        rows.one(cat, held, int(ids[310]))
    with pytest.raises(NotFound, match="no row"):
        rows.one(cat, held, 10**9)


def test_a_retracted_row_is_in_no_page_and_cannot_be_opened(store):
    cat, _ = store
    before = rows.view(cat, "web")
    gone = int(rows.table_ids(cat, before, 4, 1)[0])
    name = rows.one(cat, before, gone)["sample_id"]
    cat.retract(reason="a takedown", ids=[name])
    held = rows.view(cat, "web")
    assert held != before
    assert name not in pages(cat, held)
    assert gone not in rows.ordered_ids(cat, rows.view(cat, "web", sort="quality")).tolist()
    with pytest.raises(NotFound, match="retracted"):
        rows.one(cat, held, gone)


def test_take_keeps_the_order_that_is_asked(store):
    cat, _ = store
    held = rows.view(cat, "web")
    ids = rows.table_ids(cat, held, 0, 320)
    mixed = np.array(random.Random(1).sample(ids.tolist(), 30), np.uint64)
    assert [row["_rowid"] for row in rows.take(cat, held, mixed, ["sample_id"])] == mixed.tolist()
    assert rows.take(cat, held, mixed[:0], ["sample_id"]) == []


@pytest.mark.slow
def test_a_million_rows_are_paged_sorted_and_filtered_within_seconds(cat):
    append_texts(cat, "web", [f"page {at} of a million" for at in range(1_000_000)], fragments=10)
    attach_columns(cat, "web", {"quality": [(at * 7919 % 1_000_003) / 1e6 for at in range(1_000_000)]})
    held = rows.view(cat, "web")
    rows.take(cat, held, rows.table_ids(cat, held, 0, 25), ["text"])

    def seconds(work) -> float:
        began = time.perf_counter()
        work()
        return time.perf_counter() - began

    def middle() -> None:
        got = rows.take(cat, held, rows.table_ids(cat, held, 500_000, 25), ["text"])
        assert [row["text"] for row in got[:2]] == ["page 500000 of a million", "page 500001 of a million"]

    assert seconds(middle) < 1
    ordered = rows.view(cat, "web", sort="quality")
    assert seconds(lambda: rows.ordered_ids(cat, ordered)) < 3
    filtered = rows.view(cat, "web", where="quality > 0.5 AND chars > 24")
    assert seconds(lambda: rows.count(cat, filtered)) < 2
