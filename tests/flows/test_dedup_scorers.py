"""Exact and near duplicates: groups, sizes, keepers, undefined rows, and independence of batch boundaries."""

from __future__ import annotations

import hashlib
import random
from pydoc_data.topics import topics

import numpy as np
import pyarrow as pa
import pytest

from catalog import states
from catalog.errors import BadInput
from catalog.plugins import REGISTRY, Context
from flows.scorers.dedup import _lsh, exact_dup, minhash  # noqa: F401  (importing registers the scorers)
from flows.scorers.dedup._clusters import first_of_equal

ORACLES = {
    "exact_dup": "a dictionary",
}


def scan_of(texts, rows=1024):
    def scan(columns=None):
        for start in range(0, len(texts), rows):
            part = texts[start : start + rows]
            yield pa.record_batch(
                {
                    "sample_id": pa.array([f"{start + i:032x}" for i in range(len(part))], pa.string()),
                    "content_id": pa.array([hashlib.md5(repr(t).encode()).hexdigest() for t in part], pa.string()),
                    "text": pa.array(part, pa.string()),
                }
            )

    return scan


def solve(name, texts, rows=1024, seed=0, **params):
    plugin = REGISTRY["scorer"][name]
    result = plugin.function(scan_of(texts, rows), Context(params=plugin.parse_params(params), seed=seed))
    for out in plugin.writes:
        assert result[out.name].type == out.type
        assert len(result[out.name]) == len(texts)
    assert result["_state"].type == pa.uint8()
    return {key: array.to_pylist() for key, array in result.items()}


@pytest.fixture(scope="module")
def prose():
    """Real paragraphs of 40 words and more from the Python language reference, and noisy copies of some."""
    found = [" ".join(part.split()) for topic in sorted(topics) for part in topics[topic].split("\n\n")]
    paragraphs = sorted({part for part in found if len(part.split()) >= 40})[:300]
    rng = random.Random(5)
    noisy = []
    for paragraph in paragraphs[:100]:
        words = paragraph.split()
        words[rng.randrange(len(words))] = "elsewhere"
        noisy.append(" ".join(words))
    return paragraphs + noisy


# -- exact ---------------------------------------------------------------------------------------------------------


def test_equal_contents_share_the_index_of_the_first_row():
    got = solve("exact_dup", ["b", "a", "b", "c", "a", "b"])
    assert got["exact_dup_group"] == [0, 1, 0, 3, 1, 0]
    assert got["exact_dup_size"] == [3, 2, 3, 1, 2, 3]
    assert got["exact_dup_keep"] == [True, True, False, True, False, False]
    assert set(got["_state"]) == {states.VALUE}


def test_space_and_case_are_ignored_only_on_request():
    texts = ["A  cat\nsat", "a cat sat", "a cat sat ", "A DOG"]
    assert solve("exact_dup", texts)["exact_dup_size"] == [1, 1, 1, 1]
    assert solve("exact_dup", texts, normalise="space_case")["exact_dup_group"] == [0, 0, 0, 3]


def test_exact_null_text_has_no_group_when_text_is_compared_and_empty_text_has():
    got = solve("exact_dup", ["", None, " ", None, "x"], normalise="space_case")
    assert got["exact_dup_group"] == [0, None, 0, None, 4]
    assert got["exact_dup_size"] == [2, None, 2, None, 1]
    assert got["exact_dup_keep"] == [True, None, False, None, True]
    assert got["_state"] == [1, states.UNDEFINED, 1, states.UNDEFINED, 1]


def test_exact_compares_content_ids_even_where_text_is_null():
    assert solve("exact_dup", [None, "x", None])["exact_dup_group"] == [0, 1, 0]


@pytest.mark.parametrize("name", ["exact_dup", "minhash"])
def test_no_rows_one_row_and_only_duplicates(name):
    group, size = [out.name for out in REGISTRY["scorer"][name].writes][:2]
    assert solve(name, [])[group] == []
    assert solve(name, ["one row of text"])[group] == [0]
    copies = solve(name, ["the same few words in every row"] * 5000)
    assert set(copies[group]) == {0} and set(copies[size]) == {5000}
    assert copies[f"{name}_keep"] == [True] + [False] * 4999


def test_first_of_equal_against_a_dictionary():
    rng = np.random.default_rng(0)
    high, low = rng.integers(0, 5, 2000, dtype=np.uint64), rng.integers(0, 40, 2000, dtype=np.uint64)
    first: dict[tuple[int, int], int] = {}
    want = [first.setdefault(key, index) for index, key in enumerate(zip(high.tolist(), low.tolist(), strict=True))]
    assert first_of_equal(high, low).tolist() == want


# -- near ----------------------------------------------------------------------------------------------------------


def test_near_copies_cluster_and_the_longest_is_kept(prose):
    got = solve("minhash", prose, threshold=0.7)
    originals = 300
    joined = [got["minhash_cluster"][originals + i] == got["minhash_cluster"][i] for i in range(100)]
    assert sum(joined) >= 80  # one changed word of forty and more leaves a Jaccard similarity of about 0.8
    for cluster in {c for c, size in zip(got["minhash_cluster"], got["minhash_cluster_size"], strict=True) if size > 1}:
        rows = [i for i, c in enumerate(got["minhash_cluster"]) if c == cluster]
        assert min(rows) == cluster and {got["minhash_cluster_size"][i] for i in rows} == {len(rows)}
        kept = [i for i in rows if got["minhash_keep"][i]]
        assert kept == [max(rows, key=lambda i: (len(prose[i]), -i))]


def test_near_results_do_not_depend_on_batches_and_repeat_with_the_seed(prose):
    whole = solve("minhash", prose)
    assert all(solve("minhash", prose, rows=rows) == whole for rows in (1, 7, 250))
    other = solve("minhash", prose, seed=1)
    differing = sum(a != b for a, b in zip(whole["minhash_cluster"], other["minhash_cluster"], strict=True))
    assert differing < 60  # another seed changes borderline pairs only


def test_clusters_of_a_permuted_table_are_the_same_sets(prose):
    order = list(range(len(prose)))
    random.Random(3).shuffle(order)

    def sets(texts, names):
        found: dict[int, set[int]] = {}
        for name, cluster in zip(names, solve("minhash", texts)["minhash_cluster"], strict=True):
            found.setdefault(cluster, set()).add(name)
        return sorted(map(sorted, found.values()))

    assert sets(prose, list(range(len(prose)))) == sets([prose[i] for i in order], order)


def test_short_texts_cluster_only_with_equal_words():
    texts = ["Hello, world!", "hello world", "hello", "world hello", None, "", "...", "hello world again and again"]
    got = solve("minhash", texts)
    assert got["minhash_cluster"] == [0, 0, 2, 3, None, None, None, 7]
    assert got["minhash_keep"] == [True, False, True, True, None, None, None, True]
    assert got["_state"] == [1, 1, 1, 1, 2, 2, 2, 1]


def test_odd_text_does_not_raise_and_clusters_by_words():
    long = "word " * 200_000
    texts = ["你好世界，今天天气很好", "你好世界 今天天气很好", "שלום עולם איך אתה היום", "x\u0000y\ufffe", "🎉" * 50]
    texts += [long, long]
    got = solve("minhash", texts)
    assert got["minhash_cluster"] == [0, 0, 2, 3, None, 5, 5]


def test_bands_must_divide_and_zero_chooses_them():
    with pytest.raises(BadInput, match="num_perm 112 is not a multiple of bands 13"):
        solve("minhash", ["a"], bands=13)
    assert _lsh.best_bands(112, 0.95) < _lsh.best_bands(112, 0.75) < _lsh.best_bands(112, 0.3)
    texts = ["one two three four five six seven eight"] * 2
    assert solve("minhash", texts, bands=0)["minhash_cluster"] == [0, 0]


def test_a_large_bucket_is_linked_like_all_its_pairs():
    """Rows that share a bucket but differ beyond it: the breadth-first walk must equal the graph of all pairs."""
    rng = np.random.default_rng(2)
    signature = rng.integers(0, 3, (120, 12)).astype(np.uint32)
    signature[:, :2] = 7  # one bucket in band 0
    for need in (5, 7, 9, 12):
        near = (signature[:, None] == signature[None]).sum(axis=2) >= need
        want = np.arange(120)
        for _ in range(120):
            want = np.minimum(want, np.where(near, want[None], 120).min(axis=1))
        assert _lsh.components(signature, 6, need).tolist() == want.tolist()


@pytest.mark.parametrize(
    ("policy", "kept"),
    [
        ({}, 0),
        ({"keeper": ["licence"]}, 1),
        ({"keeper": ["licence"], "licences": ["MIT"]}, 2),
        ({"keeper": ["source", "longest"], "sources": ["good"]}, 3),
        ({"keeper": ["oldest"]}, 3),
        ({"keeper": ["newest"]}, 2),
        ({"keeper": ["licence", "newest"], "licences": ["CC0-1.0"]}, 1),
    ],
)
@pytest.mark.parametrize("step", [1, 5])
def test_the_keeper_is_a_policy_and_there_is_always_one(policy, kept, step):
    batch = pa.record_batch(
        {
            "content_id": ["ab" * 16] * 4 + ["cd" * 16],
            "text": ["same"] * 5,
            "licence": pa.array([None, "CC0-1.0", "MIT", "X", None]),
            "source": ["bad", "good", "bad", "good", "bad"],
            "created": pa.array([None, "2021-01-01", "2023-05-01", "2020-02-02", None]),
        }
    )
    plugin = REGISTRY["scorer"]["exact_dup"]

    def scan(columns=None):
        return (batch.slice(at, step) for at in range(0, 5, step))

    got = plugin.function(scan, Context(params=plugin.parse_params(policy)))["exact_dup_keep"].to_pylist()
    if policy.get("keeper") == ["source", "longest"]:
        kept = 1  # equal sources and lengths: scan order
    assert got == [row in (kept, 4) for row in range(5)]


def test_golden_signature():
    """Results that a change must not alter without a new method version."""
    shingles, counts = minhash.shingle(["The quick brown fox jumps over the lazy dog", "two words"], 5)
    assert counts.tolist() == [5, 1]
    signature = _lsh.signatures(shingles, counts, *_lsh.permutations(4, seed=0))
    want = [[6128551, 919917320, 1722633148, 23514015], [1604228292, 1821622389, 1279087121, 1391332234]]
    assert signature.tolist() == want
