"""UniMax: as even as a cap on repetition allows.

Chung et al. 2023, "UniMax: Fairer and More Effective Language Sampling for Large-Scale Multilingual Pretraining",
arXiv:2304.09151, algorithm 1. From the smallest part on, each takes its even share of the budget that is left, or its
cap where that is less; what small parts leave goes to the larger ones.
"""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from catalog.errors import BadInput
from catalog.mixers import Answer, Task, mixer


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    epochs: float = Field(
        4, gt=0, description="most passes over a part (the paper: 1, 5 and 10), or less by max_epochs"
    )


@mixer("unimax", version="1", params=Params, citation="arXiv:2304.09151")
def unimax(task: Task) -> Answer:
    """Even shares under a cap of passes; needs the budget, as the cap binds only against one."""
    if task.budget is None:
        raise BadInput("mixer unimax needs a budget, which its cap is compared with: set total in the spec")
    caps = np.full(len(task.parts), task.params.epochs)
    if task.caps is not None:
        caps = np.minimum(caps, task.caps)
    most, left = caps * task.supply, float(task.budget)
    taken = np.zeros(len(task.parts))
    for count, part in enumerate(np.argsort(task.supply, kind="stable")):
        taken[part] = min(left / (len(task.parts) - count), most[part])
        left -= taken[part]
    report = {"epochs": dict(zip(task.parts, (taken / task.supply).tolist())), "unserved": max(left, 0.0)}
    return Answer(taken / taken.sum(), report=report)
