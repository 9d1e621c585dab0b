"""Measures of sets: the Vendi score against its package, MMD against the double loop, divergences by hand."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest

from catalog.errors import BadInput, NotFound
from catalog.testing import attach_columns, sentences, text_dataset
from flows.compare import cluster_shares, compare, jensen_shannon, mmd, vendi
from flows.compare_sets import transport
from flows.scorers.embedding._vectors import unit


def points(count: int, seed: int, shift: float = 0.0) -> np.ndarray:
    return unit(np.random.default_rng(seed).normal(size=(count, 8)) + shift).astype(np.float32)


@pytest.mark.parametrize("count", [1, 5, 60])
def test_vendi_equals_the_package(count):
    package = pytest.importorskip("vendi_score.vendi")
    held = points(count, 0)
    assert vendi(held) == pytest.approx(float(package.score_dual(held.astype(np.float64))), rel=1e-6)


def test_vendi_counts_different_texts():
    assert vendi(np.eye(8, dtype=np.float32)) == pytest.approx(8)
    assert vendi(np.eye(8, dtype=np.float32)[[0, 0, 0, 1, 1, 1]]) == pytest.approx(2)
    assert vendi(np.eye(8, dtype=np.float32)[[3, 3, 3]]) == pytest.approx(1)


def test_mmd_equals_the_double_loop():
    left, right = points(30, 1), points(20, 2, 0.5)
    got = mmd(left, right)

    def kernel(x, y):
        return math.exp(-float(((x.astype(float) - y.astype(float)) ** 2).sum()) / got["width"] ** 2)

    same = [np.mean([kernel(x, y) for i, x in enumerate(s) for j, y in enumerate(s) if i != j]) for s in (left, right)]
    cross = np.mean([kernel(x, y) for x in left for y in right])
    assert got["squared"] == pytest.approx(sum(same) - 2 * cross, abs=1e-9)
    both = np.concatenate([left, right]).astype(float)
    gaps = [math.dist(both[i], both[j]) for i in range(50) for j in range(i)]
    assert got["width"] == pytest.approx(np.median(gaps), rel=1e-3)


def test_mmd_and_clusters_tell_alike_from_apart():
    alike, apart = (points(200, 3), points(200, 4)), (points(200, 3, 1.0), points(200, 4, -1.0))
    assert abs(mmd(*alike)["squared"]) < 0.01 < 0.2 < mmd(*apart)["squared"]
    shares = [cluster_shares(*sides, 8, 0)["jensen_shannon"] for sides in (alike, apart)]
    assert shares[0] < 0.25 and shares[1] > 0.9


def test_jensen_shannon_by_hand():
    distance = pytest.importorskip("scipy.spatial.distance").jensenshannon
    p, q = np.array([0.5, 0.5, 0]), np.array([0.25, 0.25, 0.5])
    assert jensen_shannon(p, q) == pytest.approx(distance(p, q, base=2))
    assert jensen_shannon(np.array([1.0, 0]), np.array([0, 1.0])) == 1


def test_compare_over_two_datasets(cat, tmp_path):
    a = text_dataset(cat, tmp_path, "a", sentences(30, seed=1))
    b = text_dataset(cat, tmp_path, "b", sentences(30, seed=2))
    assert compare(cat, a, a, ["ngrams"])["ngrams"] == {"kl_b_from_a": 0.0, "kl_a_from_b": 0.0}
    assert compare(cat, a, b, ["ngrams"])["ngrams"]["kl_b_from_a"] > 0.1
    with pytest.raises(BadInput, match="strata score a"):
        compare(cat, a, b, ["mmd"])
    with pytest.raises(NotFound, match="metric"):
        compare(cat, a, b, ["fid"])


def test_transport_is_zero_for_a_set_and_itself_and_the_squared_shift_for_a_moved_one():
    from flows.scorers.embedding._transport import divergence

    held = points(80, 5)
    assert transport(held, held)["divergence"] == pytest.approx(0, abs=1e-6)
    moved = held + np.array([0.3, *[0.0] * 7], np.float32)
    assert divergence(held, moved, 0.02, 5_000) == pytest.approx(0.09, abs=2e-3)


def test_prototypes_of_planted_groups(cat, tmp_path):
    """Group 0 is in both sides, group 1 in a alone, group 2 in b alone."""
    centres = np.eye(3, 8)
    for name, groups in (("a", [0] * 28 + [1] * 12), ("b", [0] * 20 + [2] * 20)):
        rng = np.random.default_rng(len(name) + groups[-1])
        held = unit(centres[groups] + 0.05 * rng.normal(size=(40, 8))).astype(np.float32)
        text_dataset(cat, tmp_path, name, [f"group {group} of {name}, row {row}" for row, group in enumerate(groups)])
        column = pa.FixedSizeListArray.from_arrays(pa.array(held.ravel()), 8)
        attach_columns(cat, name, {"embedding": column})
    found = compare(cat, "a", "b", ["prototypes"], clusters=3)["prototypes"]
    assert (found["prototypes"], found["shared"], found["only_a"], found["only_b"]) == (3, 1, 1, 1)
    assert found["rows_alone"] == {"a": pytest.approx(0.3), "b": pytest.approx(0.5)}
    first, second, third = found["listed"]
    assert (first["only"], second["only"], third["only"]) == ("b", "a", "")
    assert all(example["text"].startswith("group 2 of b") for example in first["examples"]["b"])
    assert (first["a"], first["b"]) == (0.0, pytest.approx(0.5)) and third["a"] == pytest.approx(0.7)
