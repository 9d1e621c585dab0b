"""Quad's cluster bandit: clusters are arms, and the score of a few rows of an arm says whether to draw more from it.

Zhang et al., "Harnessing Diversity for Important Data Selection in Pretraining Large Language Models", 2024,
arXiv:2409.16986: an arm's worth is its mean sampled influence plus alpha sqrt(2 ln(all pulls) / pulls of the arm), so that
clusters of high influence and clusters seldom looked at are both drawn from, and most rows are never scored. Here the
reward is any column; `bandit` takes any function of rows, so that an expensive score can be computed as it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog.selectors import Budget, Choice, Chosen, selector
from flows.selectors._clusters import labels_of


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    by: str = Field(description="column of rewards: influence, or any score")
    order: Literal["best", "highest", "lowest"] = Field("best", description="best: the column's declared direction")
    within: str | None = Field(None, description="stored column of clusters")
    vectors: str | None = Field(None, description="without `within`: column of vectors that k-means reads")
    clusters: int = Field(100, ge=1, le=100_000, description="clusters of k-means")
    alpha: float = Field(1.0, ge=0, le=1e9, description="how much a seldom drawn cluster is preferred; 0: never")
    batch: int = Field(16, ge=1, le=1_000_000, description="rows of a pull")
    threshold: float | None = Field(
        None, description="rows of a pull on the worse side of this reward are not taken; none: all are"
    )


@dataclass(frozen=True)
class Pulls:
    """What a bandit did: rows taken in order, arms in order of pulls, rows looked at, pulls and mean reward of each arm."""

    taken: np.ndarray
    arms: list[int]
    looked: int
    pulls: np.ndarray
    means: np.ndarray


def bandit(
    reward: Callable[[np.ndarray], np.ndarray], members: list[np.ndarray], costs: np.ndarray, amount: int, *,
    alpha: float, batch: int, threshold: float | None = None,
) -> Pulls:  # fmt: skip
    """Pull the arm of largest upper confidence bound until the budget is spent; ties go to the lower arm.

    An arm that was never pulled comes first, an exhausted one no more. members: the rows of each arm, in order of draw.
    """
    pulls, sums, at = np.zeros(len(members), np.int64), np.zeros(len(members)), np.zeros(len(members), np.int64)
    sizes = np.array([len(rows) for rows in members])
    arms: list[int] = []
    taken: list[np.ndarray] = [np.empty(0, np.int64)]
    spent = looked = 0
    while spent < amount and (at < sizes).any():
        with np.errstate(divide="ignore", invalid="ignore"):
            bound = sums / pulls + alpha * np.sqrt(2 * np.log(max(pulls.sum(), 1)) / pulls)
        bound[pulls == 0] = np.inf
        bound[at >= sizes] = -np.inf
        arm = int(np.argmax(bound))
        rows = members[arm][at[arm] : at[arm] + batch]
        found = reward(rows)
        at[arm] += len(rows)
        pulls[arm] += 1
        sums[arm] += found.mean()
        looked += len(rows)
        arms.append(arm)
        kept = rows if threshold is None else rows[found >= threshold]
        taken.append(kept)
        spent += int(costs[kept].sum())
    return Pulls(np.concatenate(taken), arms, looked, pulls, np.divide(sums, pulls, out=np.zeros_like(sums), where=pulls > 0))  # fmt: skip


@selector("quad", version="1", reads=["{by}", "{vectors}", "{within}"], params=Params, citation="arXiv:2409.16986",
          experimental=True, most_rows=5_000_000, libraries=("scikit-learn",))  # fmt: skip
def quad(rows: pa.Table, budget: Budget, choice: Choice) -> Chosen:
    """Rows drawn from clusters by an upper confidence bound on their reward (Quad).

    The report says how few rows were looked at, and how often each cluster was pulled.
    """
    params = choice.params
    names, label = labels_of(rows, choice, params.within, params.vectors, params.clusters)
    values = choice.goodness(rows, params.by, params.order)
    turned = not np.array_equal(values, rows[params.by].to_numpy().astype(np.float64))
    least = None if params.threshold is None else -params.threshold if turned else params.threshold
    shuffled = np.argsort(choice.uniform, kind="stable")
    members = [shuffled[label[shuffled] == number] for number in range(len(names))]
    made = bandit(lambda part: values[part], members, budget.costs, budget.amount, alpha=params.alpha,
                  batch=params.batch, threshold=least)  # fmt: skip
    arms = {name: {"pulls": int(made.pulls[at]), "mean": float(made.means[at])} for at, name in enumerate(names)}
    return Chosen(made.taken, report={"looked at": made.looked, "clusters": arms})
