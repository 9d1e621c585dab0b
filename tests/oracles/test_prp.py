"""Sorting by comparisons: Python's own sort, brute force and the numbers of comparisons; positions by SciPy and by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from flows.scorers.judge._position import position_report, proportion
from flows.scorers.judge._sorting import all_pairs, heap_sort, sliding_window

ORACLES = {"prp_rank": "Python's sort over planted strengths, and the numbers of comparisons"}


def counted(strength):
    """An outcome by strengths, equal ones tie; and the comparisons that it was asked for."""
    asked = []

    def outcome(pairs):
        asked.extend(pairs)
        return [int(np.sign(strength[a] - strength[b])) for a, b in pairs]

    return outcome, asked


@given(st.lists(st.integers(0, 6), max_size=40))
@settings(max_examples=150, deadline=None)
def test_all_three_are_the_stable_sort_by_strength(strength):
    """heapsort is not stable, but its ties are broken by the given order, which makes it so."""
    right = sorted(range(len(strength)), key=lambda item: -strength[item])
    for sort in (all_pairs, heap_sort, lambda n, outcome: sliding_window(n, outcome, n)):
        assert sort(len(strength), counted(strength)[0]) == right


@pytest.mark.parametrize("count", [2, 17, 100, 300])
def test_numbers_of_comparisons(count):
    strength = np.random.default_rng(count).permutation(count)
    right = list(np.argsort(-strength))
    outcome, asked = counted(strength)
    assert all_pairs(count, outcome) == right and len(asked) == count * (count - 1) // 2
    outcome, asked = counted(strength)
    assert heap_sort(count, outcome) == right and len(asked) <= 2 * count * math.ceil(math.log2(count)) + 2 * count
    for top in (1, 5):
        outcome, asked = counted(strength)
        assert sliding_window(count, outcome, top)[:top] == right[:top]
        assert len(asked) == sum(count - 1 - done for done in range(min(top, count - 1))) <= top * (count - 1)
        outcome, asked = counted(strength)
        made = heap_sort(count, outcome, top)
        assert made[:top] == right[:top] and sorted(made) == list(range(count))
        assert len(asked) <= 2 * count + 2 * min(top, count) * math.ceil(math.log2(count))


def test_a_judge_without_an_opinion_leaves_the_order():
    for sort in (all_pairs, heap_sort, lambda n, outcome: sliding_window(n, outcome, 5)):
        assert sort(9, lambda pairs: [0] * len(pairs)) == list(range(9))


def test_points_need_no_transitive_judge():
    """A circle of three and one who loses to all: points by hand."""
    beats = {(0, 1): 1, (1, 2): 1, (0, 2): -1, (0, 3): 1, (1, 3): 1, (2, 3): 1}
    assert all_pairs(4, lambda pairs: [beats[pair] for pair in pairs]) == [0, 1, 2, 3]


def test_position_figures_are_those_of_counting():
    forward = np.array([1, 1, 0, 0, 1, np.nan, 1, 0])
    backward = np.array([0, 1, 1, 0, 1, 1, 0, 1])
    first, second = np.array([100, 100, 100, 95, 10, 50, 100, 300]), np.array([50, 95, 300, 100, 20, 50, 90, 100])
    held = position_report(forward, backward, first, second)
    assert (held["pairs"], held["both_orders_read"]) == (8, 7)
    # Flipped: pairs 1, 3 and 4, where both orders said the same place.
    exact = binomtest(3, 7).proportion_ci(0.95, method="wilson")
    assert held["flipped"] == pytest.approx({"share": 3 / 7, "low": exact.low, "high": exact.high})
    assert held["said_first"]["share"] == pytest.approx((0.5 + 1 + 0.5 + 0 + 1 + 0.5 + 0.5) / 7)
    # Of those that did not flip, the longer text won in pair 0 (100 > 50), 2 (300), 6 (100 > 90), and not in 7 (300 lost).
    assert held["longer_won"]["share"] == pytest.approx(3 / 4)
    assert [row["pairs"] for row in held["by_length"]] == [2, 1, 4], "an edge belongs above it"
    assert proportion(np.empty(0)) is None


@pytest.mark.parametrize("bias", [0.0, 0.2])
def test_the_interval_of_the_first_place_holds_the_truth(bias):
    """Judges who say A with 1/2 + bias where they do not know, and decide by the text in half of the pairs."""
    held = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        knows, right = rng.random(200) < 0.5, rng.random(200) < 0.5
        guess = rng.random((2, 200)) < 0.5 + bias
        forward, backward = (
            np.where(knows, right, guess[0]).astype(float),
            np.where(knows, ~right, guess[1]).astype(float),
        )
        found = position_report(forward, backward, np.ones(200), np.ones(200))["said_first"]
        held += found["low"] <= 0.5 + bias / 2 <= found["high"]
    assert 0.92 <= held / 300 <= 0.98
