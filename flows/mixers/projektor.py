"""projektor: performance as a function of the shares and of how far the mixture is from the target, at two pilot sizes,
carried on to a size that is not disclosed without another parameter.

Kang, Just, Sahu and Jia 2023, "Performance Scaling via Optimal Transport: Enabling Data Selection from Partially Revealed
Sources", arXiv:2307.02460, with the authors' notebook. At each of two sizes, by least squares,

    L(p) = (b0 + sum_i b1_i p_i + b2_i p_i^2) OT(p) + c0 + sum_i c1_i p_i + c2_i p_i^2,

then L at size N is [log(N/N0) L1 - log(N/N1) L0] / log(N1/N0), and p follows its gradient, whose transport part comes from
the dual potentials. Terms: as the equation, or the fewer that the authors' notebook fits (no p_i^2 alone, nothing of the
last part, which the others imply).

Three things are ours. A text run holds more rows than a transport problem: OT is estimated from one sample of each part,
weighted by the shares, and is the same at both sizes. There are no classes, so the distance is that of vectors alone. And
the gradient is that of the fit on the simplex, with steps that only go down: the notebook's keeps one part's terms of the
first factor, moves a part against all others in proportion there and against the last elsewhere.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from catalog.errors import BadInput
from catalog.mixers import Answer, Predictor, Task, mixer
from flows.mixers._mixture_transport import MixtureTransport
from flows.mixers._pilots import design, fit, pilots, project, value_and_slope
from flows.mixers._search import descend, learned, margin, most_shares, out_of_fold


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    target: str = Field("", description="dataset or selection that the goal is measured on, or rows like it")
    vectors: str = Field("embedding", description="column of vectors that all parts and the target have")
    rows: int = Field(200, ge=2, le=5_000, description="rows of each part, and of the target, in the transport problem")
    epsilon: float = Field(0.05, ge=0.01, le=1, description="strength of the entropy, in units of the cost (0 to 4)")
    terms: Literal["equation", "notebook"] = Field("equation", description="what is fitted at each size")
    steps: int = Field(100, ge=1, le=10_000, description="steps down the gradient from each start")
    folds: int = Field(5, ge=2, le=50, description="folds of the runs for the interval")
    level: float = Field(0.9, gt=0, lt=1, description="chance that a run at these weights lies in the interval")
    seed: int = Field(0, description="of folds")


@mixer("projektor", version="1", params=Params, trials=True, vectors=True, citation="arXiv:2307.02460")
def projektor(task: Task) -> Answer:
    """Weights at a budget by the distance of a mixture from a target, fitted to runs of two smaller sizes."""
    params, parts = task.params, len(task.parts)
    least = (4 * parts if params.terms == "equation" else 3 * parts - 1) + 2
    runs = task.known("projektor", 2 * least)
    if not np.isfinite(runs.tokens).all() or (runs.tokens <= 0).any():
        raise BadInput("mixer projektor compares sizes: every trial needs the column tokens, above 0")
    if task.vectors is None or task.target is None:
        raise BadInput("mixer projektor compares vectors: name a dataset to compare with: --param target=NAME")
    sizes, rows = pilots(runs, least)
    transport = MixtureTransport(list(task.vectors), task.target, params.epsilon)
    shares = runs.weights / runs.weights.sum(axis=1, keepdims=True)
    losses = runs.results[task.goal] * task.sign()
    distance = np.array([transport(row)[0] for row in shares])
    known = np.column_stack([shares, distance])
    fits, halves, known_of = [], [], []
    for held in rows:
        guess = _held_out(known[held], losses[held], params)
        known_of.append(
            learned(
                "projektor", guess, losses[held], "run more of a design, or fit fewer terms: --param terms=notebook"
            )
        )
        fits.append(fit(shares[held], distance[held], losses[held], params.terms))
        halves.append(margin(guess, losses[held], (1 + params.level) / 2))
    budget = task.budget or sizes[1]

    def at(mixture: np.ndarray) -> tuple[float, np.ndarray]:
        here, slope = transport(mixture)
        (small, down), (large, steep) = (value_and_slope(held, mixture, here, slope, params.terms) for held in fits)
        return project(small, large, sizes, budget), project(down, steep, sizes, budget)

    starts = [np.full(parts, 1 / parts), task.natural, shares[int(np.argmin(losses))]]
    ends = [descend(at, start, most_shares(task), params.steps) for start in starts]
    value, weights = min(ends, key=lambda end: end[0])
    half = abs(project(halves[0], 0.0, sizes, budget)) + abs(project(0.0, halves[1], sizes, budget))
    report: dict[str, Any] = {
        "sizes": dict(zip(("small", "large"), sizes, strict=True)), "budget": budget, "runs": [len(held) for held in rows],
        "distance": transport(weights)[0], **{name: [held[name] for held in known_of] for name in known_of[0]},
         "terms": params.terms,
        "interval": f"{params.level:.0%} of runs at the pilot sizes, conformal over {params.folds} folds, carried on as the "
        "prediction is; it knows no error of the line in log size",
        "from": {name: float(end[0]) * task.sign() for name, end in zip(("even", "natural", "best run"), ends, strict=True)},
    }  # fmt: skip
    predicted = value * task.sign()
    return Answer(weights, predicted, predicted - half, predicted + half, report,
                  lambda mixes: np.array([at(row / row.sum())[0] for row in mixes]) * task.sign())  # fmt: skip


def _held_out(known: np.ndarray, losses: np.ndarray, params: Params) -> np.ndarray:
    """Predictions for every run of a size by a fit on the other folds."""

    def fitted(rows: np.ndarray) -> Predictor:
        found = fit(known[rows, :-1], known[rows, -1], losses[rows], params.terms)
        return lambda mixes: design(mixes[:, :-1], mixes[:, -1], params.terms) @ found

    return out_of_fold(fitted, known, min(params.folds, len(known)), params.seed)
