"""Pareto fronts: rows that no other row beats in every respect, then those that only the first front beats, and so on.

Fronts as in NSGA-II (Deb, Pratap, Agarwal and Meyarivan 2002), found by efficient non-dominated sort with binary search
(Zhang, Tian, Cheng and Jin 2015): rows go in lexicographic order, and each joins the first front without a row that
dominates it. No weights are needed, and no very good value makes up for a bad one.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog import states
from catalog.errors import BadInput
from catalog.plugins import Context, Out, Scan, scorer
from flows.scorers.combine.combine import _values

MOST = 500_000
"""Distinct rows of values: they are held in memory, and time grows faster than they do."""


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    columns: list[str] = Field(default_factory=list, description='columns to compare rows by: ["quality", "ifd"]')
    lower: list[str] = Field(default_factory=list, description="those of them in which less is better")


@scorer(
    "pareto",
    version="1",
    pattern="global",
    most_rows=1_000_000,
    reads=[],
    columns=("columns",),
    params=Params,
    cost="cpu",
    citation="Deb et al. 2002 (NSGA-II); Zhang et al. 2015",
    writes=[
        Out("pareto_front", pa.int32(), "front of the row, 0: no row beats it in every column", "lower", (0, None))
    ],
)
def pareto(scan: Scan, ctx: Context) -> dict[str, pa.Array]:
    """Front of each row among all, by several columns at once. A row without a number in one of them is undefined.

    One row dominates another where it is no worse in every column and better in one; equal rows share a front.
    """
    params = ctx.params
    if not params.columns:
        raise BadInput('pareto: say which columns: --param columns=\'["quality", "ifd"]\'')
    if unknown := set(params.lower) - set(params.columns):
        raise BadInput(f"pareto: {sorted(unknown)[0]!r} is said to be better where lower, but is not among the columns")
    parts = [_values(batch, params.columns) for batch in scan()]
    values = np.concatenate([np.empty((0, len(params.columns))), *parts])
    known = np.isfinite(values).all(axis=1)
    sign = np.array([-1.0 if name in params.lower else 1.0 for name in params.columns])
    found = np.zeros(len(values), np.int32)
    found[known] = fronts(values[known] * sign)
    return {
        "pareto_front": pa.array(found, mask=~known),
        "_state": pa.array(np.where(known, states.VALUE, states.UNDEFINED).astype(np.uint8)),
    }


def fronts(values: np.ndarray) -> np.ndarray:
    """Front of each row, 0 the best; more is better in every column."""
    if not len(values):
        return np.zeros(0, np.int32)
    distinct, where = np.unique(-values, axis=0, return_inverse=True)  # best first, by column after column
    if len(distinct) > MOST:
        raise BadInput(f"pareto holds up to {MOST:,} different rows of values, not {len(distinct):,}: use --sample")
    return (_by_two(distinct) if distinct.shape[1] <= 2 else _by_search(distinct))[where.ravel()]


def _by_two(costs: np.ndarray) -> np.ndarray:
    """Two columns: a front's last row has its least second cost, so that alone decides; the fronts stay sorted."""
    from bisect import bisect_right

    least: list[float] = []  # of the second cost in each front, ascending
    found = np.zeros(len(costs), np.int32)
    for at, cost in enumerate(costs[:, -1].tolist()):
        front = bisect_right(least, cost)
        found[at] = front
        least[front : front + 1] = [cost]
    return found


def _by_search(costs: np.ndarray) -> np.ndarray:
    """Any number of columns: binary search for the first front whose rows all fail to dominate."""
    held: list[np.ndarray] = []  # the other columns of each front's rows, with room to grow
    sizes: list[int] = []
    found = np.zeros(len(costs), np.int32)
    rest = costs[:, 1:]  # earlier rows are no worse in the first column
    for at, row in enumerate(rest):
        low, high = 0, len(held)
        while low < high:
            middle = (low + high) // 2
            if (held[middle][: sizes[middle]] <= row).all(axis=1).any():
                low = middle + 1
            else:
                high = middle
        if low == len(held):
            held.append(np.empty((4, rest.shape[1])))
            sizes.append(0)
        elif sizes[low] == len(held[low]):
            held[low] = np.concatenate([held[low], np.empty_like(held[low])])
        held[low][sizes[low]] = row
        sizes[low] += 1
        found[at] = low
    return found
