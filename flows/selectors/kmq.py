"""kMQ: k-means for diversity, and inside each cluster rows drawn by their quality.

Yu, Chen, Ahmadian and Fadaee, "Diversify and Conquer: Diversity-Centric Data Selection with Iterative Refinement", 2024,
arXiv:2409.11378; as in the authors' code a cluster's rows are drawn without replacement with probability in proportion
to exp(quality). Their refinement trains on a round's choice, grades every cluster by what the model then writes, and
multiplies the clusters' weights by the grades: a later round takes these as `weights`, over the same stored clusters.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog.errors import BadInput
from catalog.selectors import Budget, Choice, Chosen, selector
from flows.selectors._clusters import labels_of
from flows.selectors._groups import take_shares


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    by: str = Field(description="column of quality")
    order: Literal["best", "highest", "lowest"] = Field("best", description="best: the column's declared direction")
    within: str | None = Field(None, description="stored column of clusters")
    vectors: str | None = Field(None, description="without `within`: column of vectors that k-means reads")
    clusters: int = Field(64, ge=1, le=100_000, description="clusters of k-means")
    shares: Literal["proportional", "equal"] = Field(
        "proportional", description="share of a cluster: as its size (kMQ), or alike for all, as in the authors' code"
    )
    weights: dict[str, float] = Field(
        default_factory=dict, description='grade of a cluster in the round before, by name, 1 if not given: {"3": 0.5}'
    )


@selector("kmq", version="1", reads=["{by}", "{vectors}", "{within}"], params=Params, citation="arXiv:2409.11378",
          most_rows=5_000_000, libraries=("scikit-learn",))  # fmt: skip
def kmq(rows: pa.Table, budget: Budget, choice: Choice) -> Chosen:
    """Rows drawn by exp(quality) inside each cluster, every cluster with its share of the budget (Diversify and Conquer).

    What a cluster cannot give goes to the others by their shares. The report holds quota and rows of each cluster.
    """
    params = choice.params
    names, label = labels_of(rows, choice, params.within, params.vectors, params.clusters)
    if unknown := set(params.weights) - set(names):
        raise BadInput(f"kmq: there is no cluster {sorted(unknown)[0]!r} to weight; the report of a round names them")
    grade = np.array([params.weights.get(name, 1.0) for name in names])
    if not (np.isfinite(grade).all() and (grade >= 0).all()):
        raise BadInput("kmq: the weight of a cluster is a number from 0 on; mend --param weights")
    size = np.bincount(label, budget.costs, minlength=len(names)) if params.shares == "proportional" else 1.0
    shares = size * grade
    if not shares.sum() > 0:
        raise BadInput("kmq: every cluster has the weight 0, so nothing can be chosen; give one a positive weight")
    drawn = choice.ranked(choice.goodness(rows, params.by, params.order) + choice.gumbel())
    order, facts = take_shares(drawn, label, shares / shares.sum(), budget, spill=True)
    return Chosen(order, report={"clusters": dict(zip(names, facts))})
