"""Sparse features of stored vectors: which latents of a top-k autoencoder a row switches on.

The diversity measure of Yang et al. 2025, "Diversity-driven Data Selection for Language Model Tuning through Sparse
Autoencoder", arXiv:2502.14050: a row is the set of its active features, and a selection is diverse when it covers many
(selector sae_greed). They train 131,072 latents on the hidden states of all tokens of a language model and call a feature
active in a row when it fires at any token; here the autoencoder (Gao et al. 2024, arXiv:2406.04093) is trained on one
vector a row, that of the column `vectors`, so that features are of whole rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field

from catalog import states
from catalog.errors import BadInput
from catalog.plugins import Context, Out, Scan, scorer
from flows.scorers.embedding._autoencoder import decode, encode, train
from flows.scorers.embedding._vectors import sample_vectors, unit_vectors
from flows.scorers.embedding.minilm import VectorParams

ACTIVE = 16
_BLOCK = 1024


class Params(VectorParams):
    latents: int = Field(1024, ge=1, le=131_072, description="features to learn")
    active: int = Field(ACTIVE, ge=1, le=1024, description="features a row may have at most: the width of the column")
    threshold: float = Field(
        0.0, ge=0, le=1000, description="activation above which a feature counts; 0: the largest `active`"
    )
    sample: int = Field(50_000, ge=1, le=5_000_000, description="rows to train on at most")
    epochs: int = Field(30, ge=1, le=10_000, description="passes over them")
    batch: int = Field(256, ge=1, le=65_536, description="rows a step")
    rate: float = Field(1e-3, gt=0, le=1, description="step size of Adam")


def fit(scan: Scan, ctx: Context) -> dict[str, Any]:
    """A trained autoencoder, how well it reconstructs, and how many features are in use."""
    params = ctx.params
    points, seen = sample_vectors(scan, params.sample, ctx.seed)
    if not len(points):
        raise BadInput("sae_features: no row has a vector, so there is nothing to learn; score rows that have text")
    held = points.astype(np.float64)
    mean = held.mean(axis=0)
    scale = float(np.sqrt(((held - mean) ** 2).mean()))
    if not scale > 1e-9:
        raise BadInput("sae_features: all rows have the same vector, so there are no features; score rows that differ")
    held = (held - mean) / scale
    active = min(params.active, params.latents)
    state = train(held, params.latents, active, params.epochs, params.batch, params.rate, ctx.seed % 2**63)
    used, error = np.zeros(params.latents, bool), 0.0
    for start in range(0, len(held), _BLOCK):
        part = held[start : start + _BLOCK]
        at, values = encode(state, part, active)
        used[at[values > params.threshold]] = True
        error += float(((decode(state, at, values) - part) ** 2).sum())
    report = {"rows": seen, "trained_on": len(held), "unexplained": error / held.size, "features_used": int(used.sum())}
    return {**state, "mean": mean, "scale": scale, "report": report}


def widths(params: Params) -> dict[str, int]:
    return {"sae_features": params.active}


@scorer(
    "sae_features",
    version="1",
    reads=["embedding"],
    swaps={"embedding": "vectors"},
    fit=fit,
    fit_on="self",
    params=Params,
    widths=widths,
    cost="cpu",
    stage="L2",
    citation="arXiv:2502.14050; autoencoder: arXiv:2406.04093",
    libraries=("torch",),
    batch_rows=_BLOCK,
    tolerance=1e-5,
    writes=[
        Out("sae_features", pa.list_(pa.int32(), ACTIVE), "numbers of the active features, rising, then -1",
            range=(-1, None)),
        Out("sae_count", pa.int32(), "how many are active", range=(0, None)),
        Out("sae_rest", pa.float32(), "squared error of the reconstruction over the squared distance to the mean",
            range=(0, None)),
    ],
)  # fmt: skip
def sae_features(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    points, rows = unit_vectors(batch)
    state, params, total = ctx.state, ctx.params, batch.num_rows
    missing = np.ones(total, bool)
    missing[rows] = False
    listed = np.full((total, params.active), -1, np.int32)
    count, rest = np.zeros(total, np.int32), np.zeros(total)
    if len(rows):
        held = (points.astype(np.float64) - np.asarray(state["mean"])) / state["scale"]
        at, values = encode(state, held, min(params.active, params.latents))
        kept = values > params.threshold
        own = (held**2).sum(axis=1)
        left = ((decode(state, at, values) - held) ** 2).sum(axis=1)
        rest[rows] = np.divide(left, own, out=np.zeros(len(own)), where=own > 1e-12)
        count[rows] = kept.sum(axis=1)
        rising = np.sort(np.where(kept, at, params.latents), axis=1)
        listed[rows, : at.shape[1]] = np.where(rising < params.latents, rising, -1)
    return {
        "sae_features": pa.FixedSizeListArray.from_arrays(
            pa.array(listed.ravel()), params.active, mask=pa.array(missing)
        ),
        "sae_count": pa.array(count, mask=missing),
        "sae_rest": pa.array(rest, mask=missing).cast(pa.float32()),
        "_state": pa.array(np.where(missing, states.UNDEFINED, states.VALUE).astype(np.uint8)),
    }
