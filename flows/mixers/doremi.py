"""DoReMi: weights by group distributionally robust training of a small model against a reference.

Xie et al. 2023, "DoReMi: Optimizing Data Mixtures Speeds Up Language Model Pretraining", arXiv:2305.10429, and the
authors' trainer. At every step the excess loss of the small model over the reference, clipped at zero for every token
and averaged over each domain's tokens, raises the log weights; the new weights are normalised and mixed with even ones.
A domain that is not in the batch keeps its last excess loss. The answer is the mean of the weights over all steps.

`DoReMi.step` is called by a trainer. The mixer runs the same steps over a recorded trace.
"""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from catalog.errors import BadInput
from catalog.mixers import Answer, Task, mixer
from flows.mixers._search import read_trace


class DoReMi:
    """weights: (parts,) now; average: their mean over the steps so far."""

    def __init__(self, start: np.ndarray, rate: float = 1.0, smoothing: float = 1e-3) -> None:
        self.weights = np.asarray(start, np.float64) / np.sum(start)
        self.average, self.steps = self.weights.copy(), 0
        self.rate, self.smoothing = rate, smoothing
        self.excess = np.zeros(len(self.weights))

    def step(self, excess: np.ndarray) -> np.ndarray:
        """excess: (parts,) means over tokens of the clipped excess loss, NaN for a part that the batch lacks."""
        self.excess = np.where(np.isnan(excess), self.excess, np.maximum(excess, 0))
        logs = np.log(self.weights) + self.rate * self.excess
        logs -= logs.max()
        even = 1 / len(logs)
        self.weights = (1 - self.smoothing) * np.exp(logs) / np.exp(logs).sum() + self.smoothing * even
        self.steps += 1
        self.average += (self.weights - self.average) / self.steps
        return self.weights


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    trace: str = Field("", description="table of clipped excess losses, a row a step and a column a part")
    rate: float = Field(1.0, gt=0, description="eta: how fast weights move")
    smoothing: float = Field(1e-3, ge=0, lt=1, description="share of even weights mixed in")


@mixer("doremi", version="1", params=Params, citation="arXiv:2305.10429")
def doremi(task: Task) -> Answer:
    """The mean of the weights over a recorded run; they start at what the parts hold."""
    if not task.params.trace:
        raise BadInput("mixer doremi follows a run: --param trace=FILE with an excess loss for every step and part")
    trace = read_trace(task.params.trace, task.parts)
    state = DoReMi(task.natural, task.params.rate, task.params.smoothing)
    for excess in trace:
        state.step(excess)
    report = {"steps": state.steps, "last": dict(zip(task.parts, state.weights.tolist(), strict=True))}
    return Answer(state.average, report=report)
