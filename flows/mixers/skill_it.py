"""Skill-It: more of what teaches the skills that are still hard.

Chen et al. 2023, "Skill-it! A data-driven skills framework for understanding and training language models",
arXiv:2307.14430, and the authors' trainer. A graph says how much training on skill i lowers the loss on skill j. Every
round starts again from the first weights: w_i = w0_i exp(eta sum_j A_ij S_j), where S_j sums the losses on skill j over
the last rounds of the window. `SkillIt.step` is called by a trainer; the mixer runs the same rounds over a trace.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from catalog.errors import BadInput
from catalog.mixers import Answer, Task, mixer
from flows.mixers._search import read_trace


def graph_from_losses(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """A_ij = relative fall of the loss on j after a short training on i, 0 where it does not fall.

    before: (skills,) losses of the model; after: (trained on, evaluated on).
    """
    return np.maximum((before - after) / before, 0)


class SkillIt:
    """weights: (skills,) shares of the next round. graph: (skills trained on, skills evaluated)."""

    def __init__(self, graph: np.ndarray, rate: float = 0.2, window: int = 3) -> None:
        self.graph, self.rate, self.window = graph, rate, window
        self.first = np.full(len(graph), 1 / len(graph))
        self.losses: list[np.ndarray] = []
        self.weights = self._weigh(np.full(graph.shape[1], 1 / graph.shape[1]))

    def step(self, losses: np.ndarray) -> np.ndarray:
        """losses: (skills evaluated,) after a round."""
        self.losses.append(np.asarray(losses, np.float64))
        self.weights = self._weigh(np.sum(self.losses[-self.window :], axis=0))
        return self.weights

    def _weigh(self, sums: np.ndarray) -> np.ndarray:
        logs = np.log(self.first) + self.rate * self.graph @ sums
        weights = np.exp(logs - logs.max())
        return weights / weights.sum()


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    graph: str = Field("", description=".npy file of the skill graph, rows: trained on, columns: evaluated")
    trace: str = Field("", description="table of losses, a row a round and a column a skill")
    rate: float = Field(0.2, gt=0, description="eta: how strongly hard skills pull")
    window: int = Field(3, ge=1, description="rounds whose losses are summed")


@mixer("skill_it", version="1", params=Params, citation="arXiv:2307.14430")
def skill_it(task: Task) -> Answer:
    """Weights of the round after a trace of losses; every part is a skill."""
    if not task.params.graph:
        raise BadInput("mixer skill_it needs the skill graph: --param graph=FILE.npy")
    try:
        graph = np.load(Path(task.params.graph), allow_pickle=False).astype(np.float64)
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot read the skill graph {task.params.graph}: {str(error).splitlines()[0][:120]}") from None
    if graph.shape != (len(task.parts),) * 2 or not np.isfinite(graph).all():
        raise BadInput(
            f"the skill graph has the shape {graph.shape}; {len(task.parts)} parts need a square of their number"
        )
    state = SkillIt(graph, task.params.rate, task.params.window)
    rounds = [dict(zip(task.parts, state.weights.tolist(), strict=True))]
    for losses in read_trace(task.params.trace, task.parts) if task.params.trace else ():
        if not np.isfinite(losses).all():
            raise BadInput(f"trace {task.params.trace}: a round lacks the loss of a skill; evaluate all of them")
        rounds.append(dict(zip(task.parts, state.step(losses).tolist(), strict=True)))
    return Answer(state.weights, report={"rounds": len(rounds) - 1, "first": rounds[0]})
