"""ODiS: correlated scores turned into scores that have nothing in common.

He et al. 2025, "Learning from the Best, Differently: A Diversity-Driven Rethinking on Data Selection", arXiv:2510.18909:
columns that grade language, knowledge and difficulty are standardised and rotated to their principal components, and the
best rows of each component are taken (selector odis), since the best by a sum of correlated scores are all of one kind.
The authors then train one RoBERTa a component on a graded sample; here `distil` learns each column from a sample.

The end of a component that counts as high is the one to which its columns, turned so that more is better, add up.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog import states
from catalog.errors import BadInput
from catalog.plugins import Context, Out, Scan, scorer
from flows.scorers.combine._principal import moments, principal
from flows.scorers.combine.combine import _values

DIMENSIONS = 4
"""As many as helped in the paper."""


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    columns: list[str] = Field(default_factory=list, description='columns of scores: ["quality", "readability"]')
    lower: list[str] = Field(default_factory=list, description="those of them in which less is better")


def fit(scan: Scan, ctx: Context) -> dict[str, Any]:
    """Means, deviations and the rotation."""
    params = ctx.params
    if not params.columns:
        raise BadInput('odis: say which columns: --param columns=\'["quality", "readability"]\'')
    if unknown := set(params.lower) - set(params.columns):
        raise BadInput(f"odis: {sorted(unknown)[0]!r} is said to be better where lower, but is not among the columns")
    parts = (_turned(batch, params) for batch in scan())
    count, mean, covariance = moments(part[np.isfinite(part).all(axis=1)] for part in parts)
    if not count:
        raise BadInput("odis: no row has a number in every column; score them first")
    scale, rotation, variance = rotated(covariance)
    if not len(variance):
        raise BadInput("odis: every column is constant over the rows, so there is nothing to tell apart; name others")
    report = {
        "rows": count,
        "explained": (variance / (scale > 0).sum()).round(6).tolist(),
        "weights": [dict(zip(params.columns, map(float, column.round(6)))) for column in rotation.T],
    }
    return {"mean": mean, "scale": scale, "rotation": rotation, "report": report}


def rotated(covariance: np.ndarray, most: int = DIMENSIONS) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Deviation of each column (zero: constant), the components of their correlation, and the variances of these."""
    if not np.isfinite(covariance).all():
        raise BadInput("odis: a column holds values whose squares overflow; put it on another scale or leave it out")
    scale = np.sqrt(np.maximum(np.diag(covariance), 0))
    scale = np.where(scale > 1e-12 * max(scale.max(initial=0), 1e-300), scale, 0)
    weight = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
    rotation, variance = principal(covariance * weight[:, None] * weight[None, :], most)
    return scale, rotation, variance


@scorer(
    "odis",
    version="1",
    fit=fit,
    fit_on="self",
    reads=[],
    columns=("columns",),
    params=Params,
    cost="cpu",
    citation="arXiv:2510.18909",
    tolerance=1e-8,
    batch_rows=65536,
    writes=[
        Out(f"odis_{number}", pa.float64(), f"score on principal component {number} of the columns", "higher")
        for number in range(1, DIMENSIONS + 1)
    ],
)
def odis(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    """Scores on the principal components of the columns. Components beyond the number of columns are constant zero.

    A row without a number in one of the columns is undefined.
    """
    values = _turned(batch, ctx.params)
    known = np.isfinite(values).all(axis=1)
    scale, rotation = np.asarray(ctx.state["scale"]), np.asarray(ctx.state["rotation"])
    made = np.zeros((len(values), DIMENSIONS))
    centred = values[known] - np.asarray(ctx.state["mean"])
    made[known, : rotation.shape[1]] = np.divide(centred, scale, out=np.zeros_like(centred), where=scale > 0) @ rotation
    columns = {f"odis_{i + 1}": pa.array(made[:, i], mask=~known) for i in range(DIMENSIONS)}
    return {**columns, "_state": pa.array(np.where(known, states.VALUE, states.UNDEFINED).astype(np.uint8))}


def _turned(batch: pa.RecordBatch, params: Params) -> np.ndarray:
    """The columns, more being better."""
    return _values(batch, params.columns) * np.array([-1.0 if name in params.lower else 1.0 for name in params.columns])
