"""Softmax with a temperature over z-scores, as QuRating samples by its ratings.

Wettig, Gupta, Malik and Chen, "QuRating: Selecting High-Quality Data for Training Language Models", 2024,
arXiv:2402.09739; checked against the authors' select_subset.py: (x - mean) / std over all candidates, population
standard deviation, divided by the temperature, plus Gumbel noise, largest first; with a domain column each domain gets
its own share of the budget, so that the mix of domains stays.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog.selectors import Budget, Choice, selector
from flows.selectors._groups import groups_of, take_shares
from flows.selectors._scales import zscores


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    by: str = Field(description="column of ratings")
    order: Literal["best", "highest", "lowest"] = Field("best", description="best: the column's declared direction")
    temperature: float = Field(2.0, ge=0, le=1e9, description="0: the best rows, without noise; large: uniform")
    within: str | None = Field(None, description="column of domains, each of which keeps its share of the candidates")


@selector("softmax", version="1", reads=["{by}", "{within}"], params=Params, citation="arXiv:2402.09739")
def softmax(rows: pa.Table, budget: Budget, choice: Choice) -> np.ndarray:
    """Rows drawn without replacement in proportion to exp(z / temperature), z the column's z-score (QuRating).

    Lower-is-better columns count negatively. A constant column is drawn uniformly.
    """
    params = choice.params
    values = choice.goodness(rows, params.by, params.order)
    logits = zscores(values)
    order = choice.ranked(logits / params.temperature + choice.gumbel() if params.temperature else logits)
    if params.within is None:
        return order
    names, group = groups_of(rows[params.within])
    shares = np.bincount(group, budget.costs, minlength=len(names))
    return take_shares(order, group, shares / max(shares.sum(), 1), budget)[0]
