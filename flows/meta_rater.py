"""Weights of several scores learned from trials: many weightings, each with the loss of a small model trained on its pick.

Zhuang et al., "Meta-rater: A Multi-dimensional Data Selection Method for Pre-training Language Models", 2025,
arXiv:2504.14194, as in the authors' pipeline: weightings are drawn from a symmetric Dirichlet; boosted trees (rate 0.01,
up to 1,000, stopped after 5 without gain on the last fifth of the trials) learn the loss from the weights; of a million
further draws the 128 of lowest predicted loss are averaged. The training of the small models is the caller's: `draw_weights` says which weightings to try, `learn_weights`
reads what came of them, and `combine` takes the answer as its weights.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from catalog.errors import BadInput
from catalog.statistics import spearman

FEWEST = 30
"""Trials: trees of 20 rows a leaf learn nothing from fewer."""
SEARCHED = 1_000_000
AVERAGED = 128
BLOCK = 100_000


def draw_weights(columns: list[str], count: int, *, strength: float = 1.0, seed: int = 0) -> list[dict[str, float]]:
    """Weightings to try: they sum to one; a larger strength draws them closer to equal."""
    if len(columns) < 2 or len(set(columns)) < len(columns):
        raise BadInput("weights are drawn for two or more different columns; name them")
    if count < 1 or not strength > 0:
        raise BadInput(f"cannot draw {count} weightings of strength {strength:g}; both are positive")
    drawn = np.random.default_rng(seed).dirichlet(np.full(len(columns), strength), count)
    return [dict(zip(columns, map(float, row))) for row in drawn]


def learn_weights(
    trials: list[dict[str, Any]], *, loss: str = "loss", columns: list[str] | None = None, strength: float = 1.0,
    searched: int = SEARCHED, averaged: int = AVERAGED, seed: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """The weighting of least predicted loss, and how well losses of held-out trials were predicted.

    trials: column -> weight, and the loss. columns: default all but the loss. {"weights", "spearman", "predicted", ...}
    """
    names, weights, losses = _table(trials, loss, columns)
    if not 1 <= averaged <= searched:
        raise BadInput(f"cannot average {averaged} of {searched} draws; average at most as many as are drawn")
    cut = int(len(losses) * 0.8)
    model = _fitted(weights[:cut], losses[:cut], weights[cut:], losses[cut:], seed)
    found = _searched(model, len(names), strength, searched, averaged, seed)
    return {
        "weights": dict(zip(names, map(float, found))),
        "predicted": float(model.predict(found[None, :])[0]),
        "best trial": {"loss": float(losses.min()), **dict(zip(names, map(float, weights[int(losses.argmin())])))},
        "spearman": spearman(model.predict(weights[cut:]), losses[cut:]),
        "trials": len(losses), "held out": len(losses) - cut, "trees": int(model.best_iteration_),
    }  # fmt: skip


def _searched(model: Any, columns: int, strength: float, searched: int, averaged: int, seed: int) -> np.ndarray:
    """The mean of the drawn weightings of least predicted loss."""
    rng, best, value = np.random.default_rng(seed), np.empty((0, columns)), np.empty(0)
    for start in range(0, searched, BLOCK):
        drawn = rng.dirichlet(np.full(columns, strength), min(BLOCK, searched - start))
        best, value = np.concatenate([best, drawn]), np.concatenate([value, model.predict(drawn)])
        kept = np.argsort(value, kind="stable")[:averaged]
        best, value = best[kept], value[kept]
    return best.mean(axis=0)


def read_trials(path: str | Path) -> list[dict[str, Any]]:
    """Trials from CSV with a heading, JSON (a list of objects) or JSON Lines."""
    path = Path(path)
    try:
        text = path.read_text("utf-8")
        if path.suffix == ".csv":
            return list(csv.DictReader(text.splitlines()))
        if path.suffix == ".jsonl":
            return [json.loads(line) for line in text.splitlines() if line.strip()]
        held = json.loads(text)
    except OSError as error:
        raise BadInput(f"cannot read the trials {path}: {error.strerror}") from None
    except ValueError as error:
        raise BadInput(f"the trials {path} are neither CSV nor JSON: {' '.join(str(error).split())[:100]}") from None
    if not isinstance(held, list) or not all(isinstance(row, dict) for row in held):
        raise BadInput(f"the trials {path} are no list of objects; give column -> weight and the loss of each trial")
    return held


def _table(
    trials: list[dict[str, Any]], loss: str, columns: list[str] | None
) -> tuple[list[str], np.ndarray, np.ndarray]:
    if len(trials) < FEWEST:
        raise BadInput(f"{len(trials)} trials are too few to learn weights from; run {FEWEST} or more (the paper: 256)")
    names = columns or [name for name in trials[0] if name != loss]
    if len(names) < 2:
        raise BadInput("trials have the weights of two or more columns; name them as fields beside the loss")
    try:
        values = np.array([[float(row[name]) for name in [*names, loss]] for row in trials])
    except (KeyError, TypeError, ValueError) as error:
        reason = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
        raise BadInput(f"a trial lacks a number: {reason}; every trial has the fields {[*names, loss]}") from None
    if not np.isfinite(values).all():
        raise BadInput("a trial holds a value that is not finite; leave failed trials out")
    if np.ptp(values[:, -1]) == 0:
        raise BadInput(f"all trials have the same {loss}, so no weighting is better than another")
    return names, values[:, :-1], values[:, -1]


def _fitted(weights: np.ndarray, losses: np.ndarray, held: np.ndarray, held_losses: np.ndarray, seed: int) -> Any:
    import lightgbm

    model = lightgbm.LGBMRegressor(
        objective="regression", n_estimators=1000, learning_rate=1e-2, seed=seed, verbosity=-1, deterministic=True,
        force_row_wise=True, n_jobs=1, min_child_samples=min(20, max(1, len(losses) // 4)),
    )  # fmt: skip
    stop = lightgbm.early_stopping(stopping_rounds=5, verbose=False)
    return model.fit(weights, losses, eval_X=held, eval_y=held_losses, eval_metric="l2", callbacks=[stop])
