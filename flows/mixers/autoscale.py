"""AutoScale: the best amounts at two affordable sizes, found domain by domain, carried on to a size that is not.

Kang et al. 2024, "AutoScale: Automatic Prediction of Compute-optimal Data Composition for Training LLMs",
arXiv:2407.20177, with the authors' notebooks. DDO, at each of two sizes: a base run, and for every part two runs or more
with more and less of that part alone. The loss relative to the base is fitted by (x + a)^-b + c in the change x of the
part's amount; amounts that minimise the sum at the base's total follow from the condition that the marginal losses per
token are equal, no part below a fifth of its base. Then amounts grow geometrically: n3 = n2 * n2 / n1, and to the power
that reaches the budget asked for.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from catalog.errors import BadInput
from catalog.mixers import Answer, Task, Trials, mixer


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    floor: float = Field(
        0.2, ge=0, lt=1, description="least amount of a part, as a share of its amount in the base run"
    )


@dataclass(frozen=True)
class Design:
    """Runs around one base: amounts of each part in it, and for every part the changes tried and relative losses."""

    base: np.ndarray
    loss: float
    changes: list[np.ndarray]
    relative: list[np.ndarray]


def designs(amounts: np.ndarray, losses: np.ndarray, tolerance: float = 0.02) -> list[Design]:
    """Every base run that has, for each part, two runs or more which differ in that part alone; smallest first."""
    found = []
    for base, loss in zip(amounts, losses, strict=True):
        if (base <= 0).any():
            continue
        changed = np.abs(amounts / base - 1) > tolerance
        alone = [np.flatnonzero((changed.sum(axis=1) == 1) & changed[:, part]) for part in range(len(base))]
        if all(len(rows) > 1 for rows in alone):
            changes = [np.append(amounts[rows, part] / base[part], 1.0) for part, rows in enumerate(alone)]
            relative = [np.append(losses[rows] / loss, 1.0) for rows in alone]
            found.append(Design(base, float(loss), changes, relative))
    return sorted(found, key=lambda design: design.base.sum())


def power_law(changes: np.ndarray, relative: np.ndarray) -> tuple[float, float, float]:
    """a, b, c of relative loss = (change + a)^-b + c."""
    from scipy.optimize import OptimizeWarning, curve_fit

    def law(x: np.ndarray, a: float, b: float, c: float) -> np.ndarray:
        return np.power(np.maximum(x + a, 1e-9), -b) + c

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OptimizeWarning)
            (a, b, c), _ = curve_fit(law, changes, relative, maxfev=10_000)
    except RuntimeError:
        raise BadInput("mixer autoscale: the runs of a part follow no power law; repeat them with more seeds") from None
    return float(a), float(b), float(c)


def best_amounts(laws: list[tuple[float, float, float]], base: np.ndarray, floor: float) -> np.ndarray:
    """Amounts of each part that minimise the sum of the laws at the base's total.

    At the optimum b (x + a)^(-b-1) / base is one number for all parts above the floor; it is found by bisection.
    """
    a, b = np.array([law[0] for law in laws]), np.array([law[1] for law in laws])
    helps = b > 0  # a part whose loss does not fall with its amount stays at the floor

    def at(price: float) -> np.ndarray:
        wanted = np.power(np.maximum(b, 1e-12) / (price * base), 1 / (np.maximum(b, 1e-12) + 1)) - a
        return np.where(helps, np.maximum(wanted, floor), floor)

    if not helps.any():
        return base.copy()
    low, high = -60.0, 60.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if (at(np.exp(middle)) * base).sum() > base.sum() else (low, middle)
    return at(np.exp((low + high) / 2)) * base


def extrapolate(small: np.ndarray, large: np.ndarray, budget: float | None) -> np.ndarray:
    """Amounts at a budget, by the constant ratio large / small a step; without one, one step on: large^2 / small."""
    ratio = large / small
    if budget is None:
        return large * ratio
    low, high = -50.0, 50.0
    for _ in range(200):  # the total grows with the power as long as some ratio is above one
        middle = (low + high) / 2
        low, high = (middle, high) if (large * ratio**middle).sum() < budget else (low, middle)
    return large * ratio ** ((low + high) / 2)


@mixer("autoscale", version="1", params=Params, trials=True, citation="arXiv:2407.20177")
def autoscale(task: Task) -> Answer:
    """Weights at a budget from the best amounts at two smaller sizes; trials need `tokens`."""
    runs: Trials = task.known("autoscale", 2 * (2 * len(task.parts) + 1))
    if not np.isfinite(runs.tokens).all():
        raise BadInput("mixer autoscale compares amounts: every trial needs the column tokens")
    amounts = runs.weights / runs.weights.sum(axis=1, keepdims=True) * runs.tokens[:, None]
    held = designs(amounts, runs.results[task.goal] * task.sign())
    if len(held) < 2:
        raise BadInput(
            f"mixer autoscale needs two sizes, each with a base run and two runs a part that change it alone; "
            f"the trials hold {len(held)}"
        )
    best = []
    for design in (held[0], held[-1]):
        laws = [power_law(*seen) for seen in zip(design.changes, design.relative, strict=True)]
        best.append(best_amounts(laws, design.base, task.params.floor))
    found = extrapolate(best[0], best[1], task.budget)
    report = {"sizes": [design.base.sum() for design in (held[0], held[-1])], "tokens": found.sum(),
              "amounts": dict(zip(task.parts, found.tolist()))}  # fmt: skip
    return Answer(found / found.sum(), report=report)
