"""Ids: equal to a naive model whatever the chunks, stable over runs, never lost and never doubled."""

import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xxhash import xxh3_128_digest

from catalog.digests import add, content_id, hex_array, id_words, row_digest, subtract
from catalog.ingest.identity import HELD, NEW, RETRACTED, Identity, Known, Seen
from catalog.ingest.prepare import first_ids
from catalog.testing import errors_of, sentences, write_jsonl


def digest(word):
    return xxh3_128_digest(word.encode())


def column(cat, ref, name):
    return [value for batch in cat.scan(ref, [name]) for value in batch.column(name).to_pylist()]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([None, "a", "b", "c"]), st.sampled_from("xyz")), max_size=60), st.integers(1, 60)
)
def test_repeats_get_ids_of_their_own_whatever_the_chunks(records, size):
    identity, ids = Identity(), []
    for start in range(0, len(records), size):
        part = records[start : start + size]
        contents = [digest(content) for _, content in part]
        firsts = first_ids("s", "f", [key for key, _ in part], contents)
        keyed = np.array([key is not None for key, _ in part])
        found, state = identity.assign(b"".join(firsts), b"".join(contents), keyed)
        assert not state.any()
        ids += [found[16 * at : 16 * at + 16] for at in range(len(part))]
    assert ids == naive(records) and len(set(ids)) == len(ids)


def naive(records):
    taken, ids = set(), []
    for key, content in records:
        (first,) = first_ids("s", "f", [key], [digest(content)])
        name, at = first, 0
        while name in taken:
            name = xxh3_128_digest(first + digest(content) + b"\0o\0" + at.to_bytes(8, "big"))
            at += 1
        taken.add(name)
        ids.append(name)
    return ids


def known_of(rows):
    """Known rows from (id, content, retracted)."""

    def load(columns):
        values = {
            "sample_id": hex_array(b"".join(row[0] for row in rows)),
            "content_id": hex_array(b"".join(row[1] for row in rows)),
            "removed": pa.array([0 if row[2] else None for row in rows], pa.int32()),
        }
        yield pa.RecordBatch.from_pydict({name: values[name] for name in columns})

    return Known(load)


def test_live_rows_are_met_again_and_retracted_ones_stay_out():
    contents = [digest(c) for c in "xyz"]
    ids = first_ids("s", "f", ["a", "b", None], contents)
    identity = Identity(
        known_of([(ids[0], contents[0], False), (ids[1], digest("other"), False), (ids[2], contents[2], True)])
    )
    keyed = np.array([True, True, False])
    found, state = identity.assign(b"".join(ids), b"".join(contents), keyed)
    assert state.tolist() == [HELD, NEW, RETRACTED]
    assert found[16:32] != ids[1]  # the key is another content's: kept beside it
    again, state = Identity(known_of([(found[16:32], contents[1], False), (ids[1], digest("other"), False)])).assign(
        ids[1], contents[1], np.array([True])
    )
    assert state.tolist() == [HELD] and again == found[16:32]  # and met again under its own id


def test_a_file_that_goes_on_takes_live_ids_as_taken():
    content = digest("x")
    (first,) = first_ids("s", "f", None, [content])
    identity = Identity(known_of([(first, content, False)]))
    found, state = identity.assign(first + first, content + content, None, goes_on=True)
    assert state.tolist() == [NEW, NEW] and len({first, found[:16], found[16:]}) == 3


def test_occurrences_are_found_again_without_counters():
    content = digest("x")
    (first,) = first_ids("s", "f", None, [content])
    one, other = Identity(), Identity()
    expected, _ = one.assign(first * 300, content * 300, None)
    parts = []
    for _ in range(300):
        other.counters.clear()  # as after a restart, when only the ids written are known
        parts.append(other.assign(first, content, None)[0])
    assert b"".join(parts) == expected


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(0, 50), max_size=30), max_size=12))
def test_the_set_of_seen_words_is_a_set(batches):
    seen, model = Seen(), set()
    for batch in batches:
        words = np.array(batch, np.uint64)
        assert seen.contains(words).tolist() == [word in model for word in batch]
        seen.add(np.unique(words))
        model |= set(batch)
        assert all(seen.holds(word) == (word in model) for word in range(51))
    assert len(seen.levels) <= 8


def test_row_digests_add_up_in_any_order_and_see_every_change():
    rng = random.Random(0)
    rows = [(rng.randbytes(16), rng.randbytes(16)) for _ in range(500)]
    left, right = (hex_array(b"".join(row[at] for row in rows)) for at in (0, 1))
    whole = row_digest(left, right)
    assert left.to_pylist()[7] == rows[7][0].hex() and id_words(left)[7, 0] == int.from_bytes(rows[7][0][:8], "big")
    order = pa.array(rng.sample(range(500), 500))
    assert row_digest(left.take(order), right.take(order)) == whole
    a, b = (row_digest(left.slice(s, n), right.slice(s, n)) for s, n in ((0, 123), (123, 377)))
    assert add(a, b) == whole and subtract(whole, a) == b and subtract(a, whole) == subtract(0, b)
    assert row_digest(right, left) != whole and add() == 0 == row_digest(left[:0], right[:0])
    swapped = pa.array([right[1].as_py(), right[0].as_py(), *right[2:].to_pylist()])
    assert row_digest(left, swapped) != whole
    with pytest.raises(ValueError, match="32 hex digits"):
        row_digest(pa.array(["ab"]), pa.array(["cd"]))


def test_ids_are_stable_over_files_names_and_order(cat, tmp_path):
    rows = [{"id": f"k{at}", "text": text} for at, text in enumerate(sentences(20))]
    cat.ingest([write_jsonl(tmp_path / "a.jsonl", rows)], "one", source="src")
    cat.ingest([write_jsonl(tmp_path / "b.jsonl", rows[::-1])], "two", source="src")
    assert sorted(column(cat, "one", "sample_id")) == sorted(column(cat, "two", "sample_id"))
    assert cat.resolve("one").version.digest == cat.resolve("two").version.digest
    cat.ingest([tmp_path / "a.jsonl"], "three")
    assert not set(column(cat, "three", "sample_id")) & set(column(cat, "one", "sample_id"))
    assert column(cat, "three", "content_id") == column(cat, "one", "content_id")
    assert column(cat, "one", "content_id") == [content_id("text", row) for row in rows]


def test_a_key_with_new_content_is_kept_beside_the_old(cat, tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [{"id": "k", "text": "first"}, {"id": "l", "text": "other"}])
    cat.ingest([path], "web", key="id")
    write_jsonl(path, [{"id": "k", "text": "edited"}, {"id": "l", "text": "other"}])
    report = cat.ingest([path], "web", key="id")
    assert report.counts["kept"] == 1 and report.counts["held"] == 1
    assert sorted(column(cat, "web", "text")) == ["edited", "first", "other"]
    write_jsonl(path, [{"id": "k", "text": "edited"}, {"id": "k", "text": "first"}, {"id": "l", "text": "other"}])
    assert cat.ingest([path], "web", key="id").counts["held"] == 3


def test_retracted_rows_do_not_come_back_and_rolled_back_ones_do(cat, tmp_path):
    texts = sentences(10)
    path = write_jsonl(tmp_path / "a.jsonl", texts)
    cat.ingest([path], "web")
    cat.retract(where=f"text = '{texts[3]}'", reason="takedown")
    write_jsonl(path, [*texts[::-1], "new"])
    report = cat.ingest([path], "web")
    assert report.counts == {"in": 11, "kept": 1, "held": 9, "retracted": 1, "quarantined": 0}
    cat.rollback("web", 1)
    assert sorted(column(cat, "web", "text")) == sorted(texts[:3] + texts[4:])
    report = cat.ingest([path], "web")  # the same bytes, but a row of theirs is not live
    assert report.counts["kept"] == 1 and "new" in column(cat, "web", "text") and errors_of(cat) == []


def test_content_ids_ignore_the_order_of_fields_and_nulls():
    assert content_id("knowledge", {"meta": '{"a":1,"b":2}'}) == content_id("knowledge", {"meta": '{"b":2,"a":1}'})
    task = {
        "messages": [{"role": "user", "content": "q"}],
        "answer": "1",
        "choices": None,
        "tools": None,
        "verifier": None,
    }
    assert content_id("task", task) == content_id("task", {"messages": task["messages"], "answer": "1"})
