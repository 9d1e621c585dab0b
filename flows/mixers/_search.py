"""Candidate mixes and how sure a fitted predictor is: shared by every mixer that learns from trials."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from catalog.errors import BadInput
from catalog.mixers import Predictor, Task
from catalog.statistics import spearman

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


def learned(mixer: str, predicted: np.ndarray, losses: np.ndarray, remedy: str) -> dict[str, float | None]:
    """What a fit knows of runs it has not seen: rank correlation, and the part of their spread that it explains.

    A fit that neither ranks them nor explains anything is refused: it would answer all the same, with the mean of the
    mixes that it happens to draw. Below zero the second alone says that the figures are off, though the order may hold.
    """
    spread = float(((losses - losses.mean()) ** 2).sum())
    explained = 1 - float(((predicted - losses) ** 2).sum()) / spread if spread > 0 else 0.0
    ranked = spearman(predicted, losses)
    if not (explained > 0.01 or (ranked or 0.0) > 0):
        raise BadInput(
            f"mixer {mixer} predicts runs it has not seen no better than their mean does, from {len(losses)} runs; {remedy}"
        )
    return {"spearman_out_of_fold": ranked, "explained_out_of_fold": explained}


def reach(weights: np.ndarray, runs: np.ndarray) -> float:
    """How far shares are from the nearest run: the part of the mix that would be another. Near 1 a fit extrapolates."""
    known = runs / runs.sum(axis=1, keepdims=True)
    return float(np.abs(known - weights).sum(axis=1).min() / 2)


def most_shares(task: Task) -> np.ndarray:
    """(parts,) the largest share of each part that its max_epochs allow at the budget."""
    if task.caps is None or not task.budget:
        return np.ones(len(task.parts))
    return np.minimum(task.caps * task.supply / task.budget, 1.0)


def onto_simplex(point: np.ndarray, most: np.ndarray) -> np.ndarray:
    """The nearest shares that add up to one, none negative or above `most`."""
    low, high = float((point - most).min()) - 1, float(point.max())
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if np.clip(point - middle, 0, most).sum() > 1 else (low, middle)
    return np.clip(point - (low + high) / 2, 0, most)


def descend(
    at: Callable[[np.ndarray], tuple[float, np.ndarray]], start: np.ndarray, most: np.ndarray, steps: int
) -> tuple[float, np.ndarray]:
    """The lowest value that projected gradient steps reach, and where; `at` gives value and slope.

    A step is halved until it goes down enough (Armijo on the projection arc, Bertsekas 1976), and doubled after it did.
    """
    here = onto_simplex(start, most)
    (value, slope), size = at(here), 1.0
    for _ in range(steps):
        while True:
            step = size / max(float(np.abs(slope).max()), 1e-300)
            there = onto_simplex(here - step * slope, most)
            moved = float(np.abs(there - here).max())
            if moved < 1e-6:
                return value, here
            found, turned = at(there)
            if found <= value + 1e-4 * float(slope @ (there - here)):
                break
            size /= 2
        here, value, slope, size = there, found, turned, min(size * 2, 1.0)
    return value, here


def read_trace(path: str, parts: tuple[str, ...]) -> np.ndarray:
    """(steps, parts) of a table with a column a part; an empty field is NaN."""
    from flows.trial_table import number_columns

    held = number_columns(path)
    if missing := [part for part in parts if part not in held]:
        raise BadInput(f"trace {path}: no column for part {missing[0]!r}; it has {', '.join(list(held)[:12])}")
    return np.column_stack([held[part] for part in parts])
