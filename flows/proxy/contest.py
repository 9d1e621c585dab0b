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
from flows.proxy.train import Tick, silent
from flows.trial_statistics import higher_is_better, paired, unpaired, verdict

if TYPE_CHECKING:
    from catalog.catalog import Catalog


def contest(
    cat: Catalog,
    mixes: Mapping[str, str | Sequence[str]],
    recipe: Recipe | Sequence[Recipe],
    seeds: Sequence[int],
    *,
    subject: str,
    result: str = "loss/mean",
    level: float = 0.95,
    workers: int = 1,
    device: str = "cpu",
    say: Callable[[str], None] = lambda line: None,
    tick: Tick = silent,
) -> list[dict[str, Any]]:
    """Train every mix (label -> reference) with every seed; the subject against each of the others, a row each.

    mixes: a reference, or one for each seed where the order is to differ too; recipe likewise. difference: subject minus other; verdict:
    of the subject. Labels may name the same mix: it is trained once.
    """
    if subject not in mixes:
        raise BadInput(f"{subject!r} is not among the mixes: {', '.join(mixes)}")
    held = {label: [given] * len(seeds) if isinstance(given, str) else list(given) for label, given in mixes.items()}
    if short := [label for label, refs in held.items() if len(refs) != len(seeds)]:
        raise BadInput(f"{short[0]} has {len(held[short[0]])} mixes for {len(seeds)} seeds; give one each")
    pairs = dict.fromkeys((refs[at], seed) for at, seed in enumerate(seeds) for refs in held.values())
    given = [recipe] * len(seeds) if isinstance(recipe, Recipe) else list(recipe)
    recipes = {seed: made.model_copy(update={"seed": seed}) for seed, made in zip(seeds, given, strict=True)}
    runs = [(ref, recipes[seed]) for ref, seed in pairs]
    trials = run_trials(cat, runs, workers=workers, device=device, say=say, tick=tick)
    losses = {pair: _result(trial, result) for pair, trial in zip(pairs, trials, strict=True) if trial.status == "done"}
    measured = {
        label: {seed: losses[ref, seed] for ref, seed in zip(refs, seeds, strict=True) if (ref, seed) in losses}
        for label, refs in held.items()
    }
    return [
        {"mix": subject, "against": label, **versus(measured[label], measured[subject], result, level)}
        for label in mixes if label != subject
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
