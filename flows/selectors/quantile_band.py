"""Random rows between two quantiles of a column: the middle, where the top is duplicates or adverts, or one tail."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog.errors import BadInput
from catalog.selectors import Budget, Choice, Chosen, selector


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    by: str = Field(description="column whose quantiles bound the band")
    low: float = Field(0.25, ge=0, le=1, description="lower bound, as a share of the candidates")
    high: float = Field(0.75, ge=0, le=1, description="upper bound, as a share of the candidates")


@selector("quantile_band", version="1", reads=["{by}"], params=Params, citation="ours")
def quantile_band(rows: pa.Table, budget: Budget, choice: Choice) -> Chosen:
    """Uniform random rows whose value lies between two quantiles of a column, bounds included (numpy's linear rule)."""
    params = choice.params
    if params.low > params.high:
        raise BadInput(f"quantile_band: low {params.low} is above high {params.high}; swap them")
    values = rows[params.by].to_numpy().astype(np.float64)
    low, high = np.quantile(values, [params.low, params.high])
    inside = np.flatnonzero((values >= low) & (values <= high))
    order = inside[np.argsort(choice.uniform[inside], kind="stable")]
    return Chosen(order, report={"from": float(low), "to": float(high), "in the band": len(inside)})
