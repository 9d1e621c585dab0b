"""The best rows of each orthogonal dimension of several scores, in equal shares.

He et al. 2025, "Learning from the Best, Differently", arXiv:2510.18909 (ODiS): scores are standardised and rotated to
their principal components, so that the best of one are not the best of another.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog.errors import BadInput
from catalog.selectors import Budget, Choice, Chosen, selector
from flows.scorers.combine._principal import moments
from flows.scorers.combine.odis import rotated


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    scores: str | list[str] = Field(description='columns of scores: ["quality", "readability"]')
    dimensions: int = Field(4, ge=1, le=100, description="principal components at most")


@selector("odis", version="1", reads=["{scores}"], params=Params, citation="arXiv:2510.18909", most_rows=50_000_000)
def odis(rows: pa.Table, budget: Budget, choice: Choice) -> Chosen:
    """Rows best on each principal component of the scores, in turn; a row that is best twice is taken once.

    Columns that declare that lower is better are turned. The report holds the components and the share of rows that the
    best of two components have in common.
    """
    names = [choice.params.scores] if isinstance(choice.params.scores, str) else choice.params.scores
    if not names:
        raise BadInput('odis: say which scores: --param scores=\'["quality", "readability"]\'')
    sign = np.array([-1.0 if choice.better.get(name) == "lower" else 1.0 for name in names])
    values = np.column_stack([rows[name].to_numpy().astype(np.float64) for name in names]) * sign
    _, mean, covariance = moments([values])
    scale, rotation, variance = rotated(covariance, choice.params.dimensions)
    if not len(variance):
        raise BadInput(f"odis: {', '.join(names)} are constant over the candidates; name scores that differ")
    centred = values - mean
    made = np.divide(centred, scale, out=np.zeros_like(centred), where=scale > 0) @ rotation
    lists = np.array([choice.ranked(made[:, i].round(9)) for i in range(made.shape[1])])
    turns = lists.T.ravel()
    _, first = np.unique(turns, return_index=True)
    order = turns[np.sort(first)]
    kept = len(budget.cut(order)) // len(lists)
    shared = [len(np.intersect1d(lists[i][:kept], lists[k][:kept])) / max(kept, 1)
              for i in range(len(lists)) for k in range(i)]  # fmt: skip
    report = {
        "explained": (variance / (scale > 0).sum()).round(6).tolist(),
        "weights": [dict(zip(names, map(float, column.round(6)))) for column in rotation.T],
        "overlap": max(shared, default=0.0),
    }
    return Chosen(order, report=report)
