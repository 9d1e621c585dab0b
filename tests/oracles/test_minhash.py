"""Near-duplicates against exact Jaccard similarity, the closed form of banding, and datasketch.

2,000 texts: paragraphs of the Python language reference (real prose that ships with Python) and copies of them in which
0.5 to 5 % of the words were replaced, so that all similarities occur.
"""

from __future__ import annotations

import itertools
import random
from pydoc_data.topics import topics

import numpy as np
import pyarrow as pa
import pytest

from catalog.plugins import Context
from flows.scorers.dedup import _lsh
from flows.scorers.dedup.minhash import Params, minhash, shingle

ORACLES = {
    "minhash": "exact Jaccard of all pairs, the closed form of the bands, datasketch",
}

PERMUTATIONS, BANDS, ROWS = 112, 14, 8


@pytest.fixture(scope="module")
def documents():
    rng = random.Random(1)
    found = [" ".join(part.split()) for topic in sorted(topics) for part in topics[topic].split("\n\n")]
    paragraphs = sorted({part for part in found if 30 <= len(part.split()) <= 300})
    rng.shuffle(paragraphs)
    made = []
    for paragraph in paragraphs[:500]:
        made.append(paragraph)
        words = paragraph.split()
        for _ in range(3):
            rate = rng.choice([0.005, 0.01, 0.02, 0.03, 0.05])
            made.append(" ".join(rng.choice(words) if rng.random() < rate else word for word in words))
    assert len(made) == 2000
    return made


@pytest.fixture(scope="module")
def measured(documents):
    """Exact similarity of every pair that shares a shingle, and all signatures."""
    hashes, counts = shingle(documents, 5)
    ends = np.cumsum(counts)
    sets = [set(hashes[end - count : end].tolist()) for end, count in zip(ends, counts, strict=True)]
    holders: dict[int, list[int]] = {}
    for row, members in enumerate(sets):
        for member in members:
            holders.setdefault(member, []).append(row)
    pairs = sorted({pair for rows in holders.values() for pair in itertools.combinations(rows, 2)})
    exact = np.array([len(sets[a] & sets[b]) / len(sets[a] | sets[b]) for a, b in pairs])
    signature = _lsh.signatures(hashes, counts, *_lsh.permutations(PERMUTATIONS, seed=0))
    return np.array(pairs), exact, signature, sets


def clusters(documents, **params):
    batch = pa.record_batch({"text": pa.array(documents)})
    return np.array(minhash(lambda: iter([batch]), Context(params=Params(**params)))["minhash_cluster"])


def test_estimates_are_unbiased_with_binomial_spread(measured):
    pairs, exact, signature, _ = measured
    estimate = (signature[pairs[:, 0]] == signature[pairs[:, 1]]).mean(axis=1)
    for low in (0.3, 0.5, 0.7, 0.9):
        inside = (exact >= low) & (exact < low + 0.2)
        error, spread = (estimate - exact)[inside], np.sqrt((exact * (1 - exact))[inside].mean() / PERMUTATIONS)
        assert inside.sum() > 100
        assert abs(error.mean()) < 0.01
        assert 0.7 * spread < error.std() < 1.3 * spread


def test_candidates_follow_the_closed_form(measured):
    """A pair of similarity s shares a band with probability 1-(1-s^r)^b."""
    pairs, exact, signature, _ = measured
    parts = [slice(band * ROWS, (band + 1) * ROWS) for band in range(BANDS)]
    same = [(signature[pairs[:, 0], part] == signature[pairs[:, 1], part]).all(axis=1) for part in parts]
    candidate, expected = np.any(same, axis=0), 1 - (1 - exact**ROWS) ** BANDS
    for low in (0.4, 0.5, 0.6, 0.7, 0.8, 0.9):
        inside = (exact >= low) & (exact < low + 0.1)
        assert candidate[inside].mean() == pytest.approx(expected[inside].mean(), abs=0.06)


def test_candidate_probability_of_independent_pairs():
    """1,500 disjoint pairs of one similarity: the share that the solver itself joins, without verification."""
    rng, pairs, size = np.random.default_rng(4), 1500, 100
    for similarity in (0.6, 0.7, 0.8):
        common = round(2 * size * similarity / (1 + similarity))
        draws = rng.integers(0, 1 << 32, (pairs, 2 * size - common), dtype=np.uint32)
        sets = np.stack([draws[:, :size], np.concatenate([draws[:, :common], draws[:, size:]], axis=1)], axis=1)
        signature = _lsh.signatures(
            sets.ravel(), np.full(2 * pairs, size), *_lsh.permutations(PERMUTATIONS, seed=int(similarity * 10))
        )
        labels = _lsh.components(signature, BANDS, need=0)
        s = common / (2 * size - common)
        expected = 1 - (1 - s**ROWS) ** BANDS
        error = 4 * np.sqrt(expected * (1 - expected) / pairs)
        assert (labels[0::2] == labels[1::2]).mean() == pytest.approx(expected, abs=error)


@pytest.mark.parametrize("threshold", [0.7, 0.75, 0.8])
def test_recall_and_precision_against_exact_similarity(documents, measured, threshold):
    pairs, exact, _, _ = measured
    label = clusters(documents, threshold=threshold)
    same, similar = label[pairs[:, 0]] == label[pairs[:, 1]], exact >= threshold
    assert similar.sum() > 500
    assert same[similar].mean() >= 0.9  # closed form, with the estimate's error at the threshold: 0.9 to 0.95
    assert same[exact >= threshold + 0.1].mean() >= 0.985
    # Estimates err by 0.04, and a chain of similar rows is one cluster: rows far below the threshold stay apart.
    assert similar[same].mean() >= 0.8
    assert (exact[same] >= threshold - 0.15).mean() >= 0.98


def test_datasketch_finds_the_same_pairs(documents, measured):
    """A second implementation on the same shingles with the same bands: equally good, and mostly the same pairs."""
    datasketch = pytest.importorskip("datasketch")
    pairs, exact, signature, sets = measured
    hashes = []
    for members in sets:
        one = datasketch.MinHash(num_perm=PERMUTATIONS, seed=3)
        one.update_batch([member.to_bytes(4, "little") for member in members])
        hashes.append(one)
    theirs = np.array([one.hashvalues for one in hashes])
    their_estimate = (theirs[pairs[:, 0]] == theirs[pairs[:, 1]]).mean(axis=1)
    our_estimate = (signature[pairs[:, 0]] == signature[pairs[:, 1]]).mean(axis=1)
    similar = exact > 0.3
    assert np.corrcoef(our_estimate[similar], their_estimate[similar])[0, 1] > 0.9
    assert np.abs(our_estimate - exact).mean() < 1.15 * np.abs(their_estimate - exact).mean()

    index = datasketch.MinHashLSH(num_perm=PERMUTATIONS, params=(BANDS, ROWS))
    for row, one in enumerate(hashes):
        index.insert(row, one)
    hits = ((row, hit) for row, one in enumerate(hashes) for hit in index.query(one))
    candidates = {(min(pair), max(pair)) for pair in hits}
    found = np.array([tuple(pair) in candidates for pair in pairs.tolist()]) & (their_estimate >= 0.75)
    label = clusters(documents, threshold=0.75)
    ours = label[pairs[:, 0]] == label[pairs[:, 1]]
    wanted = exact >= 0.75
    assert ours[wanted].mean() >= found[wanted].mean() - 0.02
    assert ours[found].mean() > 0.9  # two independent estimates disagree about pairs near the threshold
    assert ours[found & (exact >= 0.85)].mean() > 0.97


def test_candidates_and_accepted_pairs_follow_the_closed_forms():
    """Sets of a known similarity: estimates, candidates and accepted pairs as probability has them, over ten seeds."""
    import math

    rng, size, shared, pairs = np.random.default_rng(0), 200, 171, 300
    own = size - shared
    base = rng.integers(0, 1 << 32, (pairs, shared + 2 * own), dtype=np.uint64).astype(np.uint32)
    sets = base[:, :size], np.concatenate([base[:, :shared], base[:, size:]], axis=1)
    similarity, counts = shared / (shared + 2 * own), np.full(pairs, size)
    found = []
    for seed in range(10):
        family = _lsh.permutations(112, seed)
        equal = np.equal(*(_lsh.signatures(part.ravel(), counts, *family) for part in sets))
        candidate = equal.reshape(pairs, 14, 8).all(axis=2).any(axis=1)
        found.append((equal.mean(), candidate.mean(), (candidate & (equal.sum(axis=1) >= 84)).mean()))

    def none_full(k):
        ways = ((-1) ** i * math.comb(14, i) * math.comb(112 - 8 * i, k - 8 * i) for i in range(min(14, k // 8) + 1))
        return sum(ways) / math.comb(112, k)

    accepted = sum(
        math.comb(112, k) * similarity**k * (1 - similarity) ** (112 - k) * (1 - none_full(k)) for k in range(84, 113)
    )
    want = np.array([similarity, 1 - (1 - similarity**8) ** 14, accepted])
    held = np.array(found)
    assert np.abs(held.mean(axis=0) - want).max() < 0.03
    assert (np.abs(held.mean(axis=0) - want) < 4 * held.std(axis=0, ddof=1) / 10**0.5).all()
