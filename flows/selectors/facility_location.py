"""Facility location: rows that every other row finds a similar one among.

f(S) = sum over all rows of their largest similarity to S, similarity max(0, cosine); greedy keeps (1 - 1/e) of the
optimum (Nemhauser, Wolsey and Fisher 1978). Lazy evaluation (Minoux 1978) gives the same order: a stale gain is an
upper bound. A part of up to 20,000 rows holds its similarities (1.6 GB at most); a larger one computes them when asked
for, in blocks, the first pass over half of all pairs, since similarity is symmetric.

Renduchintala et al., "INGENIOUS: Using Informative Data Subsets for Efficient Pre-Training of Language Models", 2023,
arXiv:2305.06677, is this on random parts of the data, each with its share of the budget, put together.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog.selectors import Budget, Choice, Chosen, selector
from flows.selectors._vectors import matrix

EXACT = 20_000  # rows whose similarities are held, which a part has at most unless asked otherwise
BLOCK = 1024  # rows of a block of similarities
WIDE = 4096  # columns of one
REFRESH = 16  # stale gains recomputed at once, at first


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    vectors: str = Field("embedding", description="column of vectors")
    shards: int | None = Field(
        None, ge=1, le=100_000,
        description="random parts solved apart, each for its share of the budget; 1: exact; "
        f"none: as few as keep a part at {EXACT:,} rows",
    )  # fmt: skip


@selector("facility_location", version="2", reads=["{vectors}"], params=Params, citation="arXiv:2305.06677",
          most_rows=2_000_000)  # fmt: skip
def facility_location(rows: pa.Table, budget: Budget, choice: Choice) -> Chosen:
    """Rows that represent all: lazy greedy on facility location over cosine similarity, negative ones counted as 0.

    Time is in proportion to rows squared divided by shards. The order is that of choice, shards taking turns.
    """
    points = matrix(rows, choice.params.vectors)
    shards = choice.params.shards or -(-len(points) // EXACT)
    shards = max(1, min(shards, len(points)))
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
    held, bound = _similarities(points) if len(points) <= EXACT else (None, _first_gains(points))
    best = np.zeros(len(points), np.float32)
    fresh = np.zeros(len(points), np.int64)  # the number of chosen rows a gain was computed after
    order: list[int] = []
    gains: list[float] = []
    while len(order) < len(points):
        step = len(order)
        at = _next(points, best, bound, fresh, step) if held is None else _next_held(held, best, bound, fresh, step)
        amount -= int(costs[at])
        if amount < 0:
            break
        order.append(at)
        gains.append(float(bound[at]))
        bound[at] = -np.inf
        np.maximum(best, points @ points[at] if held is None else held[at], out=best)
    return np.array(order, np.int64), np.array(gains)


def _next_held(held: np.ndarray, best: np.ndarray, bound: np.ndarray, fresh: np.ndarray, step: int) -> int:
    """The row of largest gain where all similarities are held: a stale leader is recomputed, one at a time."""
    more = np.empty_like(best)
    while True:
        at = int(np.argmax(bound))
        if fresh[at] == step:
            return at
        np.subtract(held[at], best, out=more)
        bound[at] = np.maximum(more, 0, out=more).sum()
        fresh[at] = step


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


def _gains(points: np.ndarray, best: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """What each candidate would add: sum over rows of max(0, similarity - best so far)."""
    wanted, total = points[candidates], np.zeros(len(candidates))
    for start in range(0, len(points), WIDE):
        similar = wanted @ points[start : start + WIDE].T
        similar -= best[start : start + WIDE]
        total += np.maximum(similar, 0, out=similar).sum(axis=1)
    return total


def _similarities(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All similarities, negative ones as 0, and the sum of each row's."""
    held, total = np.empty((len(points), len(points)), np.float32), np.empty(len(points))
    for start in range(0, len(points), BLOCK):
        block = held[start : start + BLOCK]
        np.matmul(points[start : start + BLOCK], points.T, out=block)
        total[start : start + BLOCK] = np.maximum(block, 0, out=block).sum(axis=1)
    return held, total


def _first_gains(points: np.ndarray) -> np.ndarray:
    """The sum of each row's positive similarities; each pair of blocks is multiplied once and serves both."""
    total = np.zeros(len(points))
    for start in range(0, len(points), BLOCK):
        tall = points[start : start + BLOCK]
        for across in range(start, len(points), WIDE):
            similar = tall @ points[across : across + WIDE].T
            np.maximum(similar, 0, out=similar)
            total[start : start + BLOCK] += similar.sum(axis=1)
            beyond = max(0, start + BLOCK - across)  # columns of the block's own rows were counted above
            total[across + beyond : across + WIDE] += np.ones(len(tall), np.float32) @ similar[:, beyond:]
    return total
