"""k-center greedy: always the row farthest from all chosen ones.

Gonzalez, "Clustering to minimize the maximum intercluster distance", Theoretical Computer Science 1985: the radius is
at most twice the smallest possible. For data selection: Sener and Savarese 2018, arXiv:1708.00489 (active learning);
Wu et al., "Self-Evolved Diverse Data Sampling for Efficient Instruction Tuning", 2023, arXiv:2311.08182 (DiverseEvol).
It covers the edge of the data first, so it also collects what is broken: filter before.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog.selectors import Budget, Choice, Chosen, selector
from flows.selectors._vectors import matrix


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    vectors: str = Field("embedding", description="column of vectors")
    metric: Literal["cosine", "euclidean"] = Field("cosine", description="cosine: distance of unit vectors")


@selector("kcenter", version="1", reads=["{vectors}"], params=Params, citation="arXiv:1708.00489", most_rows=5_000_000)
def kcenter(rows: pa.Table, budget: Budget, choice: Choice) -> Chosen:
    """Rows that cover the vectors: each next one is the farthest from those chosen; the first is random.

    The report holds the radius: the largest distance of a candidate to its nearest chosen row.
    """
    points = matrix(rows, choice.params.vectors, unit=choice.params.metric == "cosine")
    squares = np.einsum("ij,ij->i", points, points)
    nearest = np.full(len(points), np.inf, np.float32)
    order, spent, at = [], 0, int(np.argmin(choice.uniform))
    while len(order) < len(points):
        spent += int(budget.costs[at])
        if spent > budget.amount:
            break
        order.append(at)
        np.minimum(nearest, squares - 2 * (points @ points[at]) + squares[at], out=nearest)
        nearest[at] = -np.inf  # chosen; a copy of it is at distance zero and may still come last
        at = int(np.argmax(nearest))
    radius = float(np.sqrt(max(0.0, float(nearest.max(initial=0)))))
    return Chosen(np.array(order, np.int64), report={"radius": radius})
