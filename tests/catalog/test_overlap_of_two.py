"""What two datasets share, against a naive count; near copies only where the standing index knows both."""

import pytest

from catalog.diff import aligned, diff_versions
from catalog.errors import NotFound
from catalog.index.overlap import overlap
from catalog.index.standing import refresh
from catalog.testing import append_texts, sentences, text_dataset
from flows import score


@pytest.fixture
def pair(cat, tmp_path):
    """Twenty shared texts, one of them twice on a side, and one that differs by a word."""
    shared, long = sentences(20), " ".join(sentences(6, seed=9, low=40))
    text_dataset(cat, tmp_path, "one", [*shared, shared[0], *sentences(5, seed=1), long])
    text_dataset(cat, tmp_path, "two", [*shared, *sentences(7, seed=2), long + " indeed"])
    return cat


def test_content_is_counted_whatever_the_sample_ids_are(pair):
    found = overlap(pair, "one", "two")
    texts = [[row["text"] for batch in pair.scan(ref, ["text"]) for row in batch.to_pylist()] for ref in ("one", "two")]
    assert found["exact"] == {
        "a": sum(t in set(texts[1]) for t in texts[0]),
        "b": sum(t in set(texts[0]) for t in texts[1]),
    }
    assert (found["contents"], found["rows"]) == (20, {"a": 27, "b": 28})
    assert found["near"] is None and "does not hold one@v1" in found["why"]


def test_near_copies_are_known_from_the_index_and_say_when_it_lags(pair):
    refresh(pair)
    found = overlap(pair, "one", "two")
    assert found["near"] == {"a": 22, "b": 21} and found["why"] == ""
    append_texts(pair, "two", ["something new"])
    assert "two@v2" in overlap(pair, "one", "two")["why"]
    assert "newest version of two" in overlap(pair, "one", "two@v1")["why"]
    with pytest.raises(NotFound):
        overlap(pair, "one", "three")


def test_histograms_of_two_sides_share_their_bins(pair):
    for name in ("one", "two"):
        score(pair, name, ["text_length"])
    held = diff_versions(pair, "one", "two", histograms=True)["scores"]
    assert held
    for item in held.values():
        if item["histogram"]:
            assert [sum(item["histogram"][side]) for side in "ab"] == item["ks_rows"]
            assert len(item["histogram"]["edges"]) == len(item["histogram"]["a"]) + 1
    assert "histogram" not in next(iter(diff_versions(pair, "one", "two")["scores"].values()))


def test_equal_values_have_no_bins():
    import numpy as np

    assert aligned(np.ones(3), np.ones(4)) is None
    assert aligned(np.empty(0), np.ones(4)) is None
    assert sum(aligned(np.array([0.0] * 99 + [5.0]), np.zeros(1))["a"]) == 100
