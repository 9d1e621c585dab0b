"""DEITA's filter: down the list of the best, keep what is not too close to anything kept.

Liu, Zeng, He, Jiang and He, "What Makes Good Data for Alignment?", 2023, arXiv:2312.15685; as in the authors'
package with batch size 1: rows by the product of the score columns (complexity times quality), highest first; the
first is kept, and each next one unless its cosine similarity to a kept row is above the threshold.
(With larger batches their code also rejects what is close to a row rejected in the same batch.)
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog.selectors import Budget, Choice, Chosen, selector
from flows.selectors._vectors import matrix

CHUNK = 512


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    by: list[str] | str = Field(description="score columns, whose product ranks the rows")
    vectors: str = Field("embedding", description="column of vectors")
    threshold: float = Field(0.9, ge=-1, le=1, description="cosine similarity above which a row is too close")


@selector("deita", version="1", reads=["{by}", "{vectors}"], params=Params, citation="arXiv:2312.15685")
def deita(rows: pa.Table, budget: Budget, choice: Choice) -> Chosen:
    """The best rows by a product of scores, each unlike those kept before (DEITA's repr filter).

    Higher is better for every score column, as in the paper; combine others first. Time: rows looked at times kept.
    """
    params = choice.params
    names = [params.by] if isinstance(params.by, str) else params.by
    score = np.ones(rows.num_rows)
    for name in names:
        score = score * rows[name].to_numpy().astype(np.float64)
    points = matrix(rows, params.vectors)
    ranked = choice.ranked(score)
    kept = np.empty((budget.most + 1, points.shape[1]), np.float32)
    order: list[int] = []
    seen = spent = 0
    for start in range(0, len(ranked), CHUNK):
        chunk = ranked[start : start + CHUNK]
        wanted = points[chunk]
        close = (wanted @ kept[: len(order)].T > params.threshold).any(axis=1)
        inside = wanted @ wanted.T > params.threshold
        taken = np.zeros(len(chunk), bool)
        for at, row in enumerate(chunk):
            seen += 1
            if close[at] or inside[at, taken].any():
                continue
            spent += int(budget.costs[row])
            if spent > budget.amount:
                return _done(order, seen - 1)
            taken[at] = True
            kept[len(order)] = points[row]
            order.append(int(row))
    return _done(order, seen)


def _done(order: list[int], seen: int) -> Chosen:
    return Chosen(np.array(order, np.int64), report={"looked at": seen, "too close": seen - len(order)})
