"""Quotas: shares of the budget by source, language, cluster or tag, with what is short said out loud.

The plan behind balanced and tag-quota mixes: filter with --where (quality, difficulty), then give each tag its share.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog.errors import BadInput
from catalog.selectors import Budget, Choice, Chosen, selector
from flows.selectors._groups import groups_of, take_shares


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    within: str = Field(description="column whose values are the groups; a missing value is the group 'unknown'")
    shares: dict[str, float] | Literal["proportional", "equal"] = Field(
        "proportional", description='proportional, equal, or {"en": 3, "de": 1}: relative shares, others get none'
    )
    by: str | None = Field(None, description="column to rank by inside a group; none: random rows")
    order: Literal["best", "highest", "lowest"] = Field("best", description="best: the column's declared direction")
    spill: bool = Field(False, description="give what a group lacks to the others by their shares")


@selector("stratified", version="1", reads=["{within}", "{by}"], params=Params, citation="ours; Neyman 1934")
def stratified(rows: pa.Table, budget: Budget, choice: Choice) -> Chosen:
    """Shares of the budget by group, the best (or random) rows inside each; the report names every shortfall.

    Proportional shares count the budget's unit. Without `spill` a group that is too small leaves its share unspent.
    """
    params = choice.params
    names, group = groups_of(rows[params.within])
    weights = _weights(params.shares, names, np.bincount(group, budget.costs, minlength=len(names)))
    goodness = choice.goodness(rows, params.by, params.order) if params.by else -choice.uniform
    shares, absent = weights[: len(names)], weights[len(names) :]
    total = weights.sum()
    if total <= 0:
        raise BadInput(f"stratified: no group of {params.within!r} has a share; give positive shares")
    order, facts = take_shares(choice.ranked(goodness), group, shares / total, budget, spill=params.spill)
    report = dict(zip(names, facts))
    if isinstance(params.shares, dict):
        missing = [name for name in params.shares if name not in names]
        for name, share in zip(missing, absent):
            quota = int(budget.amount * share / total)
            report[name] = {"quota": quota, "given": 0, "short": quota}
    short = sum(fact["short"] for fact in report.values())
    return Chosen(order, report={"groups": report, "short": short})


def _weights(shares: dict[str, float] | str, names: list[str], sizes: np.ndarray) -> np.ndarray:
    """Relative weight of each group, then of each group that was asked for and is not there."""
    if shares == "proportional":
        return sizes.astype(np.float64)
    if shares == "equal":
        return np.ones(len(names))
    assert isinstance(shares, dict)
    if any(not share >= 0 or share == float("inf") for share in shares.values()):
        raise BadInput("stratified: a share is a number from 0 on; mend --param shares")
    absent = [share for name, share in shares.items() if name not in names]
    return np.array([*(shares.get(name, 0.0) for name in names), *absent], np.float64)
