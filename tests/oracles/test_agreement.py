"""Agreement against published worked examples, scikit-learn, statsmodels and the krippendorff package."""

import numpy as np
import pytest

from catalog.agreement import (
    alpha_with_interval,
    cohen_kappa,
    cohen_with_interval,
    fleiss_kappa,
    krippendorff_alpha,
)
from catalog.errors import BadInput

N = np.nan
# Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", section C: four observers, twelve units.
KRIPPENDORFF = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, N, N, N],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, N, 3],
        [N, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, N],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, N],
    ]
)
# The worked example of Fleiss' kappa that textbooks carry: ten subjects, fourteen raters, five values.
FLEISS = np.array(
    [
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ]
)  # fmt: skip


def drawn(graders: int, items: int, levels: int, seed: int, missing: float = 0.0) -> np.ndarray:
    random = np.random.default_rng(seed)
    truth = random.integers(0, levels, items)
    noise = random.integers(-1, 2, (graders, items))
    ratings = np.clip(truth + noise, 0, levels - 1).astype(float)
    ratings[random.random(ratings.shape) < missing] = np.nan
    return ratings


@pytest.mark.parametrize(("metric", "published"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_of_the_published_example(metric, published):
    assert round(krippendorff_alpha(KRIPPENDORFF, metric), 3) == published


def test_fleiss_kappa_of_the_worked_example():
    assert round(fleiss_kappa(FLEISS), 3) == 0.210


@pytest.mark.parametrize("metric", ["nominal", "ordinal", "interval"])
@pytest.mark.parametrize("seed", range(4))
def test_alpha_against_the_package(metric, seed):
    package = pytest.importorskip("krippendorff")
    ratings = drawn(4, 60, 5, seed, missing=0.4)
    found = package.alpha(reliability_data=ratings, level_of_measurement=metric)
    assert krippendorff_alpha(ratings, metric) == pytest.approx(found, abs=1e-12)


@pytest.mark.parametrize("weights", [None, "linear", "quadratic"])
@pytest.mark.parametrize("seed", range(4))
def test_cohen_kappa_against_scikit_learn(weights, seed):
    from sklearn.metrics import cohen_kappa_score

    a, b = drawn(2, 80, 6, seed).astype(int)
    assert cohen_kappa(a, b, weights) == pytest.approx(
        cohen_kappa_score(a, b, weights=weights, labels=range(6)), abs=1e-12
    )


@pytest.mark.parametrize("seed", range(3))
def test_fleiss_kappa_against_statsmodels(seed):
    raters = pytest.importorskip("statsmodels.stats.inter_rater")
    counts, _ = raters.aggregate_raters(drawn(5, 40, 4, seed).T.astype(int), n_cat=4)
    assert fleiss_kappa(counts) == pytest.approx(raters.fleiss_kappa(counts), abs=1e-12)


def test_alpha_of_two_graders_without_gaps_is_near_scotts_pi():
    """Nominal alpha differs from Scott's pi by its correction for small samples alone: 1 - alpha = (1 - pi)(n - 1) / n."""
    a, b = drawn(2, 50, 3, 9).astype(int)
    share = np.bincount(np.r_[a, b], minlength=3) / (2 * len(a))
    pi = ((a == b).mean() - (share**2).sum()) / (1 - (share**2).sum())
    n = 2 * len(a)
    assert 1 - krippendorff_alpha(np.stack([a, b]).astype(float)) == pytest.approx((1 - pi) * (n - 1) / n, abs=1e-12)


def test_the_order_of_graders_and_items_says_nothing():
    ratings = drawn(3, 30, 4, 2, missing=0.2)
    random = np.random.default_rng(0)
    mixed = ratings[random.permutation(3)][:, random.permutation(30)]
    for metric in ("nominal", "ordinal", "interval"):
        assert krippendorff_alpha(mixed, metric) == pytest.approx(krippendorff_alpha(ratings, metric), abs=1e-12)


def test_perfect_agreement_is_one_and_no_variation_is_undefined():
    a = np.array([0, 1, 2, 1])
    assert cohen_kappa(a, a) == krippendorff_alpha(np.stack([a, a])) == 1
    same = np.ones(4, int)
    assert np.isnan(cohen_kappa(same, same)) and np.isnan(krippendorff_alpha(np.stack([same, same])))
    assert np.isnan(krippendorff_alpha(np.array([[1, N], [N, 2]])))


def test_the_interval_covers_as_often_as_it_says():
    """Two graders who copy each other in half of the items: kappa is 0.5, and 90 % intervals hold it about that often."""
    random, held = np.random.default_rng(4), 0
    for seed in range(150):
        a = random.integers(0, 2, 200)
        b = np.where(random.random(200) < 0.5, a, random.integers(0, 2, 200))
        made = cohen_with_interval(a, b, resamples=200, level=0.9, seed=seed)
        held += made.low <= 0.5 <= made.high
    assert 0.82 <= held / 150 <= 0.97


def test_an_interval_is_the_same_for_the_same_seed_and_needs_a_level():
    ratings = drawn(3, 40, 4, 1, missing=0.1)
    first = alpha_with_interval(ratings, "ordinal", seed=3, resamples=200)
    assert first == alpha_with_interval(ratings, "ordinal", seed=3, resamples=200)
    assert first.low < first.value < first.high
    with pytest.raises(BadInput, match="confidence level"):
        alpha_with_interval(ratings, level=1.5)


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(BadInput, match="same number of graders"):
        fleiss_kappa(np.array([[2, 0], [1, 2]]))
    with pytest.raises(BadInput, match="same items"):
        cohen_kappa(np.array([1]), np.array([1, 2]))
    with pytest.raises(BadInput, match="metric"):
        krippendorff_alpha(KRIPPENDORFF, "ratio")
