"""Agreement of a score with two-class labels: area under the ROC curve and DeLong's interval."""

from __future__ import annotations

import numpy as np


def auc_of(labels: np.ndarray, score: np.ndarray) -> float:
    """Chance that a random positive scores above a random negative; ties count half."""
    positive, negative = int(labels.sum()), int((~labels).sum())
    return float((_midranks(score)[labels].sum() - positive * (positive + 1) / 2) / (positive * negative))


def auc_delong(labels: np.ndarray, score: np.ndarray) -> tuple[float, float, float]:
    """The area and its 95 % interval, cut to [0, 1].

    DeLong, DeLong and Clarke-Pearson, "Comparing the areas under two or more correlated receiver operating
    characteristic curves", Biometrics 44, 1988. A placement is the share of the other class that a row beats.
    """
    positive, negative = int(labels.sum()), int((~labels).sum())
    ranks = _midranks(score)
    above = (ranks[labels] - _midranks(score[labels])) / negative
    below = 1 - (ranks[~labels] - _midranks(score[~labels])) / positive
    variance = (above.var(ddof=1) if positive > 1 else 0.0) / positive
    variance += (below.var(ddof=1) if negative > 1 else 0.0) / negative
    area, half = float(above.mean()), 1.959963984540054 * float(np.sqrt(variance))
    return area, max(0.0, area - half), min(1.0, area + half)


def _midranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1; equal values share their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]
