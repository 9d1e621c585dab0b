"""Sampling with a temperature: shares raised to a power and normalised again.

Conneau and Lample 2019, arXiv:1901.07291 (exponent 0.7 by number of sentences); Xue et al. 2021, mT5, arXiv:2010.11934
(exponent 0.3); Arivazhagan et al. 2019, arXiv:1907.05019 (temperature 5, the reciprocal of the exponent).
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from catalog.mixers import Answer, Task, mixer


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    temperature: float = Field(3.33, gt=0, description="1: in proportion; larger: closer to equal shares")


@mixer("temperature", version="1", params=Params, citation="arXiv:1901.07291; arXiv:1907.05019")
def temperature(task: Task) -> Answer:
    """Shares of what the parts hold to the power 1/temperature, normalised."""
    weights = task.natural ** (1 / task.params.temperature)
    return Answer(weights / weights.sum())
