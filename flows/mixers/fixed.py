"""Weights by hand, or in proportion to what the parts hold: the baselines that every other mixer is shown beside."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from catalog.errors import BadInput
from catalog.mixers import Answer, Task, mixer


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    weights: dict[str, float] = Field({}, description="weight by part; what is not named gets nothing")


@mixer("fixed", version="1", params=Params, citation="ours")
def fixed(task: Task) -> Answer:
    """The weights that are given."""
    given = task.params.weights
    if unknown := [name for name in given if name not in task.parts]:
        raise BadInput(f"mixer fixed: {unknown[0]!r} is not a part; the parts are {', '.join(task.parts)}")
    if not given:
        raise BadInput("mixer fixed needs weights: --param weights='{\"PART\": 2}'")
    return Answer(np.array([given.get(name, 0.0) for name in task.parts]))


@mixer("proportional", version="1", citation="ours")
def proportional(task: Task) -> Answer:
    """Shares of what the parts hold: every row is as likely as any other."""
    return Answer(task.natural)


@mixer("even", version="1", citation="ours")
def even(task: Task) -> Answer:
    """The same share for every part, whatever it holds."""
    return Answer(np.full(len(task.parts), 1 / len(task.parts)))
