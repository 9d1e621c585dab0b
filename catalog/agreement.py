"""How far graders agree beyond chance, each coefficient with a bootstrap interval over items.

Cohen's kappa: J. Cohen 1960, and weighted 1968. Fleiss' kappa: J. L. Fleiss 1971, "Measuring nominal scale agreement among
many raters". Krippendorff's alpha: K. Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability". The interval is the
percentile bootstrap over items (Efron 1979; for these coefficients Zapf, Castell, Morawietz and Karch 2016, BMC Medical
Research Methodology 16:93): it says how far the number would move with other items, not with other graders.

All are 1 for perfect agreement, 0 for what chance gives, and below 0 for less than that; higher is better. Where every
value is the same there is nothing to disagree about and the coefficient is undefined: NaN, never 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from catalog.errors import BadInput

METRICS = ("nominal", "ordinal", "interval")
WEIGHTS = (None, "linear", "quadratic")


@dataclass(frozen=True)
class Agreement:
    """A coefficient with its interval. undefined: share of resamples without a value, which are left out of it."""

    value: float
    low: float
    high: float
    items: int
    undefined: float = 0.0


def cohen_kappa(a: np.ndarray, b: np.ndarray, weights: str | None = None, levels: int | None = None) -> float:
    """Agreement of two graders on the same items; at most 1, higher is better, NaN where it is undefined.

    a, b: whole numbers from 0, one an item. weights: of a disagreement by its distance: None counts all alike, "linear",
    "quadratic". levels: how many values there are.
    """
    if weights not in WEIGHTS:
        raise BadInput(f"weights {weights!r} is not one of none, linear, quadratic")
    if len(a) != len(b):
        raise BadInput(f"two graders must grade the same items, not {len(a)} and {len(b)}")
    if not len(a):
        return np.nan
    levels = levels or int(max(a.max(), b.max())) + 1
    seen = np.bincount(a * levels + b, minlength=levels * levels).reshape(levels, levels).astype(float)
    chance = np.outer(seen.sum(1), seen.sum(0)) / len(a)
    apart = np.abs(np.subtract.outer(np.arange(levels), np.arange(levels))).astype(float)
    cost = (apart > 0).astype(float) if weights is None else apart if weights == "linear" else apart**2
    expected = (cost * chance).sum()
    return float(1 - (cost * seen).sum() / expected) if expected > 0 else np.nan


def fleiss_kappa(counts: np.ndarray) -> float:
    """Agreement of equally many graders an item, who need not be the same; at most 1, higher is better.

    counts[item, value]: graders who gave the value. Every item needs the same number of graders, two or more.
    """
    counts = np.asarray(counts, float)
    if not len(counts):
        return np.nan
    graders = counts.sum(1)
    if graders[0] < 2 or (graders != graders[0]).any():
        raise BadInput("Fleiss' kappa needs the same number of graders at every item, two or more")
    n = graders[0]
    agreed = ((counts**2).sum(1) - n) / (n * (n - 1))
    chance = ((counts.sum(0) / counts.sum()) ** 2).sum()
    return float((agreed.mean() - chance) / (1 - chance)) if chance < 1 else np.nan


def krippendorff_alpha(ratings: np.ndarray, metric: str = "nominal") -> float:
    """Agreement of any number of graders with values missing; at most 1, higher is better.

    ratings[grader, item]: numbers, NaN where a grader gave none. metric: how far two values are apart: nominal, ordinal,
    interval. Items with fewer than two values say nothing and are left out.
    """
    counts, values = value_counts(ratings)
    return alpha_of_counts(counts, values, metric)


def value_counts(ratings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(counts[item, value], the values in order) of ratings[grader, item]."""
    ratings = np.asarray(ratings, float)
    there = ~np.isnan(ratings)
    values, coded = np.unique(ratings[there], return_inverse=True)
    counts = np.zeros((ratings.shape[1], len(values)))
    np.add.at(counts, (np.nonzero(there)[1], coded), 1)
    return counts, values


def alpha_of_counts(counts: np.ndarray, values: np.ndarray, metric: str = "nominal") -> float:
    """Krippendorff's alpha from counts[item, value]; see `krippendorff_alpha`."""
    if metric not in METRICS:
        raise BadInput(f"metric {metric!r} is not one of {', '.join(METRICS)}")
    held = counts.sum(1)
    counts, held = counts[held > 1], held[held > 1]
    if not len(counts):
        return np.nan
    weighed = counts / (held - 1)[:, None]
    coincidences = weighed.T @ counts
    coincidences[np.diag_indices_from(coincidences)] -= weighed.sum(0)
    totals = counts.sum(0)
    apart = _apart(totals, values, metric)
    expected = (np.outer(totals, totals) * apart).sum() / (totals.sum() - 1)
    return float(1 - (coincidences * apart).sum() / expected) if expected > 0 else np.nan


def _apart(totals: np.ndarray, values: np.ndarray, metric: str) -> np.ndarray:
    """Squared distance of each two values; on an ordinal scale it is how many ratings lie between them."""
    if metric == "nominal":
        return (~np.eye(len(values), dtype=bool)).astype(float)
    place = values if metric == "interval" else np.cumsum(totals) - totals / 2
    return np.subtract.outer(place, place) ** 2


def with_interval(
    statistic: Callable[[np.ndarray], float],
    items: int,
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Agreement:
    """A coefficient and its percentile bootstrap. statistic: a number from the places of the items that are used."""
    if not 0.5 <= level < 1:
        raise BadInput(f"a level of {level:g} is no confidence level; give one from 0.5 to below 1, as 0.95")
    value = statistic(np.arange(items))
    if items < 2 or resamples < 1 or np.isnan(value):
        return Agreement(value, np.nan, np.nan, items, 1.0 if np.isnan(value) else 0.0)
    random = np.random.default_rng(seed)
    drawn = np.array([statistic(random.integers(0, items, items)) for _ in range(resamples)])
    there = drawn[~np.isnan(drawn)]
    if not len(there):
        return Agreement(value, np.nan, np.nan, items, 1.0)
    low, high = np.quantile(there, [(1 - level) / 2, (1 + level) / 2])
    return Agreement(value, float(low), float(high), items, float(1 - len(there) / resamples))


def cohen_with_interval(a: np.ndarray, b: np.ndarray, weights: str | None = None, **options: object) -> Agreement:
    """`cohen_kappa` and its interval."""
    levels = int(max(a.max(), b.max())) + 1 if len(a) else 1
    return with_interval(lambda at: cohen_kappa(a[at], b[at], weights, levels), len(a), **options)  # type: ignore[arg-type]


def fleiss_with_interval(counts: np.ndarray, **options: object) -> Agreement:
    """`fleiss_kappa` and its interval."""
    return with_interval(lambda at: fleiss_kappa(counts[at]), len(counts), **options)  # type: ignore[arg-type]


def alpha_with_interval(ratings: np.ndarray, metric: str = "nominal", **options: object) -> Agreement:
    """`krippendorff_alpha` and its interval, over the items that hold two values or more."""
    counts, values = value_counts(ratings)
    counts = counts[counts.sum(1) > 1]
    return with_interval(lambda at: alpha_of_counts(counts[at], values, metric), len(counts), **options)  # type: ignore[arg-type]
