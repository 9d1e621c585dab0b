"""Data mixing laws: each loss is a constant plus an exponential of a linear function of the shares.

Ye et al. 2024, "Data Mixing Laws: Optimizing Data Mixtures by Predicting Language Modeling Performance",
arXiv:2403.16952: L_i(r) = c_i + k_i exp(sum_j t_ij r_j), fitted by minimising a Huber loss (delta 0.01) with L-BFGS from
many random starts, the best of them kept. A single law falls towards a corner of the simplex; the paper's goal, the mean
over several validation sets, has an optimum inside. Name the sets by `losses`.
"""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from catalog.errors import BadInput
from catalog.mixers import Answer, Predictor, Task, mixer
from flows.mixers._search import candidates, learned, margin, out_of_fold, reach


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    losses: dict[str, float] = Field(
        {}, description="validation losses and their weights in the goal; else the goal alone"
    )
    starts: int = Field(12, ge=1, le=1000, description="random starts of a fit")
    delta: float = Field(0.01, gt=0, description="errors above it count linearly")
    draws: int = Field(100_000, ge=128, description="mixes that the best is taken of, before it is refined")
    folds: int = Field(5, ge=2, le=50, description="folds of the runs for the interval")
    level: float = Field(0.9, gt=0, lt=1, description="chance that a run at these weights lies in the interval")
    seed: int = Field(42, description="of starts and draws")


def law_of(parameters: np.ndarray) -> Predictor:
    """parameters: log c, log k, t_1 ... t_n."""
    return lambda mixes: np.exp(parameters[0]) + np.exp(parameters[1] + mixes @ parameters[2:])


def fit_law(weights: np.ndarray, losses: np.ndarray, *, starts: int, delta: float, seed: int) -> np.ndarray:
    """The parameters of the lowest Huber loss over all starts."""
    from scipy.optimize import minimize

    def objective(p: np.ndarray) -> tuple[float, np.ndarray]:
        constant, moving = np.exp(min(p[0], 50.0)), np.exp(np.minimum(p[1] + weights @ p[2:], 50.0))
        error = constant + moving - losses
        slope = np.clip(error, -delta, delta)
        value = np.where(np.abs(error) <= delta, 0.5 * error**2, delta * (np.abs(error) - 0.5 * delta)).sum()
        return float(value), np.concatenate([[slope.sum() * constant, slope @ moving], (slope * moving) @ weights])

    rng, best, lowest = np.random.default_rng(seed), np.zeros(weights.shape[1] + 2), np.inf
    floor = max(float(losses.min()), 1e-6)
    for _ in range(starts):
        share = rng.uniform(0.2, 0.95)
        start = np.concatenate([
            [np.log(share * floor), np.log(max(losses.mean() - share * floor, 1e-6))],
            rng.uniform(-1.5, 0.5, weights.shape[1]),
        ])  # fmt: skip
        found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 500, "maxfun": 800})
        if found.fun < lowest:
            best, lowest = found.x, found.fun
    return best


@mixer("mixing_laws", version="1", params=Params, trials=True, citation="arXiv:2403.16952")
def mixing_laws(task: Task) -> Answer:
    """Weights of the lowest predicted loss under an exponential law for each validation set."""
    params = task.params
    if task.better != "lower":
        raise BadInput("mixer mixing_laws fits losses, which are above zero and fall; give the loss, not the accuracy")
    goals = params.losses or {task.goal: 1.0}
    runs = task.known("mixing_laws", len(task.parts) + 2, list(goals))
    columns = {name: runs.results[name] for name in goals}
    if low := [name for name, values in columns.items() if values.min() <= 0]:
        raise BadInput(f"mixer mixing_laws: a run's {low[0]} is not above zero, so it is no loss; name another goal")

    def fit(rows: np.ndarray) -> Predictor:
        options = {"starts": params.starts, "delta": params.delta, "seed": params.seed}
        laws = [
            (share, law_of(fit_law(runs.weights[rows], columns[name][rows], **options)))
            for name, share in goals.items()
        ]
        return lambda mixes: sum((share * law(mixes) for share, law in laws), np.zeros(len(mixes)))

    losses = sum((share * columns[name] for name, share in goals.items()), np.zeros(len(runs)))
    guess = out_of_fold(fit, runs.weights, min(params.folds, len(runs)), params.seed)
    known = learned("mixing_laws", guess, losses, "run more of a design, or name single sets: --param losses")
    predict = fit(np.arange(len(runs)))
    mixes = candidates(task, np.ones(len(task.parts)), params.draws, params.seed)
    weights = refined(predict, task, mixes[int(np.argmin(predict(mixes)))])
    half, at = margin(guess, losses, params.level), float(predict(weights[None])[0])
    report = {"runs": len(runs), "losses": goals, **known, "from_nearest_run": reach(weights, runs.weights),
              "interval": f"{params.level:.0%}, conformal over {params.folds} folds"}  # fmt: skip
    return Answer(weights, at, at - half, at + half, report, predict)


def refined(predict: Predictor, task: Task, start: np.ndarray) -> np.ndarray:
    """The local optimum on the simplex, within the caps; the laws are convex, so it is the global one."""
    from scipy.optimize import minimize

    high = np.ones(len(start))
    if task.caps is not None and task.budget:
        high = np.minimum(high, task.caps * task.supply / task.budget)
    found = minimize(
        lambda w: float(predict(w[None])[0]), start, method="SLSQP", bounds=[(0.0, top) for top in high],
        constraints=[{"type": "eq", "fun": lambda w: w.sum() - 1}], options={"maxiter": 500, "ftol": 1e-12},
    )  # fmt: skip
    better = found.success and found.fun <= float(predict(start[None])[0])
    return np.maximum(found.x, 0) / np.maximum(found.x, 0).sum() if better else start
