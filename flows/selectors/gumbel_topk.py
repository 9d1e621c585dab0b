"""Gumbel top-k: sampling without replacement in proportion to exp(score).

Kool, van Hoof and Welling, "Stochastic Beams and Where to Find Them", 2019, arXiv:1903.06059 (the trick; Vieira 2014).
It is how DSIR samples by its log importance weights (arXiv:2302.03169) and MATES by predicted influence.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog.selectors import Budget, Choice, selector


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    by: str = Field(description="column of log weights")
    order: Literal["best", "highest", "lowest"] = Field("best", description="best: the column's declared direction")
    temperature: float = Field(1.0, gt=0, le=1e9, description="log weights are divided by it")


@selector("gumbel_topk", version="1", reads=["{by}"], params=Params, citation="arXiv:1903.06059")
def gumbel_topk(rows: pa.Table, budget: Budget, choice: Choice) -> np.ndarray:
    """Rows drawn one after another without replacement, each in proportion to exp(value / temperature) of those left.

    Lower-is-better columns count negatively. The order is the order of drawing.
    """
    weights = choice.goodness(rows, choice.params.by, choice.params.order) / choice.params.temperature
    return choice.ranked(weights + choice.gumbel())
