"""RegMix: fit a regression from mix to loss on small runs, then simulate many mixes and take the mean of the best.

Liu et al. 2024, "RegMix: Data Mixture as Regression for Language Model Pre-training", arXiv:2407.01492. The regression is
LightGBM with the authors' settings (1,000 trees, rate 0.01) or linear; 100,000 mixes are drawn from a Dirichlet whose
parameters are the parts' natural shares, and the 128 of the best prediction are averaged. The authors' notebook stops
the boosting early on the runs it is tested on; that is not done here: the interval and the rank correlation come from
folds of the runs given.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from catalog.mixers import Answer, Predictor, Task, mixer
from flows.mixers._search import candidates, learned, margin, out_of_fold, reach

SETTINGS: dict[str, Any] = {
    "boosting_type": "gbdt", "objective": "regression", "metric": ["l1", "l2"], "n_estimators": 1000, "seed": 42,
    "learning_rate": 0.01, "verbosity": -1, "deterministic": True, "force_row_wise": True, "n_jobs": 1,
}  # fmt: skip
"""One thread: a few hundred rows are not worth two, which wait for each other ten times as long on busy cores."""


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    model: Literal["lightgbm", "linear"] = Field("lightgbm", description="regression from weights to the goal")
    draws: int = Field(100_000, ge=128, le=10_000_000, description="mixes that are simulated")
    keep: int = Field(128, ge=1, description="best mixes that are averaged")
    prior: float = Field(1.0, gt=0, description="concentration of the Dirichlet around the natural shares")
    seed: int = Field(42, description="of the simulation")
    folds: int = Field(5, ge=2, le=50, description="folds of the runs for the interval")
    level: float = Field(0.9, gt=0, lt=1, description="chance that a run at these weights lies in the interval")


def fit_trees(weights: np.ndarray, losses: np.ndarray) -> Predictor:
    """LightGBM with the authors' settings, without early stopping."""
    import lightgbm

    return lightgbm.LGBMRegressor(**SETTINGS).fit(weights, losses).predict  # type: ignore[return-value]


def fit_linear(weights: np.ndarray, losses: np.ndarray) -> Predictor:
    """Least squares with an intercept."""
    design = np.column_stack([weights, np.ones(len(weights))])
    found = np.linalg.lstsq(design, losses, rcond=None)[0]
    return lambda mixes: np.column_stack([mixes, np.ones(len(mixes))]) @ found


def best_mean(predict: Predictor, mixes: np.ndarray, keep: int) -> np.ndarray:
    """Mean of the mixes with the lowest prediction."""
    return mixes[np.argsort(predict(mixes))[:keep]].mean(axis=0)


@mixer("regmix", version="1", params=Params, trials=True, citation="arXiv:2407.01492", libraries=("lightgbm",))
def regmix(task: Task) -> Answer:
    """Weights whose loss a regression over small runs predicts to be lowest; at least 16 runs."""
    params, runs = task.params, task.known("regmix", 16)
    losses = runs.results[task.goal] * task.sign()
    fit = fit_trees if params.model == "lightgbm" else fit_linear
    held = out_of_fold(
        lambda rows: fit(runs.weights[rows], losses[rows]), runs.weights, min(params.folds, len(runs)), params.seed
    )
    other = "model=linear" if params.model == "lightgbm" else "model=lightgbm"
    known = learned("regmix", held, losses, f"run more of a design, or try --param {other}")
    predict = fit(runs.weights, losses)
    mixes = candidates(task, task.natural * params.prior, params.draws, params.seed)
    weights = best_mean(predict, mixes, params.keep)
    half = margin(held, losses, params.level)
    at = float(predict(weights[None])[0]) * task.sign()
    return Answer(
        weights, at, at - half, at + half,
        {
            "runs": len(runs), "model": params.model, **known, "from_nearest_run": reach(weights, runs.weights),
            "interval": f"{params.level:.0%}, conformal over {params.folds} folds", "candidates": len(mixes),
            "best_run": float(losses.min()) * task.sign(),
            "proportional": float(predict(task.natural[None])[0]) * task.sign(),
        },
        predict=lambda mixes: predict(mixes) * task.sign(),
    )  # fmt: skip
