"""Is one mix better than another? Runs paired by seed, an interval, the smallest effect that would have shown, and ties.

The interval is Student's over the differences of runs with equal seed (Student 1908); without three pairs it is Welch's
over unpaired runs, and with a single run on a side there is none, so the verdict is "unknown". The minimum detectable
effect is the difference that a test of this many runs finds with 80 % power. Decision accuracy, as in Magnusson et al.
2025 (DataDecide, arXiv:2504.11393), is the share of pairs of mixes that small runs order as large runs do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from catalog.errors import BadInput
from catalog.meta.models import Trial

if TYPE_CHECKING:
    from catalog.catalog import Catalog

HIGHER = ("acc", "acc_norm", "exact_match", "f1", "bleu", "rouge", "pass@", "mc1", "mc2", "win", "reward")
"""Beginnings of metrics where higher is better; everything else is taken as a loss."""


@dataclass(frozen=True)
class Difference:
    """b - a with its interval; NaN where the runs allow none. detectable: effect found with 80 % power."""

    mean: float
    low: float
    high: float
    detectable: float
    pairs: int
    method: str


def paired(a: np.ndarray, b: np.ndarray, level: float = 0.95) -> Difference:
    """Student's interval of the mean of b - a over pairs."""
    from scipy.stats import t

    differences = np.asarray(b, np.float64) - np.asarray(a, np.float64)
    count, mean = len(differences), float(differences.mean())
    if count < 2:
        return Difference(mean, np.nan, np.nan, np.nan, count, "one pair")
    error = float(differences.std(ddof=1) / np.sqrt(count))
    half = float(t.ppf(0.5 + level / 2, count - 1)) * error
    return Difference(mean, mean - half, mean + half, _detectable(error, count - 1, level), count, "paired")


def unpaired(a: np.ndarray, b: np.ndarray, level: float = 0.95) -> Difference:
    """Welch's interval of the difference of means."""
    from scipy.stats import t

    mean = float(np.mean(b) - np.mean(a))
    if len(a) < 2 or len(b) < 2:
        return Difference(mean, np.nan, np.nan, np.nan, 0, "a single run on one side")
    va, vb = float(np.var(a, ddof=1)) / len(a), float(np.var(b, ddof=1)) / len(b)
    error = float(np.sqrt(va + vb))
    if error == 0:
        return Difference(mean, mean, mean, 0.0, 0, "unpaired")
    freedom = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))
    half = float(t.ppf(0.5 + level / 2, freedom)) * error
    return Difference(mean, mean - half, mean + half, _detectable(error, freedom, level), 0, "unpaired")


def _detectable(error: float, freedom: float, level: float) -> float:
    from scipy.stats import t

    return float(t.ppf(0.5 + level / 2, freedom) + t.ppf(0.8, freedom)) * error


def verdict(found: Difference, higher: bool) -> str:
    """better, worse, tie (the interval holds zero) or unknown (no interval), of b against a."""
    if np.isnan(found.low):
        return "unknown"
    if found.low <= 0 <= found.high:
        return "tie"
    return "better" if (found.mean > 0) == higher else "worse"


def higher_is_better(result: str) -> bool:
    """By the metric's name, after the last slash."""
    return result.rsplit("/", 1)[-1].lower().startswith(HIGHER)


def compare_trials(
    cat: Catalog,
    mixes: Sequence[str],
    *,
    results: Iterable[str] | None = None,
    level: float = 0.95,
    higher: Iterable[str] = (),
    models: str | None = None,
) -> list[dict[str, Any]]:
    """The runs of two mixes, result by result: seeds, means, difference b - a, interval, detectable effect, verdict, and
    how often runs of this size decided as larger ones did (see `agreement`).

    models: a pattern of model names; runs of several sizes are not compared without one.
    """
    from catalog.trials import list_trials

    if len(mixes) != 2:
        raise BadInput(f"two mixes are compared, {len(mixes)} are given")
    if not 0 < level < 1:
        raise BadInput(f"a level of {level:g} is no probability; give one such as 0.95")
    held = [[t for t in list_trials(cat, mix) if models is None or fnmatchcase(t.model, models)] for mix in mixes]
    sizes = {t.size for side in held for t in side if t.size and t.status == "done"}
    if len(sizes) > 1:
        raise BadInput(
            f"the runs are of models of {' and '.join(f'{size:,}' for size in sorted(sizes))} parameters; say which are "
            "compared, by a pattern of their names: --model '*-1m-*'"
        )
    sides = [_by_seed(side) for side in held]
    for mix, side in zip(mixes, sides, strict=True):
        if not side:
            raise BadInput(
                f"no finished trial of {mix} is recorded; add its runs: strata trial add {mix} --results FILE"
            )
    wanted = list(results) if results else sorted(
        {n for t in sides[0].values() for n in t.results} & {n for t in sides[1].values() for n in t.results}
    )  # fmt: skip
    found, everything = [], list_trials(cat)
    for name in wanted:
        if name.endswith("_stderr") and not results:
            continue
        if name == "loss/mean" and len({frozenset(_sets(t)) for side in sides for t in side.values()}) > 1:
            if results:
                raise BadInput(
                    "loss/mean is over other sets on the two sides; compare one set (--result loss/NAME), or train with "
                    "equal ones (--param validation=[...])"
                )
            continue
        a, b = ({seed: t.results[name] for seed, t in side.items() if name in t.results} for side in sides)
        if not a or not b:
            raise BadInput(f"result {name!r} is not measured on both sides; leave --result out to see those that are")
        both = sorted(set(a) & set(b))
        seen = _between(a, b, level)
        up = name in set(higher) or higher_is_better(name)
        decided = agreement(everything, name, min(sizes, default=None), models) or {}
        found.append({
            "result": name, "better": "higher" if up else "lower", "pairs": seen.pairs, "method": seen.method,
            "seeds": both if seen.pairs else sorted(set(a) | set(b)),
            "a": float(np.mean(list(a.values()))), "b": float(np.mean(list(b.values()))), "difference": seen.mean,
            "low": _plain(seen.low), "high": _plain(seen.high), "detectable": _plain(seen.detectable),
            "verdict": verdict(seen, up), "decision_accuracy": decided.get("accuracy"), "decisions": decided,
        })  # fmt: skip
    return found


def _sets(trial: Trial) -> list[str]:
    return [name for name in trial.results if name.startswith("loss/") and name != "loss/mean"]


def agreement(
    trials: Sequence[Trial], result: str, size: int | None, models: str | None = None
) -> dict[str, Any] | None:
    """How often runs of a size order two mixes as the largest runs on the same mixes do; None where nobody can tell.

    {"accuracy", "low", "high", "mixes", "pairs", "tied", "size", "against"}: low and high are the extremes over the seeds
    that all mixes were run with; pairs that the large runs do not tell apart (their interval holds zero) are `tied`, left out.
    """
    if size is None:
        return None
    held: dict[int, dict[str, dict[int, float]]] = {}
    for trial in sorted(trials, key=lambda t: t.step):
        if trial.status != "done" or result not in trial.results or not trial.size or trial.size < size:
            continue
        if trial.size == size and models is not None and not fnmatchcase(trial.model, models):
            continue
        held.setdefault(trial.size, {}).setdefault(trial.lock, {})[trial.seed] = trial.results[result]
    for larger in sorted((other for other in held if other > size and size in held), reverse=True):
        locks = sorted(set(held[size]) & set(held[larger]))
        if len(locks) > 1 and (found := _decided([held[size][k] for k in locks], [held[larger][k] for k in locks])):
            return found | {"mixes": len(locks), "size": size, "against": larger}
    return None


def _decided(small: list[dict[int, float]], large: list[dict[int, float]]) -> dict[str, Any] | None:
    pairs, tied = [], 0
    for i, j in combinations(range(len(large)), 2):
        seen = _between(large[i], large[j])
        if seen.mean == 0 or seen.low <= 0 <= seen.high:  # a single large run has no interval: its order is taken
            tied += 1
        else:
            pairs.append((i, j, seen.mean > 0))
    if not pairs:
        return None

    def share(of: list[float]) -> float:
        return float(np.mean([(of[j] - of[i] > 0) == up and of[i] != of[j] for i, j, up in pairs]))

    seeds = sorted(set.intersection(*(set(runs) for runs in small)))
    each = [share([runs[seed] for runs in small]) for seed in seeds]
    whole = share([float(np.mean(list(runs.values()))) for runs in small])
    return {"accuracy": whole, "low": min(each, default=None), "high": max(each, default=None), "pairs": len(pairs),
            "tied": tied}  # fmt: skip


def _between(a: dict[int, float], b: dict[int, float], level: float = 0.95) -> Difference:
    """Paired by seed where three pairs are there, else over all runs."""
    both = sorted(set(a) & set(b))
    if len(both) > 2:
        return paired(np.array([a[s] for s in both]), np.array([b[s] for s in both]), level)
    return unpaired(np.array(list(a.values())), np.array(list(b.values())), level)


def _by_seed(trials: list[Trial]) -> dict[int, Trial]:
    """The last step of each seed; a later record of the same seed and step replaces the earlier."""
    held: dict[int, Trial] = {}
    for trial in trials:
        if trial.status == "done" and (trial.seed not in held or held[trial.seed].step <= trial.step):
            held[trial.seed] = trial
    return held


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def decision_accuracy(small: Sequence[float], large: Sequence[float]) -> float:
    """Share of pairs of mixes that the small runs order as the large runs do; pairs that the large runs tie are left out."""
    pairs = [(i, j) for i, j in combinations(range(len(large)), 2) if large[i] != large[j]]
    if not pairs:
        raise BadInput("decision accuracy compares mixes, and the large runs do not tell any two apart")
    return float(np.mean([(small[i] - small[j]) * (large[i] - large[j]) > 0 for i, j in pairs]))
