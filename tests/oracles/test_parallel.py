"""Margin mining against a loop written from the paper's formula, and on planted translations."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from catalog.errors import Refused
from catalog.plugins import Context
from flows.scorers.dedup.parallel import Params, mine, parallel

ORACLES = {"parallel": "the paper's formula in a loop, and planted pairs around hubs"}


def unit(points):
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def loop(points, languages, k):
    """Every pair of languages, candidate by candidate."""

    def near(x, name):
        others = [y for y in range(len(points)) if languages[y] == name]
        return sorted(others, key=lambda y: (-float(points[x] @ points[y]), y))[:k]

    def mean(x, name):
        own = near(x, name)
        return sum(float(points[x] @ points[z]) for z in own) / (2 * len(own))

    def best(x, name):
        held = [(float(points[x] @ points[y]) / (mean(x, name) + mean(y, languages[x])), y) for y in near(x, name)]
        return max(held, key=lambda pair: pair[0])

    found = []
    for x in range(len(points)):
        margin, y = max((best(x, name) for name in sorted(set(languages)) if name != languages[x]), key=lambda p: p[0])
        found.append((margin, y, best(y, languages[x])[1] == x))
    return found


@pytest.mark.parametrize("k", [2, 4, 50])
def test_the_margin_of_the_paper(k):
    rng = np.random.default_rng(k)
    points = unit(np.abs(rng.normal(size=(70, 12))))  # cosines above 0, as of sentences
    languages = np.array(["de", "en", "ja"])[rng.integers(0, 3, 70)]
    margin, partner, mutual = mine(points, languages, k)
    want = loop(points.astype(np.float64), languages, k)
    assert margin == pytest.approx([w[0] for w in want], rel=1e-5)
    assert partner.tolist() == [w[1] for w in want] and mutual.tolist() == [w[2] for w in want]
    assert 0 < mutual.sum() < 70


def test_hubs_do_not_hide_translations_and_singles_have_a_low_margin():
    rng = np.random.default_rng(0)
    meaning = unit(rng.normal(size=(120, 32)))
    hub = meaning[:3].mean(axis=0)
    english = unit(meaning + 0.3 * hub + 0.08 * rng.normal(size=meaning.shape))
    german = unit(meaning[:80] + 0.3 * hub + 0.08 * rng.normal(size=(80, 32)))
    languages = np.array(["en"] * 120 + ["de"] * 80)
    margin, partner, mutual = mine(np.concatenate([english, german]), languages, 4)
    assert partner[:80].tolist() == list(range(120, 200)) and partner[120:].tolist() == list(range(80))
    assert mutual[:80].all() and margin[:80].min() > margin[80:120].max()


def batch(points, languages):
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(points.ravel(), pa.float32()), points.shape[1])
    return pa.record_batch({"embedding": vectors, "language": pa.array(languages, pa.string())})


def test_rows_without_language_or_counterpart_are_undefined_and_too_many_are_refused():
    points = unit(np.abs(np.random.default_rng(1).normal(size=(6, 4))))
    held = batch(points, ["en", None, "de", "en", "de", None])
    got = parallel(lambda: iter([held.slice(0, 2), held.slice(2)]), Context(params=Params(k=2)))
    assert got["parallel_margin"].is_null().to_pylist() == [False, True, False, False, False, True]
    assert set(got["parallel_of"].drop_null().to_pylist()) <= {0, 2, 3, 4}
    alone = parallel(lambda: iter([batch(points, ["en"] * 6)]), Context(params=Params()))
    assert alone["parallel_of"].to_pylist() == list(range(6)) and set(alone["parallel_margin"].to_pylist()) == {0.0}
    with pytest.raises(Refused, match="more than 3 rows"):
        parallel(lambda: iter([held]), Context(params=Params(limit=3)))
