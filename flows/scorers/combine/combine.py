"""One score of several: columns made comparable, then a weighted sum.

Scales: z-scores; ranks (the share of rows below); normal scores of ranks; and log sigma(x - reference) of Wang,
Nagpal, Berant, Eisenstein, D'Amour, Koyejo and Veitch, "Transforming and Combining Rewards for Aligning Large Language
Models", 2024, arXiv:2402.00742, whose sum is the log probability that a row is good in every respect, so that one very
good value does not make up for a bad one.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog import states
from catalog.errors import BadInput
from catalog.plugins import Context, Out, Scan, scorer

GRID = 2048  # steps of the stored distribution functions


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    columns: list[str] = Field(default_factory=list, description='columns to combine: ["quality", "ifd"]')
    weights: dict[str, float] = Field(
        default_factory=dict, description="weight by column, 1 if not given; negative where a lower value is better"
    )
    scale: Literal["z", "rank", "normal", "log_sigmoid"] = Field("z", description="how columns are made comparable")
    reference: float = Field(0.5, ge=0, le=1, description="log_sigmoid: quantile of each column that counts as par")


def fit(scan: Scan, ctx: Context) -> dict[str, Any]:
    """Mean, deviation and quantiles of each column, and how the columns correlate."""
    params = ctx.params
    if not params.columns:
        raise BadInput('combine: say which columns: --param columns=\'["quality", "ifd"]\'')
    if unknown := set(params.weights) - set(params.columns):
        raise BadInput(f"combine: there is a weight for {sorted(unknown)[0]!r}, which is not among the columns")
    parts = [_values(batch, params.columns) for batch in scan()]
    values = np.concatenate([np.empty((0, len(params.columns))), *parts])
    values = values[np.isfinite(values).all(axis=1)]
    if not len(values):
        raise BadInput("combine: no row has a number in every column; score them first")
    spread = values.std(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        related = np.corrcoef(values, rowvar=False) if len(values) > 1 else np.ones((1, 1))
    report = {
        "rows": len(values),
        "correlation": np.nan_to_num(np.atleast_2d(related)).round(6).tolist(),
        "constant": [name for name, wide in zip(params.columns, spread) if not wide > 0],
    }
    grid = np.quantile(values, np.linspace(0, 1, GRID + 1), axis=0)
    return {"mean": values.mean(axis=0), "spread": spread, "grid": grid,
            "par": np.quantile(values, params.reference, axis=0), "report": report}  # fmt: skip


@scorer(
    "combine",
    version="1",
    fit=fit,
    fit_on="self",
    reads=[],
    columns=("columns",),
    params=Params,
    cost="cpu",
    citation="arXiv:2402.00742 (log_sigmoid); ours",
    tolerance=1e-9,
    batch_rows=65536,
    writes=[Out("combined", pa.float64(), "weighted sum of comparable columns", "higher")],
)
def combine(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    """A weighted sum of columns on a common scale. A row without a number in one of them is undefined.

    A constant column counts as 0 (z, normal) or 0.5 (rank). Ranks are interpolated between 2,048 quantiles of the fit.
    """
    params, state = ctx.params, ctx.state
    values = _values(batch, params.columns)
    weights = np.array([params.weights.get(name, 1.0) for name in params.columns])
    known = np.isfinite(values).all(axis=1)
    held = values[known]
    if params.scale == "z":
        wide = np.where(state["spread"] > 0, state["spread"], np.inf)
        total = ((held - state["mean"]) / wide) @ weights
    elif params.scale == "log_sigmoid":
        total = -np.logaddexp(0, -np.sign(weights) * (held - state["par"])) @ np.abs(weights)
    else:
        ranks = np.column_stack(
            [np.empty((len(held), 0)), *(rank_in(state["grid"][:, c], held[:, c]) for c in range(held.shape[1]))]
        )
        total = (ranks if params.scale == "rank" else _normal(ranks)) @ weights
    whole = np.zeros(len(values))
    whole[known] = total
    return {
        "combined": pa.array(whole, mask=~known),
        "_state": pa.array(np.where(known, states.VALUE, states.UNDEFINED).astype(np.uint8)),
    }


def rank_in(grid: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Share of the fitted rows below each value, ties half, interpolated between the grid's quantiles."""
    low, high = np.searchsorted(grid, values, side="left"), np.searchsorted(grid, values, side="right")
    last = len(grid) - 1
    between = low == high
    left = np.clip(low - 1, 0, last - 1)
    gap = grid[left + 1] - grid[left]
    inside = np.divide(values - grid[left], gap, out=np.zeros(len(values)), where=gap > 0)
    at = np.where(between, left + np.clip(inside, 0, 1), (low + high - 1) / 2)
    return at / last


def _normal(ranks: np.ndarray) -> np.ndarray:
    from scipy.special import ndtri

    return ndtri(np.clip(ranks, 0.5 / GRID, 1 - 0.5 / GRID))


def _values(batch: pa.RecordBatch, columns: list[str]) -> np.ndarray:
    found = []
    for name in columns:
        column = batch.column(name)
        kind = column.type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
            raise BadInput(f"combine: column {name!r} holds {kind}, not numbers; name another")
        found.append(column.cast(pa.float64()).to_numpy(zero_copy_only=False))
    return np.column_stack(found) if found else np.empty((batch.num_rows, 0))
