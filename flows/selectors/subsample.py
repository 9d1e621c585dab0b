"""Poisson subsampling with inclusion probabilities in proportion to a power of a column, weighted back or not.

The family studied by Kolossov, Montanari and Tandon, "Towards a statistical theory of data selection under weak
supervision", 2023, arXiv:2309.14563: a surrogate's uncertainty or influence, raised to a power, decides who is
trained on; they find that leaving the weights away is often better than unbiased reweighting. The column comes from a
scorer; probabilities that would pass 1 are 1 and the rest is scaled up until the expected cost is the budget.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog.errors import BadInput
from catalog.selectors import Budget, Choice, Chosen, selector


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    by: str = Field(description="column of uncertainty or influence, not negative")
    power: float = Field(1.0, ge=-10, le=10, description="0: uniform; negative: prefer low values")
    weights: Literal["inverse", "none"] = Field("inverse", description="inverse: 1 / probability, which is unbiased")


def inclusion(size: np.ndarray, costs: np.ndarray, amount: float) -> np.ndarray:
    """min(1, c * size) with the c for which the expected cost is the amount; all ones where everything fits."""
    if costs[size > 0].sum() <= amount:
        return (size > 0).astype(np.float64)
    sure = np.zeros(len(size), bool)
    while True:
        scale = (amount - costs[sure].sum()) / (costs * size)[~sure].sum()
        found = np.where(sure, 1.0, scale * size)
        if not (found > 1).any():
            return found
        sure |= found > 1


@selector("subsample", version="1", reads=["{by}"], params=Params, citation="arXiv:2309.14563", experimental=True)
def subsample(rows: pa.Table, budget: Budget, choice: Choice) -> Chosen:
    """Independent draws with probability in proportion to a column's power; the budget is met on average, never passed."""
    values = rows[choice.params.by].to_numpy().astype(np.float64)
    if len(values) and values.min() < 0:
        raise BadInput(f"subsample: {choice.params.by!r} has values below 0; give a column of uncertainty or influence")
    with np.errstate(divide="ignore"):
        size = values**choice.params.power if choice.params.power else np.ones_like(values)
    if not np.isfinite(size).all():
        raise BadInput(f"subsample: {choice.params.by!r} is 0 somewhere, which a negative power cannot raise")
    if not size.any():
        raise BadInput(f"subsample: {choice.params.by!r} is 0 everywhere, so no row has a chance; use selector random")
    size = size / size.max()
    chance = inclusion(size, budget.costs.astype(np.float64), float(budget.amount))
    order = np.flatnonzero(choice.uniform < chance)
    order = order[np.argsort(choice.draws(1)[order], kind="stable")]
    weights = 1 / chance[order] if choice.params.weights == "inverse" else None
    return Chosen(order, weights, {"expected rows": float(chance.sum()), "certain rows": int((chance >= 1).sum())})
