"""Principal components of a few columns or of vectors, from sums over batches, with signs that do not depend on chance."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def moments(parts: Iterable[np.ndarray]) -> tuple[int, np.ndarray, np.ndarray]:
    """Number of rows, mean and covariance (over n), gathered in one pass and merged as in Chan et al. 1979."""
    count, mean, spread = 0, np.zeros(0), np.zeros((0, 0))
    for part in parts:
        if not len(part):
            continue
        own, centre = len(part), part.mean(axis=0)
        with np.errstate(over="ignore", invalid="ignore"):  # squares may overflow; who reads the covariance looks
            around = (part - centre).T @ (part - centre)
        if not count:
            count, mean, spread = own, centre, around
            continue
        gap, total = centre - mean, count + own
        spread = spread + around + np.outer(gap, gap) * count * own / total
        mean, count = mean + gap * own / total, total
    return count, mean, spread / max(count, 1)


def principal(covariance: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit directions as columns, of largest variance first, and their variances; directions without any are left out.

    A direction points to where the sum of its weights is positive, or its largest weight where they cancel.
    """
    values, vectors = np.linalg.eigh(covariance)
    order = np.argsort(-values, kind="stable")[:most]
    order = order[values[order] > 1e-10 * max(values.max(initial=0), 1e-300)]
    vectors, values = vectors[:, order], values[order]
    total = vectors.sum(axis=0)
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=0)[None, :], 0)[0] if vectors.size else total
    sign = np.where(np.abs(total) > 1e-6, np.sign(total), np.sign(largest))
    return vectors * sign, values
