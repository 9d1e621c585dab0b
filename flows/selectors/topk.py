"""The best rows by one column: the plainest use of a score, and the one that gives up diversity."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog.selectors import Budget, Choice, selector


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    by: str = Field(description="column to rank by")
    order: Literal["best", "highest", "lowest"] = Field("best", description="best: the column's declared direction")


@selector("topk", version="1", reads=["{by}"], params=Params, citation="ours")
def topk(rows: pa.Table, budget: Budget, choice: Choice) -> np.ndarray:
    """The best rows by one column; equal values by sample id."""
    return choice.ranked(choice.goodness(rows, choice.params.by, choice.params.order))
