"""Coordinates of each row on the orthogonal axes along which a model's own vectors vary.

Kang et al. 2026, "Characterizing Model-Native Skills", arXiv:2604.17614: a compact orthogonal basis of sequence-level
activations, by principal components, is a set of skills that no human taxonomy imposed. Name a column of pooled hidden
states as `vectors`; sentence vectors give axes of meaning. Rows far out on an axis, or a choice that covers all axes
(selectors on the column), follow. Which axes help a given model is found by training on them; that is not done here.

A coordinate counts in standard deviations of the rows the basis was fitted on, so that axes are alike in size.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field

from catalog import states
from catalog.errors import BadInput
from catalog.plugins import Context, Out, Scan, scorer
from flows.scorers.combine._principal import moments, principal
from flows.scorers.embedding._whitened import raw_vectors
from flows.scorers.embedding.minilm import VectorParams

AXES = 16


class Params(VectorParams):
    axes: int = Field(AXES, ge=1, le=4096, description="axes at most: the width of the column")


def fit(scan: Scan, ctx: Context) -> dict[str, Any]:
    """Mean, axes and their standard deviations, from the covariance of all rows."""
    count, mean, covariance = moments(raw_vectors(batch)[0] for batch in scan())
    if not count:
        raise BadInput("native_basis: no row has a vector, so there is no basis; score rows that have text")
    axes, variance = principal(covariance, ctx.params.axes)
    whole = float(np.trace(covariance))
    report = {"rows": count, "axes": len(variance), "explained": (variance / whole).tolist() if whole > 0 else []}
    return {"mean": mean, "axes": axes, "spread": np.sqrt(variance), "report": report}


def widths(params: Params) -> dict[str, int]:
    return {"native_basis": params.axes}


@scorer(
    "native_basis",
    version="1",
    reads=["embedding"],
    swaps={"embedding": "vectors"},
    fit=fit,
    fit_on="self",
    params=Params,
    widths=widths,
    cost="cpu",
    stage="L2",
    citation="arXiv:2604.17614 (the basis)",
    batch_rows=8192,
    tolerance=1e-4,
    writes=[
        Out("native_basis", pa.list_(pa.float32(), AXES), "coordinates on the model's own axes, in deviations"),
        Out("native_axis", pa.int32(), "axis with the largest coordinate, from 1; negative: at its low end"),
        Out(
            "native_rest", pa.float32(), "share of the squared distance to the mean that no axis explains", None, (0, 1)
        ),
    ],
)
def native_basis(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    """Coordinates on principal axes. Where the rows have fewer axes than asked for, the others are zero."""
    points, rows = raw_vectors(batch)
    state, wide = ctx.state, ctx.params.axes
    missing = np.ones(batch.num_rows, bool)
    missing[rows] = False
    made, axis, rest = np.zeros((batch.num_rows, wide)), np.zeros(batch.num_rows, np.int32), np.zeros(batch.num_rows)
    axes = np.asarray(state["axes"])
    if len(rows) and axes.shape[1]:
        centred = points - np.asarray(state["mean"])
        along = centred @ axes
        own = (centred**2).sum(axis=1)
        share = 1 - np.divide((along**2).sum(axis=1), own, out=np.ones(len(own)), where=own > 1e-18)
        rest[rows] = np.clip(share, 0, 1)
        along = along / np.asarray(state["spread"])
        made[rows, : along.shape[1]] = along
        first = np.abs(along.round(9)).argmax(axis=1)
        axis[rows] = (first + 1) * np.where(along[np.arange(len(along)), first] < 0, -1, 1)
    flat = pa.array(made.astype(np.float32).ravel())
    return {
        "native_basis": pa.FixedSizeListArray.from_arrays(flat, wide, mask=pa.array(missing)),
        "native_axis": pa.array(axis, mask=missing),
        "native_rest": pa.array(rest, mask=missing).cast(pa.float32()),
        "_state": pa.array(np.where(missing, states.UNDEFINED, states.VALUE).astype(np.uint8)),
    }
