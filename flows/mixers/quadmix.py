"""QuaDMix: how each domain is sampled by quality, found by small runs over many settings of the sampling function.

Liu et al. 2025, "QuaDMix: Quality-Diversity Balanced Data Selection for Efficient LLM Pretraining", arXiv:2504.16511. A part
is a domain. Its setting is a weight alpha for each quality score, and lambda, omega, eta, epsilon of the sampling function
(the selector `quadmix`). Settings are drawn by algorithm 1, a small model is trained on what each samples, LightGBM learns
the loss from the setting, and of 100,000 further draws the 10 of lowest predicted loss are averaged. LightGBM has RegMix's
values, which the paper follows; lambda's factor is read as 10^3.

The weights of the answer are what the found sampling leaves of each part. The rows are the selector's choice, so that weights
alone are not this method: `flows.sampled.sampled_spec` saves a selection a part and gives the spec that serves their copies.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from catalog.errors import BadInput
from catalog.mixers import Answer, Task, mixer
from flows.mixers._search import learned, margin, out_of_fold
from flows.mixers.regmix import fit_trees
from flows.selectors.quadmix import rate

SHAPE = ("lambda", "omega", "eta", "epsilon")
SCALE = np.array([1e3, 0.1, 1.0, 1e-3])
"""Algorithm 1: uniform draws times these."""


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    draws: int = Field(100_000, ge=100, le=1_000_000, description="settings whose loss is predicted")
    keep: int = Field(10, ge=1, description="best settings that are averaged")
    folds: int = Field(5, ge=2, le=50, description="folds of the runs for the interval")
    level: float = Field(0.9, gt=0, lt=1, description="chance that a run of this setting lies in the interval")
    seed: int = Field(42, description="of the draws and folds")


def setting_columns(parts: Sequence[str], criteria: Sequence[str]) -> list[str]:
    """How a table of trials calls the numbers of a setting: PART.alpha.SCORE, PART.lambda, PART.omega, ..."""
    return [f"{part}.{name}" for part in parts for name in [*(f"alpha.{score}" for score in criteria), *SHAPE]]


def draw_settings(parts: int, criteria: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count, parts x (criteria + 4)) settings by algorithm 1: a weight a score for all, times one for each domain."""
    overall = rng.uniform(size=(count, 1, criteria))
    alpha = overall / overall.sum(axis=2, keepdims=True) * rng.uniform(size=(count, parts, criteria))
    alpha /= alpha.sum(axis=2, keepdims=True)
    return np.concatenate([alpha, rng.uniform(size=(count, parts, 4)) * SCALE], axis=2).reshape(count, -1)


def mean_rate(steepness: float, omega: float, eta: float, epsilon: float) -> float:
    """Expected copies of a row whose quality rank is uniform: the sampling function integrated over ranks."""
    ranks = np.linspace(0, min(omega, 1.0), 4_097)
    return float(np.trapezoid(rate(ranks, steepness, omega, eta, 0.0), ranks)) + epsilon


def scores_of(part: str, columns: Sequence[str]) -> list[str]:
    """The quality scores that a table has weights for, in its order."""
    start = f"{part}.alpha."
    return [name[len(start) :] for name in columns if name.startswith(start)]


@mixer("quadmix", version="1", params=Params, trials=True, citation="arXiv:2504.16511", libraries=("lightgbm",))
def quadmix(task: Task) -> Answer:
    """Sampling of every part by its quality scores, for the lowest predicted loss; trials carry their settings."""
    params, parts = task.params, len(task.parts)
    results = task.trials.results if task.trials else {}
    criteria = scores_of(task.parts[0], list(results))
    columns = setting_columns(task.parts, criteria)
    if missing := [name for name in columns if name not in results]:
        raise BadInput(
            f"mixer quadmix learns from settings: the trials have no column {missing[0]!r}; they need PART.alpha.SCORE, "
            "PART.lambda, PART.omega, PART.eta and PART.epsilon of every part"
        )
    if not criteria:
        raise BadInput(f"mixer quadmix: the trials have no weight of a quality score: {task.parts[0]}.alpha.SCORE")
    runs = task.known("quadmix", max(64, len(columns)), [task.goal, *columns])
    settings = np.column_stack([runs.results[name] for name in columns])
    losses = runs.results[task.goal] * task.sign()
    guess = out_of_fold(
        lambda rows: fit_trees(settings[rows], losses[rows]), settings, min(params.folds, len(runs)), params.seed
    )
    known = learned("quadmix", guess, losses, "run more drawn settings")
    predict = fit_trees(settings, losses)
    drawn = draw_settings(parts, len(criteria), params.draws, np.random.default_rng(params.seed))
    found = drawn[np.argsort(predict(drawn), kind="stable")[: params.keep]].mean(axis=0)
    half, at = margin(guess, losses, params.level), float(predict(found[None])[0]) * task.sign()
    rates = np.array([mean_rate(*held[len(criteria) :]) for held in found.reshape(parts, -1)])
    taken = rates * task.supply
    report = {
        "runs": len(runs), **known,
        "interval": f"{params.level:.0%} of runs of drawn settings, conformal over {params.folds} folds; trees do not go below "
        "the runs they saw, so that the best setting may do better", "best_run": float(losses.min()) * task.sign(),
        "setting": dict(zip(columns, found.tolist(), strict=True)),
        "copies": dict(zip(task.parts, rates.tolist(), strict=True)), "sampled": float(taken.sum()),
        "rows": "chosen by selector quadmix with this setting; weights alone do not serve them",
    }  # fmt: skip
    return Answer(taken / taken.sum(), at, at - half, at + half, report)
