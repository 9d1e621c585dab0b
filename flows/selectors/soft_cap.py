"""Soft cap sampling: draw with repetition, each draw of a row making the next one of it less likely.

Shechter and Carmon, "Filter Like You Test: Data-Driven Data Filtering for CLIP Pretraining", 2025, arXiv:2503.08805;
as in the authors' notebook: batches without replacement by softmax(score), then a penalty off the scores drawn.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog.selectors import Budget, Choice, Chosen, selector


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    by: str = Field(description="column of scores: log probabilities up to a constant")
    order: Literal["best", "highest", "lowest"] = Field("best", description="best: the column's declared direction")
    penalty: float = Field(0.15, ge=0, le=1e6, description="taken off a row's score each time it is drawn")
    batch: int = Field(100_000, ge=1, le=1_000_000_000, description="rows drawn without replacement between updates")


@selector("soft_cap", version="1", reads=["{by}"], params=Params, citation="arXiv:2503.08805")
def soft_cap(rows: pa.Table, budget: Budget, choice: Choice) -> Chosen:
    """Draws with repetition and a penalty (FLYT's SCS); the weight of a row is the number of its copies.

    The budget counts copies. A batch draws at most a tenth of the rows, so that no row is forced into it.
    """
    params, rng = choice.params, choice.rng()
    scores = choice.goodness(rows, params.by, params.order)
    counts = np.zeros(len(scores), np.int64)
    by_id = np.argsort(choice.ids, kind="stable")  # draws go by sample id, wherever a row stands in its table
    first, spent, batch = [], 0, max(1, min(params.batch, -(-len(scores) // 10)))
    while True:
        noise = np.empty(len(scores))
        noise[by_id] = rng.gumbel(size=len(scores))
        keys = scores + noise
        top = np.argpartition(-keys, batch - 1)[:batch] if batch < len(keys) else np.arange(len(keys))
        top = top[np.lexsort((choice.ids[top], -keys[top]))]
        total = spent + np.cumsum(budget.costs[top])
        fits = int(np.searchsorted(total, budget.amount, side="right"))
        drawn = top[:fits]
        first.append(drawn[counts[drawn] == 0])
        counts[drawn] += 1
        scores[drawn] -= params.penalty
        if fits < len(top) or not total[-1] > spent:
            break
        spent = int(total[-1])
        if spent >= budget.amount:
            break
    order = np.concatenate(first)
    copies = counts[order]
    return Chosen(order, copies, {"copies": int(copies.sum()), "most copies of a row": int(copies.max(initial=0))})
