"""Greedy MAP of a determinantal point process: rows that are good and unlike one another.

Chen, Zhang and Zhou, "Fast Greedy MAP Inference for Determinantal Point Process to Improve Recommendation Diversity",
2018, arXiv:1709.05135: L = diag(q) K diag(q); each step takes the row whose addition raises log det L_S most, kept up to
date by one Cholesky row a step. K is the cosine kernel (its rank, the number of dimensions, bounds the choice) or a
Gaussian one.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog.selectors import Budget, Choice, Chosen, selector
from flows.selectors._scales import zscores
from flows.selectors._vectors import matrix

LEAST = 1e-10  # of a squared Cholesky pivot; below it rounding decides


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    vectors: str = Field("embedding", description="column of vectors")
    kernel: Literal["cosine", "gaussian"] = Field("gaussian", description="similarity of unit vectors")
    width: float = Field(0.5, gt=0, le=100, description="of the Gaussian: exp(-|x - y|^2 / (2 width^2))")
    by: str | None = Field(None, description="column of quality; none: diversity alone")
    order: Literal["best", "highest", "lowest"] = Field("best", description="best: the column's declared direction")
    quality: float = Field(1.0, ge=0, le=100, description="q = exp(quality * z-score / 2)")


@selector("dpp", version="1", reads=["{vectors}", "{by}"], params=Params, citation="arXiv:1709.05135",
          most_rows=1_000_000)  # fmt: skip
def dpp(rows: pa.Table, budget: Budget, choice: Choice) -> Chosen:
    """Greedy MAP of a DPP over quality and similarity; stops early where every row left is a copy of what is chosen.

    Memory is candidates times chosen rows. The report holds log det and says where and why it stopped.
    """
    params = choice.params
    points = matrix(rows, params.vectors).astype(np.float64)
    scale = np.ones(len(points))
    if params.by:
        scale = np.exp(0.5 * params.quality * zscores(choice.goodness(rows, params.by, params.order)))

    def column(at: int) -> np.ndarray:
        similar = points @ points[at]
        if params.kernel == "gaussian":
            similar = np.exp((similar - 1) / params.width**2)
        return scale * scale[at] * similar

    diagonal = scale**2 * (1.0 if params.kernel == "gaussian" else np.einsum("ij,ij->i", points, points))
    order, gains = greedy_map(column, diagonal, budget)
    stopped = "rank" if _starved(order, budget) else "budget"
    return Chosen(order, report={"log det": float(gains.sum()), "stopped by": stopped})


def greedy_map(column, diagonal: np.ndarray, budget: Budget) -> tuple[np.ndarray, np.ndarray]:
    """Positions and log-determinant gains; column(i) is a column of the kernel."""
    pivots = diagonal.astype(np.float64).copy()
    floor = LEAST * pivots.max(initial=0)
    cholesky: list[np.ndarray] = []
    order: list[int] = []
    gains: list[float] = []
    spent = 0
    while len(order) < len(pivots):
        at = int(np.argmax(pivots))
        spent += int(budget.costs[at])
        if spent > budget.amount or not pivots[at] > floor:
            break
        order.append(at)
        gains.append(float(np.log(pivots[at])))
        row = column(at)
        for earlier in cholesky:
            row = row - earlier[at] * earlier
        row /= np.sqrt(pivots[at])
        cholesky.append(row)
        pivots -= row**2
        pivots[at] = -np.inf
    return np.array(order, np.int64), np.array(gains)


def _starved(order: np.ndarray, budget: Budget) -> bool:
    """Whether a row more would have fitted."""
    left = np.setdiff1d(np.arange(len(budget.costs)), order)
    return bool(len(left)) and int(budget.costs[order].sum()) + int(budget.costs[left].min()) <= budget.amount
