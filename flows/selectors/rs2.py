"""RS2: a fresh random subset every round, the baseline that pruning methods must beat.

Okanovic, Waleffe, Mageirakos, Nikolakakis, Karbasi, Kalogerias, Gürel and Rekatsinas, "Repeated Random Sampling for
Minimizing the Time-to-Accuracy of Learning", 2023, arXiv:2305.18424. Without replacement, rounds walk through one
shuffle of the rows and a new one is made when it is used up; with replacement, each round draws its subset anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog.selectors import Budget, Choice, selector


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    round: int = Field(0, ge=0, le=1_000_000, description="which round, from 0; the budget is that of one round")
    replacement: bool = Field(False, description="draw every round from all rows instead of from those not yet used")


@selector("rs2", version="1", reads=[], params=Params, citation="arXiv:2305.18424")
def rs2(rows: pa.Table, budget: Budget, choice: Choice) -> np.ndarray:
    """The random subset of one round (RS2). Rounds without replacement share no row until all rows were used.

    The subset that would straddle the end of a shuffle starts the next shuffle instead, as an epoch's last batch.
    """
    number = choice.params.round
    if choice.params.replacement:
        return np.argsort(choice.draws(number), kind="stable")
    return next(islice(rounds(budget, choice), number, None), np.empty(0, np.int64))


def rounds(budget: Budget, choice: Choice) -> Iterator[np.ndarray]:
    """One round after another without replacement, shuffle after shuffle, for ever; nothing where no row fits."""
    for shuffle in count():
        parts = _rounds(np.argsort(choice.draws(shuffle), kind="stable"), budget)
        if not parts:
            return
        yield from parts


def _rounds(order: np.ndarray, budget: Budget) -> list[np.ndarray]:
    """One shuffle cut into rounds; what is left at its end is no round of its own."""
    parts: list[np.ndarray] = []
    while len(order):
        part = budget.cut(order)
        whole = len(part) < len(order) or budget.costs[part].sum() == budget.amount
        if not len(part) or (parts and not whole):
            break
        parts.append(part)
        order = order[len(part) :]
    return parts
