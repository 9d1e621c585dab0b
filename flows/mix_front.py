"""Which mixes are worth choosing by two results at once: recorded runs, and mixes that a fitted mixer predicts.

A mix is on the front where no other of its kind is as good in both results and better in one (`pareto`, Deb et al. 2002).
Runs are measured and predictions are not, so each kind has a front of its own. Runs of equal weights, size and length are
one point, their mean, with Student's interval over seeds; the interval of a prediction is the one that the mixer gives at
its own answer, conformal in those that learn from trials.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from catalog.errors import BadInput
from catalog.mixers import Answer, Task, Trials, get_mixer
from flows.mixing import filled, open_parts, open_task

if TYPE_CHECKING:
    from catalog.catalog import Catalog

PREDICT = ("regmix", "mixing_laws")
"""Mixers whose answer predicts any mix."""
DRAWS = 10_000
SMALL = 5e-4
"""A share of a mix below it is left out of a spec that takes its weights."""
SHOWN, EDGE = 240, 40
"""Drawn mixes that are kept: off the front, so that the cloud behind it is seen; and on it, evenly along it."""


@dataclass(frozen=True)
class Aim:
    """A result, and whether "lower" or "higher" is better."""

    name: str
    better: str = "lower"

    @property
    def sign(self) -> float:
        return 1.0 if self.better == "higher" else -1.0


@dataclass(frozen=True)
class Point:
    """One mix. kind: "run" (measured), "drawn", "best" of one result or "spec" (predicted); low and high are None without an interval.

    front: 0 on the front of its kind, 1 on the next one. runs: how many it is the mean of; trials: their ids, if recorded.
    """

    key: str
    kind: str
    weights: tuple[float, ...]
    values: tuple[float, float]
    low: tuple[float | None, float | None]
    high: tuple[float | None, float | None]
    front: int
    runs: int = 0
    size: float | None = None
    tokens: float | None = None
    trials: tuple[str, ...] = ()


@dataclass(frozen=True)
class Front:
    """points: the runs, then what was predicted, each by front. notes: what has to be known to read it."""

    parts: tuple[str, ...]
    aims: tuple[Aim, Aim]
    points: tuple[Point, ...]
    notes: tuple[str, ...] = ()
    reports: dict[str, dict[str, Any]] = field(default_factory=dict)


def results_of(trials: Trials) -> list[str]:
    """What the runs measured, standard errors left out; refused where that is nothing."""
    if found := [name for name in trials.results if not name.endswith("_stderr")]:
        return found
    raise BadInput("the runs hold no result: every column of numbers that is no weight is one; add it to the table")


def to_trade(trials: Trials) -> list[str]:
    """The results in the order in which two of them are proposed: what is over all evals together comes last."""
    return sorted(results_of(trials), key=lambda name: (name == "train_loss", name.endswith("/mean")))


def aims_of(trials: Trials, asked: Sequence[str] = ()) -> tuple[Aim, Aim]:
    """Two results as written, "loss" or "acc:higher"; without a direction by the metric's name, without any the first two."""
    from flows.trial_statistics import higher_is_better

    names = list(asked) or to_trade(trials)[:2]
    if not asked and len(names) < 2:
        raise BadInput(f"the runs measured one result, {names[0]}; a front needs two: record a second one with the same "
                       "runs, strata trial add MIX --results FILE, or give a table with two columns of results")  # fmt: skip
    if len(names) != 2:
        raise BadInput(f"a front is over two results, not {len(names)}; name two, such as loss and acc:higher")
    made = []
    for written in names:
        name, colon, better = written.rpartition(":")
        known = bool(colon) and better in ("lower", "higher")
        result = name if known else written
        made.append(Aim(result, better if known else "higher" if higher_is_better(result) else "lower"))
    return made[0], made[1]


def with_weights(spec: str | Path | dict[str, Any], point: Point) -> dict[str, Any]:
    """The spec with the weights of a point."""
    body, _, at = open_parts(spec)
    shares = np.array(point.weights)
    return filled(body, at, np.where(shares < SMALL, 0.0, shares))


def measured(trials: Trials, parts: Sequence[str], aims: tuple[Aim, Aim]) -> Front:
    """The front of the runs that measured both results; refused where none did."""
    _two(aims)
    both = trials.measured(aims[0].name).measured(aims[1].name) if _any_both(trials, aims) else None
    if both is None:
        raise BadInput(
            f"no run measured both {aims[0].name} and {aims[1].name}; record both results of a run together: "
            "strata trial add MIX --results FILE"
        )
    groups = _alike(both)
    values = np.array([[float(both.results[aim.name][rows].mean()) for aim in aims] for rows in groups])
    fronts = _fronts(values, aims)
    points = []
    for at in np.lexsort((values[:, 0] * -aims[0].sign, fronts)):
        rows = groups[at]
        ends = [_student(both.results[aim.name][rows]) for aim in aims]
        weights = both.weights[rows[0]] / both.weights[rows[0]].sum()
        points.append(
            Point(
                f"r{at}", "run", tuple(map(float, weights)), (float(values[at, 0]), float(values[at, 1])),
                (ends[0][0], ends[1][0]), (ends[0][1], ends[1][1]), int(fronts[at]), len(rows),
                _known(both.size, rows), _known(both.tokens, rows),
                tuple(both.names[row] for row in rows) if both.names else (),
            )
        )  # fmt: skip
    return Front(tuple(parts), aims, tuple(points), tuple(_mixed(both)))


def predicted(
    cat: Catalog, spec: str | Path | dict[str, Any], mixer: str, aims: tuple[Aim, Aim], trials: Trials, *,
    params: dict[str, Any] | None = None, now: Sequence[float] | None = None, draws: int = DRAWS, seed: int = 0,
) -> Front:  # fmt: skip
    """The front of mixes drawn within the caps of the spec, each predicted by a mixer that is fitted once a result.

    now: weights of the spec as it stands, to be seen among them.
    """
    from flows.mixers._search import candidates

    _two(aims)
    if (params or {}).get("losses"):
        raise BadInput(f"the front is over {aims[0].name} and {aims[1].name}; leave the parameter losses out")
    plugin = get_mixer(mixer)
    _, task, _ = open_task(cat, spec)
    task = replace(task, params=plugin.parse_params(params or {}), trials=trials, seed=seed)
    answers = [plugin.answer(replace(task, goal=aim.name, better=aim.better)) for aim in aims]
    if any(answer.predict is None for answer in answers):
        raise BadInput(f"mixer {mixer} predicts no mix but its own; choose one of {', '.join(PREDICT)}")
    # half around the natural shares, as RegMix draws, half anywhere, so that corners are reached
    drawn = [candidates(task, prior, draws // 2, seed + 1) for prior in (task.natural, np.ones(len(task.parts)))]
    held = [] if now is None else [np.asarray(now, np.float64)[None]]
    mixes = np.concatenate([*[answer.weights[None] for answer in answers], *held, *drawn])
    return _shown(task, mixes, ["best", "best", *(["spec"] if held else [])], answers, aims)


def _shown(task: Task, mixes: np.ndarray, first: list[str], answers: list[Answer], aims: tuple[Aim, Aim]) -> Front:
    """The drawn mixes that are worth showing. first: kinds of the mixes that come before those drawn."""
    values = np.column_stack([np.asarray(answer.predict(mixes)) for answer in answers if answer.predict])
    fronts = _fronts(values, aims)
    order = np.lexsort((values[:, 0] * -aims[0].sign, fronts))
    named, front, behind = order[order < len(first)], order[fronts[order] == 0], order[fronts[order] > 0]
    kept = list(dict.fromkeys([*named, *_thinned(front, EDGE), *_thinned(behind, SHOWN)]))
    halves = [_half(answer) for answer in answers]
    points = [
        Point(
            f"d{at}", first[at] if at < len(first) else "drawn", tuple(map(float, mixes[at])),
            (float(values[at, 0]), float(values[at, 1])),
            (_moved(values[at, 0], halves[0], -1), _moved(values[at, 1], halves[1], -1)),
            (_moved(values[at, 0], halves[0], 1), _moved(values[at, 1], halves[1], 1)), int(fronts[at]),
        )
        for at in kept
    ]  # fmt: skip
    spans = {str(answer.report["interval"]) for answer in answers if "interval" in answer.report}
    notes = [f"{len(mixes):,} mixes are predicted; intervals: {'; '.join(sorted(spans))}"] if spans else []
    reports = {aim.name: answer.report for aim, answer in zip(aims, answers, strict=True)}
    return Front(task.parts, aims, tuple(points), tuple(notes), reports)


def _thinned(held: np.ndarray, most: int) -> np.ndarray:
    """Evenly along, both ends kept."""
    return held if len(held) <= most else held[np.unique(np.linspace(0, len(held) - 1, most).round().astype(int))]


def _two(aims: tuple[Aim, Aim]) -> None:
    if aims[0].name == aims[1].name:
        raise BadInput(f"both results are {aims[0].name}; name two that are to be traded against one another")
    for aim in aims:
        if aim.better not in ("lower", "higher"):
            raise BadInput(f"better is lower or higher, not {aim.better!r}")


def _any_both(trials: Trials, aims: tuple[Aim, Aim]) -> bool:
    held = [np.isfinite(trials.measured(aim.name).results[aim.name]).any() for aim in aims]  # says which is unknown
    return all(held) and bool(
        (np.isfinite(trials.results[aims[0].name]) & np.isfinite(trials.results[aims[1].name])).any()
    )


def _fronts(values: np.ndarray, aims: tuple[Aim, Aim]) -> np.ndarray:
    from flows.scorers.combine.pareto import fronts

    return fronts(values * np.array([aim.sign for aim in aims]))


def _alike(trials: Trials) -> list[np.ndarray]:
    """Rows of each mix that was run at one size and length, in the order in which they first come."""
    keys = np.column_stack([np.round(trials.weights, 6), np.nan_to_num(trials.size, nan=-1), np.nan_to_num(trials.tokens, nan=-1)])  # fmt: skip
    _, first, where = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    return [np.flatnonzero(where.ravel() == group) for group in np.argsort(first)]


def _student(values: np.ndarray) -> tuple[float | None, float | None]:
    from flows.trial_statistics import paired

    if len(values) < 2:
        return None, None
    one = paired(np.zeros(len(values)), values)
    return one.low, one.high


def _mixed(trials: Trials) -> list[str]:
    """Runs that are not alike are shown together, and that is said."""
    sizes, lengths = (len(set(held[np.isfinite(held)].tolist())) for held in (trials.size, trials.tokens))
    said = [f"{sizes} sizes of model"] if sizes > 1 else []
    said += [f"{lengths} lengths of training"] if lengths > 1 else []
    return [f"runs of {' and '.join(said)} are compared; name models to compare like with like"] if said else []


def _known(values: np.ndarray, rows: np.ndarray) -> float | None:
    value = float(values[rows[0]])
    return value if np.isfinite(value) else None


def _half(answer: Answer) -> float | None:
    return None if answer.low is None or answer.high is None else (answer.high - answer.low) / 2


def _moved(value: float, half: float | None, side: int) -> float | None:
    return None if half is None else float(value) + side * half
