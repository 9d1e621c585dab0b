"""Shares of a budget by group: names, quotas and what a group cannot give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog.selectors import Budget

UNKNOWN = "unknown"


def groups_of(column: pa.ChunkedArray) -> tuple[list[str], np.ndarray]:
    """Names of the groups, sorted, and each row's group; a missing name is "unknown"."""
    text = pc.fill_null(pc.cast(column, pa.string()), UNKNOWN).combine_chunks()
    names = sorted(text.unique().to_pylist())
    return names, pc.index_in(text, value_set=pa.array(names, pa.string())).to_numpy().astype(np.int64)


def quotas(shares: np.ndarray, budget: Budget) -> np.ndarray:
    """Shares of the budget in its unit; samples are whole, by largest remainder."""
    exact = shares * budget.amount
    whole = np.floor(exact + 1e-9)
    if budget.unit == "tokens":
        return whole
    left = round(float(exact.sum() - whole.sum()))
    whole[np.lexsort((np.arange(len(exact)), -(exact - whole)))[:left]] += 1
    return whole


def take_shares(
    order: np.ndarray, group: np.ndarray, shares: np.ndarray, budget: Budget, *, spill: bool = False
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """The first rows of each group, within its quota; interleaved so that every beginning keeps the shares.

    spill: what a group cannot give goes to the groups that have more, by their shares. Returns the order and, for each
    group, its quota, what it gave and how much is short.
    """
    asked = quotas(shares, budget)
    lists = [order[group[order] == number] for number in range(len(shares))]
    sums = [np.cumsum(budget.costs[rows]) for rows in lists]
    held = np.array([total[-1] if len(total) else 0 for total in sums], np.float64)
    limit = filled(asked, held, shares) if spill else asked
    if budget.unit == "samples":
        limit = np.floor(limit + 1e-9)
    taken = [rows[: np.searchsorted(total, most, side="right")] for rows, total, most in zip(lists, sums, limit)]
    place = [(np.arange(len(rows)) + 0.5) / max(len(rows), 1) for rows in taken]
    kept = np.concatenate([np.empty(0, np.int64), *taken])
    facts = []
    for number, rows in enumerate(taken):
        gave = int(budget.costs[rows].sum())
        facts.append({"quota": int(asked[number]), "given": gave, "short": max(0, int(asked[number]) - gave)})
    return kept[np.argsort(np.concatenate([np.empty(0), *place]), kind="stable")], facts


def filled(asked: np.ndarray, held: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Water filling: each group gets its share of what the exhausted groups leave, up to what it holds."""
    limit = np.minimum(asked, held)
    while (left := asked.sum() - limit.sum()) >= 1:
        open_ = (held - limit >= 1) & (shares > 0)
        if not open_.any():
            break
        more = np.zeros_like(limit)
        more[open_] = left * shares[open_] / shares[open_].sum()
        if (more < 1).all() or np.floor(more).sum() == 0:  # the last few, one by one, to the largest shares
            more = np.zeros_like(limit)
            more[np.argsort(np.where(open_, -shares, 1), kind="stable")[: int(min(left, open_.sum()))]] = 1
        limit = np.minimum(limit + np.floor(more), held)
    return limit
