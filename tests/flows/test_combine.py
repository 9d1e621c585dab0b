"""Columns combined on a common scale, against the formulas written out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, rankdata

from catalog.errors import BadInput, NotFound
from catalog.testing import attach_columns, errors_of, sentences, text_dataset
from flows import score

ORACLES = {"combine": "formulas written out with numpy and scipy"}

RNG = np.random.default_rng(0)
A, B = RNG.normal(3, 2, 200), RNG.exponential(5, 200)
RANKS = [(rankdata(x) - 1) / 199 for x in (A, B)]


@pytest.fixture
def web(cat, tmp_path):
    text_dataset(cat, tmp_path, "web", sentences(200, seed=1))
    attach_columns(cat, "web", {"a": A, "b": B})
    return cat


def combined(cat, **params) -> np.ndarray:
    report = score(cat, "web", ["combine"], params={"columns": ["a", "b"], **params})
    alias = next(iter(report.columns))
    return np.concatenate([batch.column(0).to_numpy(zero_copy_only=False) for batch in cat.scan("web", [alias])])


def test_every_scale_is_its_formula(web):
    z = (A - A.mean()) / A.std() - 0.5 * (B - B.mean()) / B.std()
    assert combined(web, weights={"b": -0.5}) == pytest.approx(z)
    assert combined(web, scale="rank") == pytest.approx(RANKS[0] + RANKS[1], abs=1 / 1024)
    clipped = [norm.ppf(np.clip(r, 0.5 / 2048, 1 - 0.5 / 2048)) for r in RANKS]
    assert combined(web, scale="normal") == pytest.approx(clipped[0] + clipped[1], abs=0.1)
    par = [np.quantile(x, 0.8) for x in (A, B)]
    sigmoid = -np.log1p(np.exp(-(A - par[0]))) - np.log1p(np.exp(-(B - par[1])))
    assert combined(web, scale="log_sigmoid", reference=0.8) == pytest.approx(sigmoid)
    assert errors_of(web) == []


def test_mistakes_are_one_line(web):
    with pytest.raises(BadInput, match="say which columns"):
        score(web, "web", ["combine"])
    with pytest.raises(NotFound, match="no column of web 'aa'"):
        score(web, "web", ["combine"], params={"columns": ["aa"]})
    with pytest.raises(BadInput, match="weight for 'c'"):
        score(web, "web", ["combine"], params={"columns": ["a"], "weights": {"c": 1}})
