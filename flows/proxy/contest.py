"""Does one mix beat others? The same model trained on each with the same seeds, differences paired by seed, ties said.

A mix that was chosen because of its runs must be judged on other runs: give seeds that the choice did not see.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from catalog.errors import BadInput
from catalog.meta.models import Trial
from flows.proxy.recipe import Recipe
from flows.proxy.runs import run_trials
from flows.trial_statistics import higher_is_better, paired, unpaired, verdict

if TYPE_CHECKING:
    from catalog.catalog import Catalog


def contest(
    cat: Catalog,
    mixes: Mapping[str, str],
    recipe: Recipe,
    seeds: Sequence[int],
    *,
    subject: str,
    result: str = "loss/mean",
    level: float = 0.95,
    workers: int = 1,
    device: str = "cpu",
    say: Callable[[str], None] = lambda line: None,
) -> list[dict[str, Any]]:
    """Train every mix (label -> reference) with every seed; the subject against each of the others, a row each.

    difference: subject minus other; verdict: of the subject. Labels may name the same mix: it is trained once.
    """
    if subject not in mixes:
        raise BadInput(f"{subject!r} is not among the mixes: {', '.join(mixes)}")
    refs = list(dict.fromkeys(mixes.values()))
    runs = [(ref, recipe.model_copy(update={"seed": seed})) for seed in seeds for ref in refs]
    trials = run_trials(cat, runs, workers=workers, device=device, say=say)
    measured: dict[str, dict[int, float]] = {ref: {} for ref in refs}
    for (ref, made), trial in zip(runs, trials, strict=True):
        if trial.status == "done":
            measured[ref][made.seed] = _result(trial, result)
    return [
        {"mix": subject, "against": label, **versus(measured[ref], measured[mixes[subject]], result, level)}
        for label, ref in mixes.items() if label != subject
    ]  # fmt: skip


def versus(other: dict[int, float], subject: dict[int, float], result: str, level: float = 0.95) -> dict[str, Any]:
    """Results by seed of two mixes: means, the paired difference with its interval, and what it means."""
    both = sorted(set(other) & set(subject))
    facts: dict[str, Any] = {"seeds": len(both)}
    if not other or not subject:
        return facts | {"verdict": "unknown: every run of a side diverged"}
    a, b = np.array(list(other.values())), np.array(list(subject.values()))
    facts |= {"other": float(a.mean()), "subject": float(b.mean())}
    if both and all(other[seed] == subject[seed] for seed in both):
        return facts | {"difference": 0.0, "low": 0.0, "high": 0.0, "detectable": 0.0, "verdict": "tie"}
    if len(both) > 2:
        seen = paired(np.array([other[s] for s in both]), np.array([subject[s] for s in both]), level)
    else:
        seen = unpaired(a, b, level)
    return facts | {
        "difference": seen.mean, "low": seen.low, "high": seen.high, "detectable": seen.detectable,
        "verdict": verdict(seen, higher_is_better(result)),
    }  # fmt: skip


def _result(trial: Trial, result: str) -> float:
    if result not in trial.results:
        raise BadInput(
            f"the runs measure no {result!r} but {', '.join(sorted(trial.results))}; name one of them as the result"
        )
    return trial.results[result]
