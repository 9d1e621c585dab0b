"""QuaDMix's sampling function: how often a row is used, from its quality rank and its domain.

Liu et al., "QuaDMix: Quality-Diversity Balanced Data Selection for Efficient LLM Pretraining", 2025, arXiv:2504.16511,
equation 3: S(r) = (2 / (1 + exp(-lambda (omega - r))))^eta + epsilon for r <= omega, else epsilon, where r in [0, 1] is
the quality rank inside the domain, 0 the best. Several quality columns are merged first, equation 1: a sum of weights times
scores on one scale, here their ranks among the candidates; a domain may weigh them in its own way. The search for the
parameters (proxy runs) is the mixer of the same name.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog.selectors import Budget, Choice, Chosen, selector
from flows.selectors._groups import groups_of


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    by: str | list[str] = Field(description='column of quality, or several that are merged: ["quality", "ifd"]')
    merge: dict[str, float] = Field(default_factory=dict, description="alpha: weight of each column, 1 if not given")
    order: Literal["best", "highest", "lowest"] = Field("best", description="best: the column's declared direction")
    within: str | None = Field(None, description="column of domains; none: one domain")
    steepness: float = Field(100.0, ge=0, le=1e6, description="lambda: how sharp the fall towards omega is")
    omega: float = Field(0.1, ge=0, le=1, description="rank up to which quality raises the rate")
    eta: float = Field(1.0, ge=0, le=100, description="exponent of the sigmoid")
    epsilon: float = Field(0.001, ge=0, le=1, description="rate of every row")
    domains: dict[str, dict[str, float | dict[str, float]]] = Field(
        default_factory=dict, description='other values for some domains: {"code": {"omega": 0.3, "merge": {"ifd": 2}}}'
    )


def rate(rank: np.ndarray, steepness: float, omega: float, eta: float, epsilon: float) -> np.ndarray:
    """Expected copies of rows at quality ranks."""
    bend = 2 / (1 + np.exp(np.clip(-steepness * (omega - rank), -700, 700)))
    return np.where(rank <= omega, bend**eta, 0.0) + epsilon


@selector("quadmix", version="2", reads=["{by}", "{within}"], params=Params, citation="arXiv:2504.16511",
          experimental=True)  # fmt: skip
def quadmix(rows: pa.Table, budget: Budget, choice: Choice) -> Chosen:
    """Rows and copies by QuaDMix's sampling function; a rate of 1.3 is one copy, and a second with probability 0.3.

    Rows come in random order until the budget is full; the weight of a row is the number of its copies.
    """
    params = choice.params
    names_of = [params.by] if isinstance(params.by, str) else params.by
    scores = np.column_stack([choice.goodness(rows, name, params.order) for name in names_of])
    if len(names_of) > 1:
        scores = np.column_stack([_shares_below(column) for column in scores.T])
    names, group = groups_of(rows[params.within]) if params.within else (["all"], np.zeros(rows.num_rows, np.int64))
    rates = np.zeros(rows.num_rows)
    for number, name in enumerate(names):
        members = np.flatnonzero(group == number)
        own = _own(params, name)
        goodness = scores @ _weights(names_of, {**params.merge, **own.pop("merge", {})})
        ranked = members[np.lexsort((choice.ids[members], -goodness[members]))]
        rank = np.empty(len(members))
        rank[:] = np.arange(len(members)) / max(len(members) - 1, 1)
        shape = {key: getattr(params, key) for key in ("steepness", "omega", "eta", "epsilon")}
        rates[ranked] = rate(rank, **{**shape, **own})
    copies = np.floor(rates).astype(np.int64) + (choice.draws(1) < rates % 1)
    order = np.argsort(choice.uniform, kind="stable")
    order = order[copies[order] > 0]
    fits = np.searchsorted(np.cumsum(copies[order] * budget.costs[order]), budget.amount, side="right")
    order = order[:fits]
    return Chosen(order, copies[order], {"expected copies": float(rates.sum()), "copies": int(copies[order].sum())})


def _shares_below(values: np.ndarray) -> np.ndarray:
    """The share of rows below each value, ties half."""
    ordered = np.sort(values)
    below, upto = np.searchsorted(ordered, values, side="left"), np.searchsorted(ordered, values, side="right")
    return (below + upto - 1) / 2 / max(len(values), 1)


def _weights(names: list[str], given: dict[str, float]) -> np.ndarray:
    from catalog.errors import BadInput

    if unknown := set(given) - set(names):
        raise BadInput(f"quadmix: there is a weight for {sorted(unknown)[0]!r}, which by does not name")
    found = np.array([given.get(name, 1.0) for name in names])
    if not np.isfinite(found).all() or (found < 0).any() or not found.sum() > 0:
        raise BadInput("quadmix: weights of quality columns are not negative, and one is above 0; mend merge")
    return found


def _own(params: Params, name: str) -> dict[str, Any]:
    """What a domain sets for itself."""
    from catalog.errors import BadInput

    found = dict(params.domains.get(name, {}))
    if unknown := set(found) - {"steepness", "omega", "eta", "epsilon", "merge"}:
        raise BadInput(
            f"quadmix: domain {name!r} sets {sorted(unknown)[0]!r}; it may set steepness, omega, eta, epsilon, merge"
        )
    return found
