"""Mixers: from parts, what is known of them and a goal to weights, with a predicted outcome where a method gives one.

One file, one decorator, as for scorers and selectors; a package announces itself under ``strata.plugins``.

    from catalog.mixers import Answer, Task, mixer

    @mixer("even", version="1", citation="ours")
    def even(task):
        return Answer(np.full(len(task.parts), 1 / len(task.parts)))

Weights are shares of a mix, in its unit, and add up to one. A mixer decides nothing about rows: it fills the weights of
a spec, which `strata mix publish` locks like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from pydantic import BaseModel

from catalog.errors import BadInput, NotFound
from catalog.plugins import NoParams, described, parse_params, plugins, register


@dataclass(frozen=True)
class Trials:
    """Finished training runs, one a row.

    weights: (runs, parts) float64, what each run was served of each part; rows add up to about one, as published tables
    are rounded. results: name -> (runs,) float64, NaN where a run did not measure it. tokens: (runs,) training tokens;
    size: (runs,) model parameters; both NaN where unknown. seed: (runs,) int64. names: what calls a run by name.
    """

    weights: np.ndarray
    results: dict[str, np.ndarray]
    tokens: np.ndarray
    size: np.ndarray
    seed: np.ndarray
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.weights)

    def measured(self, goal: str) -> Trials:
        """The runs that measured the goal; `NotFound` for a result that none has."""
        if goal not in self.results:
            raise NotFound("result", goal, sorted(self.results), "name one that the trials measured: --goal")
        return self.only(np.isfinite(self.results[goal]))

    def only(self, mask: np.ndarray) -> Trials:
        """Some of the runs."""
        return Trials(
            self.weights[mask], {name: held[mask] for name, held in self.results.items()}, self.tokens[mask],
            self.size[mask], self.seed[mask], tuple(np.array(self.names, object)[mask]) if self.names else (),
        )  # fmt: skip


@dataclass(frozen=True)
class Task:
    """What a mixer is asked.

    parts: names, in the order of the weights. supply: (parts,) what one pass over each part holds, in the unit of the
    mix. budget: how much is served in all (None: unknown). goal: the result to improve; better: its direction.
    caps: (parts,) most passes over each part, infinite where there is no bound. vectors: unit vectors of a sample of each
    part, target: those of the set that `params.target` names; for mixers that declare vectors=True.
    """

    parts: tuple[str, ...]
    supply: np.ndarray
    params: Any
    budget: float | None = None
    goal: str = ""
    better: str = "lower"
    trials: Trials | None = None
    caps: np.ndarray | None = None
    seed: int = 0
    vectors: tuple[np.ndarray, ...] | None = None
    target: np.ndarray | None = None

    @property
    def natural(self) -> np.ndarray:
        """Shares of the parts when everything is served once."""
        return self.supply / self.supply.sum()

    def known(self, mixer: str, least: int, goals: Sequence[str] = ()) -> Trials:
        """The trials that measured the goal (or all of `goals`), or a refusal that says how many are missing."""
        wanted = [name for name in goals or (self.goal,) if name]
        if self.trials is None or not wanted:
            raise BadInput(f"mixer {mixer} learns from trials of a goal: give --trials and --goal")
        held = self.trials
        for name in wanted:
            held = held.measured(name)
        if len(held) < least:
            raise BadInput(
                f"mixer {mixer} needs {least} trials that measured {', '.join(wanted)}, {len(held)} did; run more of a design"
            )
        return held

    def sign(self) -> float:
        """Multiply a result by it and lower is better."""
        return 1.0 if self.better == "lower" else -1.0


Predictor = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Answer:
    """weights: (parts,) shares. predicted, low, high: the goal at these weights with the interval that `report` names.

    predict: (mixes, parts) -> (mixes,) the goal, for what-if; None where a method predicts nothing.
    """

    weights: np.ndarray
    predicted: float | None = None
    low: float | None = None
    high: float | None = None
    report: dict[str, Any] = field(default_factory=dict)
    predict: Predictor | None = None


@dataclass(frozen=True)
class Mixer:
    """A way to choose weights. trials: it needs runs; vectors: it compares vectors of the parts with a target's."""

    name: str
    version: str
    function: Callable[[Task], Answer]
    citation: str
    doc: str
    summary: str
    module: str
    source_digest: str
    params: type[BaseModel] = NoParams
    trials: bool = False
    vectors: bool = False
    experimental: bool = False
    libraries: tuple[str, ...] = ()

    def parse_params(self, given: dict[str, Any]) -> BaseModel:
        return parse_params(f"mixer {self.name}", self.params, given)

    def answer(self, task: Task) -> Answer:
        """Weights, checked: finite, not negative, adding up to one."""
        found = self.function(task)
        weights = np.asarray(found.weights, np.float64)
        if weights.shape != (len(task.parts),) or not np.isfinite(weights).all() or (weights < 0).any():
            raise BadInput(f"mixer {self.name} gave {weights.tolist()} for {len(task.parts)} parts; no weights follow")
        if not weights.sum() > 0:
            raise BadInput(f"mixer {self.name} leaves nothing of any part; raise the budget or the caps")
        weights = weights / weights.sum()
        held = within_caps(weights, task)
        if np.allclose(held, weights, rtol=1e-9, atol=1e-12):
            return replace(found, weights=weights)
        report = found.report | {"wanted before max_epochs": dict(zip(task.parts, weights.tolist(), strict=True))}
        at = float(found.predict(held[None])[0]) if found.predict else None
        shift = at - found.predicted if at is not None and found.predicted is not None else None
        low, high = (None if shift is None or end is None else end + shift for end in (found.low, found.high))
        return Answer(held, at, low, high, report, found.predict)


def within_caps(weights: np.ndarray, task: Task) -> np.ndarray:
    """Shares cut to what max_epochs allows at the budget; what is cut goes to the others in their proportions."""
    if task.caps is None or task.budget is None:
        return weights
    most = task.caps * task.supply / task.budget
    if most.sum() < 1 - 1e-9:
        raise BadInput(
            f"all parts within max_epochs hold {most.sum() * task.budget:,.0f} of the budget of {task.budget:,.0f}; lower "
            "the total or raise max_epochs"
        )
    held, full = weights.copy(), np.zeros(len(weights), bool)
    for _ in range(len(weights)):
        over = ~full & (held > most * (1 + 1e-12))
        if not over.any():
            break
        full |= over
        held[full] = most[full]
        rest = weights * ~full
        left = max(1 - held[full].sum(), 0.0)
        if rest.sum() > 0:
            held[~full] = left * rest[~full] / rest.sum()
        else:  # the method gave the others nothing: by what they may still take
            held[~full] = left * most[~full] / most[~full].sum()
    return held


def mixer(name: str, *, version: str, citation: str, **more: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare a mixer: function(task: Task) -> Answer."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        register("mixer", name, Mixer(name=name, version=version, citation=citation, **described(function), **more))
        return function

    return decorate


def get_mixer(name: str) -> Mixer:
    """The mixer of that name, or `NotFound` with near matches."""
    known = plugins("mixer")
    if name not in known:
        raise NotFound("mixer", name, known, "see `strata mixers`")
    return known[name]
