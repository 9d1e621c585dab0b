"""Skill-It in the laboratory: learn which part teaches which, then train in rounds whose weights follow the losses.

Chen et al. 2023, arXiv:2307.14430. The graph comes from short runs on one part each, all from the same model; a round
trains on a mix published with the round's weights, from the model of the round before, at a constant rate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from catalog.errors import BadInput
from flows.mixers.skill_it import SkillIt, graph_from_losses
from flows.proxy.design import split_spec, with_weights
from flows.proxy.recipe import Recipe, make_recipe
from flows.proxy.runs import run_trial
from flows.proxy.train import Tick, silent

if TYPE_CHECKING:
    from catalog.catalog import Catalog


@dataclass(frozen=True)
class Rounds:
    """parts: names; graph: (trained on, measured on); weights and losses: a row a round; models: of the rounds."""

    parts: tuple[str, ...]
    graph: np.ndarray
    weights: np.ndarray
    losses: np.ndarray
    models: tuple[str, ...]


def run_skill_it(
    cat: Catalog,
    spec: str | Path | dict[str, Any],
    recipe: Recipe,
    *,
    rounds: int = 4,
    rate: float = 0.2,
    window: int = 3,
    graph: np.ndarray | None = None,
    device: str = "cpu",
    say: Callable[[str], None] = lambda line: None,
    tick: Tick = silent,
) -> Rounds:
    """recipe.tokens are those of a round, and of the short runs on one part. Runs that are recorded are not repeated."""
    from flows.mixing import open_task

    if rounds < 1:
        raise BadInput(f"{rounds} rounds train nothing; give at least 1")
    body, task, at = open_task(cat, split_spec(cat, spec, recipe.held_out))
    validation = [
        {"name": name, "dataset": body["parts"][n]["dataset"], "where": body["parts"][n]["where"]}
        for name, n in zip(task.parts, at, strict=True)
    ]
    steady = make_recipe(**recipe.model_dump() | {"validation": validation, "schedule": "wsd", "decay": 0.0})
    going = steady.model_copy(update={"warmup": 0.0})

    def stretch(name: str, weights: np.ndarray, start: str, number: int) -> tuple[str, np.ndarray]:
        made = cat.publish_mix(with_weights(body, at, np.round(weights, 6)) | {
            "name": f"{body['name']}-{name}", "seed": int(body.get("seed", 0)) + number,
        })  # fmt: skip
        held = going.model_copy(update={"start": start}) if start else steady
        trial = run_trial(cat, f"{made.name}@v{made.version}", held, device=device, say=say, tick=tick)
        if trial.status != "done":
            raise BadInput(
                f"{trial.model} diverged: it is kept and marked, and no weight is learned from it; lower the rate of the recipe"
            )
        return trial.model, np.array([trial.results[f"loss/{part}"] for part in task.parts])

    count = len(task.parts)
    model, before = stretch("start", np.full(count, 1 / count), "", 0)
    if graph is None:
        alone = [stretch(f"only-{part}", np.eye(count)[n], model, 1)[1] for n, part in enumerate(task.parts)]
        graph = graph_from_losses(before, np.array(alone))
    state = SkillIt(graph, rate, window)
    weights, losses, models = [state.weights], [], []
    for number in range(1, rounds + 1):
        model, seen = stretch(f"round-{number:02d}", weights[-1], model, 1 + number)
        losses.append(seen)
        models.append(model)
        weights.append(state.step(seen))
        say(f"round {number}: " + ", ".join(f"{p} {w:.3f}" for p, w in zip(task.parts, weights[-1], strict=True)))
    return Rounds(task.parts, graph, np.array(weights), np.array(losses), tuple(models))
