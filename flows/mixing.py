"""From a spec without weights to one with: look the parts up, ask a mixer, say what it predicts and how sure it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from catalog.errors import BadInput
from catalog.mixers import Answer, Task, Trials, get_mixer
from catalog.mixes.spec import Part, Spec, load_spec, part_name, read_spec
from catalog.refs import parse_ref
from flows.part_vectors import with_vectors
from flows.trial_table import read_trials

if TYPE_CHECKING:
    from catalog.catalog import Catalog
    from catalog.mixes.parts import FoundPart

LEAST = 1e-6
"""A smaller share is dropped from the spec: it would serve less than one row in a million."""


@dataclass(frozen=True)
class Weighed:
    """What a mixer said of a spec. spec: with weights, ready to publish; parts it leaves out are not in it.

    rows: one a part: name, weight (share of what weights divide), epochs at the spec's total (None without one),
    proportional (the share when everything is served once).
    """

    mixer: str
    spec: dict[str, Any]
    rows: list[dict[str, Any]]
    answer: Answer

    def to_json(self) -> dict[str, Any]:
        found = self.answer
        report = orjson.loads(orjson.dumps(found.report, option=orjson.OPT_SERIALIZE_NUMPY))
        held = {"mixer": self.mixer, "parts": self.rows, "report": report, "spec": self.spec}
        if found.predicted is not None:
            held |= {"predicted": found.predicted, "low": found.low, "high": found.high}
        return held


def weigh(
    cat: Catalog,
    spec: str | Path | dict[str, Any],
    mixer: str,
    *,
    params: dict[str, Any] | None = None,
    trials: str | Path | None = None,
    goal: str = "",
    better: str = "lower",
    seed: int = 0,
) -> Weighed:
    """Weights of the parts of a spec that have no fixed budget. Changes nothing in the catalog.

    trials: a table of runs, see `read_trials`, or "catalog" for those recorded on mixes of these parts ("catalog:*-1m-*":
    those of models with such a name). goal: the result in it that is improved; better: "lower" or "higher".
    """
    plugin = get_mixer(mixer)
    parsed = plugin.parse_params(params or {})
    if better not in ("lower", "higher"):
        raise BadInput(f"better is lower or higher, not {better!r}")
    body, task, at = open_task(cat, spec)
    names = list(task.parts)
    held = trials_from(cat, trials, names) if trials else None
    task = replace(task, params=parsed, goal=goal, better=better, trials=held, seed=seed)
    if plugin.vectors:
        task = with_vectors(cat, task, [body["parts"][number] for number in at], seed)
    answer = plugin.answer(task)
    rows = [
        {"part": name, "weight": float(weight), "proportional": float(natural),
         "epochs": float(weight * task.budget / held) if task.budget else None}
        for name, weight, natural, held in zip(names, answer.weights, task.natural, task.supply, strict=True)
    ]  # fmt: skip
    body = filled(body, at, answer.weights)
    return Weighed(mixer, body, rows, answer)


def filled(body: dict[str, Any], at: Sequence[int], weights: np.ndarray) -> dict[str, Any]:
    """The spec with these weights at its open parts; a part that they leave out is not in it."""
    given = [float(weight) for weight in weights]
    least = min(weight for weight in given if weight >= LEAST)
    held = {number: _written(weight, least) for number, weight in zip(at, given, strict=True) if weight >= LEAST}
    parts = [
        {**part, "weight": held[number]} if number in held else part
        for number, part in enumerate(body["parts"])
        if number in held or number not in at
    ]
    return {**body, "parts": parts}


def _written(weight: float, least: float) -> float:
    """Five decimals, whose order repeats soon (`catalog.pull.order`), where that changes no weight by over one per cent."""
    return round(weight, 5) if least >= 5e-4 else float(f"{weight:.6g}")


def open_task(cat: Catalog, spec: str | Path | dict[str, Any]) -> tuple[dict[str, Any], Task, list[int]]:
    """The spec with even weights at its open parts, what a mixer is told of those, and which parts they are."""
    body, made, at = open_parts(spec)
    names = names_of(made, at)
    supply, budget = _supply(cat, made, at)
    caps = np.array([made.parts[number].max_epochs for number in at])
    return body, Task(tuple(names), supply, None, budget, caps=caps), at


def names_of(spec: Spec, at: Sequence[int]) -> list[str]:
    """Names of these parts; refused where two are called alike."""
    names = [part_name(spec.parts[number]) for number in at]
    if doubled := [name for name in names if names.count(name) > 1]:
        raise BadInput(f"mix {spec.name}: two parts are called {doubled[0]}; give them names: name: ...")
    return names


def given_shares(spec: str | Path | dict[str, Any], names: Sequence[str]) -> dict[str, float]:
    """Shares that a spec itself gives its open parts; {} where one has no weight."""
    made = [Part(**part) for part in read_spec(spec)["parts"]]
    held = {part_name(part): part.weight for part in made if part.weight is not None}
    total = sum(held.values())
    return {name: held[name] / total for name in names} if set(held) == set(names) and total else {}


def trials_from(cat: Catalog, source: str | Path, names: list[str]) -> Trials:
    """A table, or the recorded trials: "catalog", or "catalog:PATTERN" for models whose name matches."""
    kind, _, pattern = str(source).partition(":")
    if kind != "catalog":
        return read_trials(source, names)
    from catalog.trials import trials_of

    return trials_of(cat, names, models=pattern or None)


def open_parts(spec: str | Path | dict[str, Any]) -> tuple[dict[str, Any], Spec, list[int]]:
    """The spec as written, checked as if its open parts had equal weights, and which parts those are."""
    body = read_spec(spec)
    given = body.get("parts") or []
    parts = [dict(part) if isinstance(part, dict) else part for part in given] if isinstance(given, list) else given
    at = [
        number for number, part in enumerate(parts if isinstance(parts, list) else ())
        if isinstance(part, dict) and part.get("samples") is None and part.get("tokens") is None
    ]  # fmt: skip
    for number in at:
        parts[number]["weight"] = 1
    made = load_spec({**body, "parts": parts})
    if len(at) < 2:
        raise BadInput(f"mix {made.name}: fewer than two parts are without a fixed budget; there is nothing to weigh")
    return {**body, "parts": parts}, made, at


def _supply(cat: Catalog, spec: Spec, at: Sequence[int]) -> tuple[np.ndarray, float | None]:
    """What one pass over each open part holds, in the unit of the mix, and the total that is left to them."""
    from catalog.mixes.parts import find_parts

    found = find_parts(cat, spec)
    for number, part in enumerate(found):
        if spec.unit == "tokens" and (part.token_column is None or part.uncovered):
            name = parse_ref(part.found.ref).name
            raise BadInput(
                f"mix {spec.name}: {part_name(spec.parts[number])}: the unit is tokens and column {spec.tokens!r} does "
                f"not cover its rows; run `strata score {name} token_count`"
            )
    held = np.array([part.tokens if spec.unit == "tokens" else part.rows.rows for part in found], np.float64)
    if spec.total is None:
        return held[list(at)], None
    fixed = sum(_taken(spec, number, part) for number, part in enumerate(found) if number not in at)
    if spec.total <= fixed:
        raise BadInput(f"mix {spec.name}: the fixed budgets take all of the total of {spec.total:,}; raise it")
    return held[list(at)], float(spec.total - fixed)


def _taken(spec: Spec, number: int, found: FoundPart) -> float:
    """What a part with a fixed budget takes of the total, in the unit of the mix."""
    part, mean = spec.parts[number], found.tokens / found.rows.rows
    if part.samples is not None:
        return part.samples * (mean if spec.unit == "tokens" else 1.0)
    return float(part.tokens or 0) / (1.0 if spec.unit == "tokens" or not mean else mean)
