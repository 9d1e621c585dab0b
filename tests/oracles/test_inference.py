"""The prediction-powered mean against ppi-python 0.2.3, and by how often its intervals hold the truth."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from catalog.errors import BadInput
from catalog.inference import classical_mean, estimate_mean, ppi_mean
from catalog.testing import attach_columns, sentences, text_dataset

GOLDEN = json.loads((Path(__file__).parent / "data" / "ppi_golden.json").read_text())


def sample(seed: int, labelled: int, others: int, noise: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.standard_normal(labelled + others) + 1
    score = 0.7 * truth + noise * rng.standard_normal(labelled + others) + 0.5
    return truth[:labelled], score[:labelled], score[labelled:]


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda held: f"{held['case'][0]}-{held['weight']}")
def test_mean_and_interval_are_those_of_ppi_python(golden):
    made, _ = ppi_mean(*sample(*golden["case"]), level=0.9, weight=golden["weight"])
    assert [made.mean, made.low, made.high] == pytest.approx([golden[k] for k in ("mean", "low", "high")], abs=1e-9)


def test_the_interval_holds_the_truth_as_often_as_it_says_and_is_narrower():
    held, widths = 0, []
    for seed in range(400):
        labels, scores, others = sample(seed, 100, 2000, 0.2)
        made, _ = ppi_mean(labels, scores, others, level=0.9)
        alone = classical_mean(labels, level=0.9)
        held += made.low <= 1 <= made.high
        widths.append((made.high - made.low) / (alone.high - alone.low))
    assert 0.86 <= held / 400 <= 0.94 and np.mean(widths) < 0.5


def test_a_score_without_use_leaves_the_mean_of_the_labels():
    labels = np.random.default_rng(0).standard_normal(50)
    made, weight = ppi_mean(labels, np.zeros(50), np.zeros(500))
    assert weight == 0 and made == classical_mean(labels)


def test_estimate_reads_columns_and_meta_and_says_what_is_wrong(cat, tmp_path):
    truth, scores, others = sample(0, 60, 140, 0.2)
    rows = [{"text": text} for text in sentences(200, seed=1)]
    for row, label in zip(rows, truth):
        row["good"] = float(label)
    text_dataset(cat, tmp_path, "web", rows)
    attach_columns(cat, "web", {"quality": np.concatenate([scores, others]),
                                "label": [*truth.tolist(), *[None] * 140], "words": ["a"] * 200})  # fmt: skip
    made, weight = ppi_mean(truth, scores, others)
    for labels in ("label", "meta.good"):
        held = estimate_mean(cat, "web", "quality", labels)
        assert [held["mean"], held["low"], held["weight"]] == pytest.approx([made.mean, made.low, weight])
        assert held["rows"] == {"labelled": 60, "unlabelled": 140, "without a score": 0} and held["labels_worth"] > 60
    for score, labels, error in (
        ("quality", "quality", "is labelled"), ("quality", "meta.bad", "0 rows with both"), ("words", "label", "not numbers")
    ):  # fmt: skip
        with pytest.raises(BadInput, match=error):
            estimate_mean(cat, "web", score, labels)
    with pytest.raises(BadInput, match="confidence level"):
        estimate_mean(cat, "web", "quality", "label", level=1.0)
