"""Candidate mixes and how sure a fitted predictor is: shared by every mixer that learns from trials."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from catalog.errors import BadInput
from catalog.mixers import Predictor, Task

Fit = Callable[[np.ndarray], Predictor]
"""Numbers of runs -> a predictor of the loss that has seen these alone."""


def candidates(task: Task, prior: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Mixes drawn from Dirichlet(prior), those that need more passes than the caps allow left out."""
    found = np.random.RandomState(seed).dirichlet(prior, draws)
    if task.caps is not None and task.budget:
        found = found[(found * task.budget <= task.caps * task.supply * (1 + 1e-9)).all(axis=1)]
        if not len(found):
            raise BadInput(
                "no mix of the design keeps every part within its max_epochs at this budget; lower total or raise them"
            )
    return found


def out_of_fold(fit: Fit, weights: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Predictions for every run by a fit on the other folds."""
    fold = np.random.default_rng(seed).permutation(np.arange(len(weights)) % folds)
    found = np.empty(len(weights))
    for number in range(folds):
        test = fold == number
        found[test] = fit(np.flatnonzero(~test))(weights[test])
    return found


def margin(predicted: np.ndarray, losses: np.ndarray, level: float) -> float:
    """Half-width of an interval that holds a new run with probability `level`: split conformal on out-of-fold errors.

    Vovk, Gammerman and Shafer 2005; the jackknife variant of Barber et al. 2021, arXiv:1905.02928, with folds.
    """
    errors = np.sort(np.abs(predicted - losses))
    at = int(np.ceil(level * (len(errors) + 1))) - 1
    return float(errors[min(at, len(errors) - 1)])


def read_trace(path: str, parts: tuple[str, ...]) -> np.ndarray:
    """(steps, parts) of a table with a column a part; an empty field is NaN."""
    from flows.trial_table import number_columns

    held = number_columns(path)
    if missing := [part for part in parts if part not in held]:
        raise BadInput(f"trace {path}: no column for part {missing[0]!r}; it has {', '.join(list(held)[:12])}")
    return np.column_stack([held[part] for part in parts])
