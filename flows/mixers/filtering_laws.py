"""Which quality pools to train on at a given budget: utility that falls with every repetition.

Goyal et al. 2024, "Scaling Laws for Data Filtering -- Data Curation cannot be Compute Agnostic", arXiv:2404.07177, with
the authors' code. A pool has a utility exponent b (negative) and a half-life c in epochs; after n samples of pools of
n_e samples an epoch, with y the loss and n_k the samples seen by the end of epoch k,

    y = (d + (a n_0)^b_0) * prod_k (n_k / n_{k-1})^b_k,    b_k = mean over pools of b * 0.5^(k / (c P))

P is the number of pools: each repeats that much later. a and d are shared by all pools. Pools are joined from the best
exponent on, and the union of the lowest predicted loss at the budget is taken.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from catalog.errors import BadInput
from catalog.mixers import Answer, Task, Trials, mixer


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    irreducible: float = Field(0.1, ge=0, description="d: what no data takes away, in the unit of the goal")
    scale: float | None = Field(None, gt=0, description="a, if known; else fitted, one for all pools")
    normaliser: float = Field(100_000, gt=0, description="samples that count as one before exponents apply")
    least_epochs: float = Field(2, gt=1, description="epochs a pool's runs must reach, so that its half-life shows")


def predicted_loss(
    seen: float, pool: float, a: float, b: np.ndarray, c: np.ndarray, d: float, normaliser: float = 100_000
) -> float:
    """Loss after `seen` samples of the union of pools of `pool` samples each; b, c: (pools,)."""
    pools = len(b)
    epoch_size = pool * pools
    epochs = np.arange(int(seen // epoch_size) + 1)
    exponents = (b[:, None] * 0.5 ** (epochs / (c * pools)[:, None])).mean(axis=0)
    ends = a * np.minimum(epoch_size * (epochs + 1), seen) / normaliser
    starts = a * epoch_size * epochs / normaliser
    first = ends[0] ** exponents[0] if ends[0] > 0 else 0.0
    return float((d + first) * np.prod((ends[1:] / starts[1:]) ** exponents[1:]))


def fit_pools(runs: list[tuple[np.ndarray, np.ndarray, float]], params: Params) -> tuple[float, np.ndarray, np.ndarray]:
    """a, b, c from (samples seen, losses, samples an epoch) of every pool: a grid for a, as the authors found it stable."""
    from scipy.optimize import least_squares

    def pool_fit(seen: np.ndarray, losses: np.ndarray, size: float, a: float) -> tuple[float, np.ndarray]:
        def error(p: np.ndarray) -> np.ndarray:
            b, c = np.array([-np.exp(p[0])]), np.array([np.exp(p[1])])
            guess = [predicted_loss(n, size, a, b, c, params.irreducible, params.normaliser) for n in seen]
            return np.log(np.maximum(guess, 1e-12)) - np.log(losses)

        best = min(
            (least_squares(error, [np.log(start), np.log(life)], max_nfev=200) for start in (0.05, 0.2) for life in (1.0, 8.0)),
            key=lambda found: found.cost,
        )  # fmt: skip
        return float(best.cost), best.x

    grid = [params.scale] if params.scale else np.geomspace(1e-3, 1.0, 13).tolist()
    tried = [(a, [pool_fit(*run, a) for run in runs]) for a in grid]
    a, fits = min(tried, key=lambda pair: sum(cost for cost, _ in pair[1]))
    found = np.array([x for _, x in fits])
    return float(a), -np.exp(found[:, 0]), np.exp(found[:, 1])


@mixer("filtering_laws", version="1", params=Params, trials=True, citation="arXiv:2404.07177", libraries=("scipy",))
def filtering_laws(task: Task) -> Answer:
    """The pools worth training on at the budget; trials are runs on one pool each, with `tokens` as samples seen."""
    params, runs = task.params, task.known("filtering_laws", 3 * len(task.parts))
    if task.budget is None:
        raise BadInput("mixer filtering_laws answers for a budget: set total in the spec")
    if task.better != "lower":
        raise BadInput("mixer filtering_laws fits an error or a loss; give the error rate, not the accuracy")
    if np.ptp(task.supply) > 0.1 * task.supply.mean():
        raise BadInput(
            "mixer filtering_laws compares pools of one size (the paper: tenths of the corpus by score); cut them"
        )
    pool = float(task.supply.mean())
    a, b, c = fit_pools([_curve(task, runs, part, pool) for part in range(len(task.parts))], params)
    order = np.argsort(b, kind="stable")
    losses = [
        predicted_loss(task.budget, pool, a, b[order[:count]], c[order[:count]], params.irreducible, params.normaliser)
        for count in range(1, len(order) + 1)
    ]
    count = int(np.argmin(losses)) + 1
    weights = np.zeros(len(order))
    weights[order[:count]] = 1 / count
    report: dict[str, Any] = {
        "scale": a, "pools": {name: {"exponent": x, "half_life": y} for name, x, y in zip(task.parts, b, c, strict=True)},
        "unions": {" + ".join(task.parts[i] for i in order[:n]): loss for n, loss in enumerate(losses, 1)},
        "epochs": task.budget / (pool * count),
    }  # fmt: skip
    return Answer(weights, losses[count - 1], report=report)


def _curve(task: Task, runs: Trials, part: int, pool: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Samples seen and losses of the runs on one part alone."""
    alone = runs.weights[:, part] > 0.999 * runs.weights.sum(axis=1)
    seen, losses = runs.tokens[alone], runs.results[task.goal][alone]
    name = task.parts[part]
    if alone.sum() < 3 or not np.isfinite(seen).all():
        raise BadInput(f"mixer filtering_laws needs three runs or more on {name} alone, with tokens (samples seen)")
    if seen.max() < task.params.least_epochs * pool:
        raise BadInput(
            f"mixer filtering_laws: no run repeats {name} {task.params.least_epochs:g} times, so its half-life does not "
            "show; train longer"
        )
    if (losses <= 0).any():
        raise BadInput(f"mixer filtering_laws: a loss of {name} is not positive")
    return seen, losses, pool
