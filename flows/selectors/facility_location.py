"""Facility location: rows that every other row finds a similar one among.

f(S) = sum over all rows of their largest similarity to S, similarity max(0, cosine); greedy keeps (1 - 1/e) of the
optimum (Nemhauser, Wolsey and Fisher 1978). Lazy evaluation (Minoux 1978) gives the same order: a stale gain is an
upper bound. Renduchintala et al., "INGENIOUS: Using Informative Data Subsets for Efficient Pre-Training of Language
Models", 2023, arXiv:2305.06677, is this on partitions of the data. Similarities are computed when asked for, in blocks,
so memory grows with the rows and not with their square; the first pass over all pairs is what takes the time.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog.selectors import Budget, Choice, Chosen, selector
from flows.selectors._vectors import matrix

BLOCK = 1024  # rows of a block of similarities
REFRESH = 16  # stale gains recomputed at once, at first


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    vectors: str = Field("embedding", description="column of vectors")
    shards: int = Field(1, ge=1, le=100_000, description="random parts solved apart, each for its share of the budget")


@selector("facility_location", version="1", reads=["{vectors}"], params=Params, citation="arXiv:2305.06677",
          most_rows=2_000_000)  # fmt: skip
def facility_location(rows: pa.Table, budget: Budget, choice: Choice) -> Chosen:
    """Rows that represent all: lazy greedy on facility location over cosine similarity, negative ones counted as 0.

    Time is in proportion to rows squared divided by shards. The order is that of choice, shards taking turns.
    """
    points = matrix(rows, choice.params.vectors)
    shards = min(choice.params.shards, max(1, len(points)))
    part = np.argsort(np.argsort(choice.uniform, kind="stable"), kind="stable") % shards
    orders, gains = [], []
    for number in range(shards):
        members = np.flatnonzero(part == number)
        share = budget.amount * (number + 1) // shards - budget.amount * number // shards
        found, gain = lazy_greedy(points[members], budget.costs[members], share)
        orders.append(members[found])
        gains.append(gain)
    turn = np.concatenate([(np.arange(len(order)) + 0.5) / max(len(order), 1) for order in orders])
    order = np.concatenate(orders)[np.argsort(turn, kind="stable")]
    value = float(sum(gain.sum() for gain in gains))
    return Chosen(order, report={"objective": value, "of all": value / max(len(points), 1), "shards": shards})


def lazy_greedy(points: np.ndarray, costs: np.ndarray, amount: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions in order of choice and the gain of each, of unit vectors; ties go to the lower position."""
    best = np.zeros(len(points), np.float32)
    bound = np.concatenate([np.empty(0), *(_gains(points, best, at) for at in _blocks(len(points)))])
    fresh = np.zeros(len(points), np.int64)  # the number of chosen rows a gain was computed after
    order: list[int] = []
    gains: list[float] = []
    while len(order) < len(points):
        at = _next(points, best, bound, fresh, len(order))
        amount -= int(costs[at])
        if amount < 0:
            break
        order.append(at)
        gains.append(float(bound[at]))
        bound[at] = -np.inf
        np.maximum(best, points @ points[at], out=best)
    return np.array(order, np.int64), np.array(gains)


def _next(points: np.ndarray, best: np.ndarray, bound: np.ndarray, fresh: np.ndarray, step: int) -> int:
    """The row of largest gain: stale gains are recomputed from the largest down, until a fresh one leads."""
    size = REFRESH
    while True:
        at = int(np.argmax(bound))
        if fresh[at] == step:
            return at
        ahead = np.argpartition(-bound, size)[:size] if len(bound) > size else np.arange(len(bound))
        size = min(2 * size, BLOCK)  # where many are stale, larger products are cheaper
        ahead = np.union1d(ahead, at)  # among equal ones it may be left out, and then nothing would move
        stale = ahead[(fresh[ahead] < step) & np.isfinite(bound[ahead])]
        bound[stale] = _gains(points, best, stale)
        fresh[stale] = step


def _blocks(rows: int) -> list[np.ndarray]:
    return [np.arange(start, min(start + BLOCK, rows)) for start in range(0, rows, BLOCK)]


def _gains(points: np.ndarray, best: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """What each candidate would add: sum over rows of max(0, similarity - best so far)."""
    wanted, total = points[candidates], np.zeros(len(candidates))
    for start in range(0, len(points), 8 * BLOCK):
        similar = points[start : start + 8 * BLOCK] @ wanted.T
        similar -= best[start : start + 8 * BLOCK, None]
        np.maximum(similar, 0, out=similar)
        total += similar.sum(axis=0, dtype=np.float64)
    return total
