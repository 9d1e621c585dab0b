"""Class-based TF-IDF by hand, and titles of the clusters of a real dataset."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from catalog.errors import BadInput
from catalog.testing import sentences, text_dataset
from flows.cluster_titles import class_tf_idf, cluster_titles, common_words


def test_weights_by_hand():
    """A: 3 cat, 1 the (4 words); B: 2 the, 2 dog, 2 run (6 words); mean 5 words a cluster."""
    got = class_tf_idf({0: Counter(cat=3, the=1), 1: Counter(the=2, dog=2, run=2)})
    assert got[0]["cat"] == pytest.approx(3 / 4 * math.log(1 + 5 / 3))
    assert got[0]["the"] == pytest.approx(1 / 4 * math.log(1 + 5 / 3))
    assert got[1]["dog"] == pytest.approx(2 / 6 * math.log(1 + 5 / 2))
    assert got[1]["the"] < got[1]["dog"] == got[1]["run"]


def test_a_dataset_without_clusters_says_how_to_get_them(cat, tmp_path):
    ref = text_dataset(cat, tmp_path, "web", sentences(5))
    with pytest.raises(BadInput, match="strata score web"):
        cluster_titles(cat, ref)


def test_titles_hold_the_words_of_their_cluster(cat, tmp_path):
    from flows import score

    cats = [f"The cat and the kitten sleep on sofa number {i}, purring." for i in range(8)]
    banks = [f"The bank raised interest rates on loan number {i} again." for i in range(12)]
    ref = text_dataset(cat, tmp_path, "web", cats + banks)
    score(cat, ref, ["kmeans"], params={"clusters": 2})
    first, second = cluster_titles(cat, ref)
    assert (first["rows"], second["rows"]) == (12, 8)
    assert "bank" in first["words"] and "kitten" in second["words"] and "the" not in first["title"].split(", ")[:3]


def test_words_of_every_cluster_are_no_title():
    read = Counter({0: 10, 1: 20, 2: 10})
    held = {0: Counter(the=10, sun=9), 1: Counter(the=2, moon=20), 2: Counter(the=1, sun=9)}
    assert common_words(held, read) == {"the"}
    held[1]["the"] = 1  # one of twenty is less than a tenth
    assert common_words(held, read) == set() == common_words({0: held[0]}, read)
    many = {k: Counter({"the": 5} if k else {}) for k in range(6)}
    assert common_words(many, Counter(dict.fromkeys(range(6), 10))) == {"the"}
