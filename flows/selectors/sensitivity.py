"""Sensitivity sampling on clusters: a weighted sample whose mean loss is that of the whole, from few known losses.

Axiotis, Cohen-Addad, Henzinger, Jerome, Mirrokni, Saulpic, Woodruff and Wunder, "Data-Efficient Learning via
Clustering-Based Sensitivity Sampling", 2024, arXiv:2402.17327: k-means on the vectors; the loss is needed only at the
row nearest to each centre; every row's chance is in proportion to (loss of its centre + scale * distance^2); draws are
independent, with replacement, and a drawn row weighs 1 / (draws * chance) each time.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog.errors import BadInput
from catalog.selectors import Budget, Choice, Chosen, selector
from flows.selectors._clusters import kmeans
from flows.selectors._vectors import matrix


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    by: str = Field(description="column of the loss, read at the rows nearest to the centres")
    vectors: str = Field("embedding", description="column of vectors")
    clusters: int = Field(100, ge=1, le=100_000, description="centres, as many losses are used")
    scale: float = Field(1.0, ge=0, le=1e9, description="how much the loss may change over a squared distance (lambda)")


@selector("sensitivity", version="2", reads=["{by}", "{vectors}"], params=Params, citation="arXiv:2402.17327",
          experimental=True, most_rows=5_000_000, libraries=("scikit-learn",))  # fmt: skip
def sensitivity(rows: pa.Table, budget: Budget, choice: Choice) -> Chosen:
    """A sample with weights by k-means and sensitivities; the weighted sum of losses is unbiased.

    The budget counts draws; a row drawn twice is one row of twice the weight, so fewer rows than draws come back.
    """
    params = choice.params
    if budget.unit == "tokens":
        raise BadInput(
            "sensitivity draws so many samples, with replacement; its budget has no unit tokens: use samples"
        )
    loss = rows[params.by].to_numpy().astype(np.float64)
    if len(loss) and loss.min() < 0:
        raise BadInput(f"sensitivity: {params.by!r} has values below 0, which a loss has not; name another column")
    centre_loss, distance = proxies(matrix(rows, params.vectors), loss, params.clusters, choice.seed, choice.ids)
    size = centre_loss + params.scale * distance
    chance = size / size.sum() if size.sum() > 0 else np.full(len(size), 1 / len(size))
    rng, by_id = choice.rng(), np.argsort(choice.ids, kind="stable")
    counts = np.zeros(len(chance), np.int64)
    counts[by_id] = rng.multinomial(budget.amount, chance[by_id])
    order = np.flatnonzero(counts)
    order = order[np.argsort(choice.uniform[order], kind="stable")]
    weights = counts[order] / (budget.amount * chance[order])
    return Chosen(order, weights, {"draws": budget.amount, "losses used": int(min(params.clusters, len(loss)))})


def proxies(
    points: np.ndarray, loss: np.ndarray, clusters: int, seed: int, ids: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """For each row the loss at its cluster's centre and the squared distance to it."""
    label, centres = kmeans(points, np.arange(len(points)) if ids is None else ids, clusters, seed)
    distance = ((points - centres[label]) ** 2).sum(axis=1).astype(np.float64)
    order = np.lexsort((distance, label))
    first = order[np.searchsorted(label[order], np.arange(len(centres)))]
    return loss[np.minimum(first, len(loss) - 1)][label], distance
