"""How well a student agrees with its teacher on rows whose content it did not see."""

from __future__ import annotations

from typing import Any

import numpy as np

from catalog.errors import BadInput
from catalog.statistics import spearman
from flows.scorers.combine._students import apply, train

DRAWS = 1000  # bootstrap


def held_out(kind: str, features: Any, wanted: np.ndarray, contents: list[str], folds: int, seed: int) -> np.ndarray:
    """Predictions for each row by students that did not see its content."""
    from sklearn.model_selection import GroupKFold

    count = min(folds, len(set(contents)))
    if count < 2:
        raise BadInput("distil: all graded rows have the same content, so nothing can be held out; score other rows")
    guess = np.zeros(len(wanted))
    for learn, test in GroupKFold(count, shuffle=True, random_state=seed).split(wanted, groups=contents):
        guess[test] = apply(kind, train(kind, features[learn], wanted[learn], seed), features[test])
    return guess


def agreement(guess: np.ndarray, wanted: np.ndarray, length: np.ndarray, seed: int) -> dict[str, Any]:
    """Spearman with a percentile bootstrap interval, slope and tenths of calibration, correlations with length."""

    def related(a: np.ndarray, b: np.ndarray) -> float:
        return spearman(a, b) or 0.0

    rng, rows = np.random.default_rng(seed), len(wanted)
    draws = [related(guess[pick], wanted[pick]) for pick in rng.integers(rows, size=(DRAWS, rows))]
    low, high = np.quantile(draws, [0.025, 0.975])
    slope = float(np.cov(guess, wanted)[0, 1] / guess.var(ddof=1)) if guess.var() > 0 else 0.0
    tenths = np.array_split(np.argsort(guess, kind="stable"), 10)
    return {
        "spearman": related(guess, wanted), "low": float(low), "high": float(high), "rows": rows,
        "interval": f"95 %, percentile bootstrap over rows, {DRAWS} draws, pooled out-of-fold predictions",
        "calibration": {"slope": slope, "intercept": float(wanted.mean() - slope * guess.mean()),
                        "tenths": [[float(guess[t].mean()), float(wanted[t].mean())] for t in tenths]},
        "length": {"student": related(guess, length), "teacher": related(wanted, length)},
    }  # fmt: skip
