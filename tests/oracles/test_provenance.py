"""Palimpsestic provenance against scipy's Spearman and permutation test, and by simulation under the null."""

import numpy as np
import pytest

scipy = pytest.importorskip("scipy")
from scipy import stats  # noqa: E402

from catalog.errors import BadInput  # noqa: E402
from catalog.mixes import publish  # noqa: E402
from catalog.pull.provenance import order_test, palimpsest  # noqa: E402
from catalog.testing import append_texts, sentences  # noqa: E402


def draw(seed, count, slope=0.0, ties=False):
    rng = np.random.default_rng(seed)
    order = rng.permutation(count)
    value = rng.standard_normal(count) + slope * order / count
    return order, np.round(value, 1) if ties else value


@pytest.mark.parametrize("ties", [False, True])
def test_the_statistic_is_scipys_spearman(ties):
    for seed in range(20):
        order, value = draw(seed, 50, 0.5, ties)
        assert palimpsest(order, value, permutations=0).correlation == pytest.approx(
            stats.spearmanr(order, value).statistic
        )


@pytest.mark.parametrize("ties", [False, True])
def test_few_samples_have_the_exact_p_value_of_all_permutations(ties):
    for seed in range(3):
        order, value = draw(seed, 6, 1.0, ties)
        wanted = stats.permutation_test(
            (order,), lambda x, v=value: stats.spearmanr(x, v).statistic, permutation_type="pairings", alternative="greater",
            n_resamples=np.inf, vectorized=False,
        )  # fmt: skip
        found = palimpsest(order, value)
        assert found.method == "every" and found.p == pytest.approx(wanted.pvalue)


def test_sampled_and_normal_agree_with_scipys_p_value():
    for seed in range(6):
        order, value = draw(seed, 800, 0.2)
        wanted = stats.spearmanr(order, value, alternative="greater").pvalue
        assert palimpsest(order, value, permutations=0).p == pytest.approx(wanted, rel=0.15, abs=1e-4)
        assert palimpsest(order, value, permutations=4000).p == pytest.approx(wanted, abs=0.03)


@pytest.mark.parametrize("permutations", [199, 0])
def test_p_values_are_uniform_under_the_null_also_where_parts_drift(permutations):
    """A part that is served late and is easy for every model: plain Spearman cries wolf, the grouped test does not."""
    found, naive = [], []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        group = np.repeat([0, 1], [40, 40])
        order = np.concatenate([rng.permutation(40), rng.permutation(40) + 30])
        value = rng.standard_normal(80) + 2.0 * group
        found.append(palimpsest(order, value, groups=group, permutations=permutations, seed=seed).p)
        naive.append(palimpsest(order, value, permutations=0).p)
    assert stats.kstest(found, "uniform").pvalue > 0.01
    assert np.median(naive) < 1e-3


def test_a_descendant_is_found_and_a_reference_helps():
    rng = np.random.default_rng(0)
    order, hard = rng.permutation(3000), 3 * rng.standard_normal(3000)
    likelihood = hard + rng.standard_normal(3000) + 0.6 * order / 3000
    alone = palimpsest(order, likelihood, permutations=0).p
    helped = palimpsest(order, likelihood, hard + rng.standard_normal(3000), permutations=0).p
    assert helped < 1e-8 and helped < alone / 100
    assert palimpsest(order, likelihood, hard, permutations=999).p == 1 / 1000


def test_by_the_indices_of_a_mix(cat):
    append_texts(cat, "web", sentences(200))
    append_texts(cat, "chat", sentences(60, seed=1))
    parts = [{"dataset": "web", "weight": 2}, {"dataset": "chat", "weight": 1, "max_epochs": 2}]
    publish(cat, {"name": "m", "total": 270, "parts": parts})
    reader, rng = cat.mix("m"), np.random.default_rng(0)
    indices = rng.choice(270, 250, replace=False)
    part, noise = reader.locate(indices)[0], rng.standard_normal(250)
    assert order_test(reader, indices, noise + 3 * part, permutations=0).p > 0.01
    assert order_test(reader, indices, noise + indices / 60, permutations=0).p < 1e-6
    publish(cat, {"name": "n", "order": {"shuffle": "none"}, "parts": parts[:1]})
    with pytest.raises(BadInput, match="not fully shuffled"):
        order_test(cat.mix("n"), [1, 2, 3], [0.1, 0.2, 0.3])


def test_what_is_refused():
    with pytest.raises(BadInput, match="nothing can be tested"):
        palimpsest([1, 2, 3], [1, 1, 1])
    with pytest.raises(BadInput, match="give one a sample"):
        palimpsest([1, 2, 3], [1, 2])
    with pytest.raises(BadInput, match="not finite"):
        palimpsest([1, 2, 3], [1, 2, float("nan")])
    with pytest.raises(BadInput, match="nothing can be tested"):
        palimpsest([1, 2, 3], [1, 2, 3], groups=[0, 1, 2])
