"""Confident learning against cleanlab 2.9.0 on the published out-of-sample probabilities of two test sets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from flows.scorers.labels._confident import FILTERS, confident_joint, find_issues, self_confidence

ORACLES = {"label_issues": "cleanlab 2.9.0's joint and issues on MNIST's and 20 Newsgroups' published probabilities"}

DATA = Path(__file__).parent / "data"
GOLDEN = json.loads((DATA / "cleanlab_golden.json").read_text())


@pytest.fixture(scope="module", params=["mnist", "20news"])
def case(request):
    with np.load(DATA / "cleanlab_golden.npz") as held:
        probabilities = held[f"{request.param}_probabilities"] / 10_000
        return GOLDEN[request.param], held[f"{request.param}_labels"].astype(int), probabilities


@pytest.mark.parametrize("by", ["prune_by_noise_rate", "confident_learning", "low_normalized_margin"])
def test_the_same_rows_are_issues(case, by):
    golden, labels, probabilities = case
    found = np.flatnonzero(find_issues(labels, probabilities, by))
    assert len(found) == golden["counts"][by] == golden["published"][by]
    assert found.tolist() == golden["issues"][by]


def test_pruning_by_class_differs_in_equal_probabilities_alone(case):
    """cleanlab sorts unstably, so that among rows of equal self-confidence chance decides; ours takes the first."""
    golden, labels, probabilities = case
    own = self_confidence(labels, probabilities)
    ours, theirs = ({*np.flatnonzero(find_issues(labels, probabilities, "prune_by_class"))},
                    {*golden["issues"]["prune_by_class"]})  # fmt: skip
    assert sorted((labels[i], own[i]) for i in ours) == sorted((labels[i], own[i]) for i in theirs)
    both = {*np.flatnonzero(find_issues(labels, probabilities, "both"))}
    assert both ^ {*golden["issues"]["both"]} <= ours ^ theirs


def test_the_joint_and_the_quality_are_the_same(case):
    golden, labels, probabilities = case
    assert confident_joint(labels, probabilities).tolist() == golden["joint"]
    assert self_confidence(labels, probabilities)[:200] == pytest.approx(golden["quality"], abs=1e-5)


def test_flipped_labels_are_found():
    rng = np.random.default_rng(0)
    truth = rng.integers(3, size=900)
    probabilities = np.full((900, 3), 0.05) + 0.85 * np.eye(3)[truth] + rng.uniform(0, 0.02, (900, 3))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    labels = truth.copy()
    labels[:60] = (labels[:60] + 1) % 3
    for by in FILTERS:
        found = find_issues(labels, probabilities, by)
        assert found[:60].mean() >= 0.95 and found[60:].mean() <= 0.01
