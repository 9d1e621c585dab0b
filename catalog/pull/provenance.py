"""Was a model made from our training run? A test of the order in which it was served.

Models remember what they saw late better than what they saw early. So the log-likelihood that a suspect model gives to
training samples correlates with the recorded order if it descends from the run, and cannot if it does not: the order was
shuffled by a key that the suspect's maker does not have (R. Kuditipudi, J. Huang, S. Zhu, D. Yang, C. Potts and P. Liang,
"Blackbox Model Provenance via Palimpsestic Membership Inference", 2025: the query setting, Equation 2 with a reference
model, and the permutation p-value of Algorithm 1).

Statistic: Spearman's correlation. Under the null hypothesis the order within a group is a random permutation; a group is
an epoch of a part, because which part is served when is no accident. The p-value permutes within groups: all
permutations where they are few, else `permutations` of them, which is exact too, else (permutations=0) by the normal law
with the permutation distribution's own mean and variance, which reaches p-values that no sampling can.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations as every
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from catalog.errors import BadInput
from catalog.statistics import ranks

if TYPE_CHECKING:
    from catalog.pull.reader import MixReader

ENUMERATED = 50_000
"""Permutations that are all tried."""


@dataclass(frozen=True)
class Provenance:
    """correlation: Spearman's, over all samples. p: of a correlation this high or higher, where there is no descent."""

    correlation: float
    p: float
    samples: int
    method: str  # every, sampled, normal


def palimpsest(
    order: Sequence[float] | np.ndarray,
    likelihood: Sequence[float] | np.ndarray,
    reference: Sequence[float] | np.ndarray | None = None,
    *,
    groups: Sequence[int] | np.ndarray | None = None,
    permutations: int = 9_999,
    seed: int = 0,
) -> Provenance:
    """Test whether a model's log-likelihoods rise with the order in which samples were trained on.

    order: step or index of each sample. likelihood: the suspect's. reference: that of a model known not to descend from
    the run, which takes away how hard a sample is. groups: samples whose order is exchangeable with each other.
    """
    time, value = np.asarray(order, np.float64), np.asarray(likelihood, np.float64)
    if reference is not None:
        value = value - np.asarray(reference, np.float64)
    group = np.zeros(len(time), np.int64) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    if not len(time) == len(value) == len(group):
        raise BadInput(f"{len(time)} places, {len(value)} likelihoods and {len(group)} groups: give one a sample")
    if not (np.isfinite(time).all() and np.isfinite(value).all()):
        raise BadInput("a place or likelihood is not finite; leave such samples out")
    a, b = ranks(time), ranks(value)
    a, b = a - a.mean(), b - b.mean()
    scale = math.sqrt(float(a @ a) * float(b @ b))
    members = [np.flatnonzero(group == number) for number in range(int(group.max()) + 1 if len(group) else 0)]
    if scale == 0 or all(len(mine) < 2 for mine in members):
        raise BadInput(
            "the places or the likelihoods of all samples are equal, so nothing can be tested; give more samples"
        )
    found = float(a @ b)
    ways = math.prod(math.factorial(min(len(mine), 20)) for mine in members)
    if permutations and ways <= ENUMERATED:
        p, method = _all(a, b, members, found), "every"
    elif permutations:
        p, method = _sampled(a, b, members, found, permutations, seed), "sampled"
    else:
        p, method = _normal(a, b, members, found), "normal"
    return Provenance(found / scale, p, len(time), method)


def _at_least(values: np.ndarray, found: float) -> int:
    """How many reach the statistic, with room for rounding."""
    return int((values >= found - 1e-9 * max(1.0, abs(found))).sum())


def _all(a: np.ndarray, b: np.ndarray, members: list[np.ndarray], found: float) -> float:
    per_group = [np.array([a[mine][list(way)] @ b[mine] for way in every(range(len(mine)))]) for mine in members]
    totals = np.array([sum(chosen) for chosen in product(*per_group)])
    return _at_least(totals, found) / len(totals)


def _sampled(a: np.ndarray, b: np.ndarray, members: list[np.ndarray], found: float, count: int, seed: int) -> float:
    rng, totals = np.random.default_rng(seed), np.zeros(count)
    for number in range(count):
        for mine in members:
            totals[number] += a[mine][rng.permutation(len(mine))] @ b[mine]
    return (1 + _at_least(totals, found)) / (1 + count)


def _normal(a: np.ndarray, b: np.ndarray, members: list[np.ndarray], found: float) -> float:
    mean = variance = 0.0
    for mine in members:
        x, y = a[mine], b[mine]
        mean += len(mine) * x.mean() * y.mean()
        if len(mine) > 1:
            variance += float(((x - x.mean()) ** 2).sum() * ((y - y.mean()) ** 2).sum()) / (len(mine) - 1)
    if variance == 0:
        raise BadInput("no group has samples of different place and likelihood; give more samples of each part")
    return 0.5 * math.erfc((found - mean) / math.sqrt(2 * variance))


def order_test(
    reader: MixReader,
    indices: Sequence[int] | np.ndarray,
    likelihood: Sequence[float] | np.ndarray,
    reference: Sequence[float] | np.ndarray | None = None,
    *,
    permutations: int = 9_999,
    seed: int = 0,
) -> Provenance:
    """`palimpsest` for samples of a mix, by their global indices; parts and their epochs are the groups.

    Only full shuffles are exchangeable: a mix in table order, by blocks or sorted is refused.
    """
    at = np.asarray(indices, np.int64)
    shuffle = "sorted" if getattr(reader.layout, "stored", None) else reader.layout.shuffle
    if shuffle != "full":
        raise BadInput(f"{reader.ref} is not fully shuffled (order {shuffle}), so its order proves nothing")
    found = reader.layout.locate(at)
    groups = np.unique(np.stack([found.part, found.epoch]), axis=1, return_inverse=True)[1].reshape(-1)
    return palimpsest(at, likelihood, reference, groups=groups, permutations=permutations, seed=seed)
