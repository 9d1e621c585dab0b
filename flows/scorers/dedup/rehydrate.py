"""How often to serve a document, by what filters think of documents with as many duplicates.

Rehydration of FineWeb2 (Penedo et al. 2025, arXiv:2506.20920; the procedure as its repository states it,
huggingface/fineweb-2, misc/rehydration). Deduplication keeps one document a cluster. For each cluster size the share of
these that the quality filters remove is a measure of quality. Sizes whose share is at or above that of all documents are
served once; the size with the lowest share is served `most` times; between them linearly. The curve is smoothed by a
moving mean of five sizes, but not at its two ends, and rounded. Sizes from the last thousandth of documents on are one.

`removed` names the column that says what filters remove: a flag, or a number above 0. Run it after the deduplication and
before the rows are filtered away, for one language at a time; `catalog.mixes.copies` makes mix parts of the column.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from catalog import states
from catalog.errors import BadInput
from catalog.plugins import Context, Out, Scan, scorer
from flows.scorers.dedup.minhash import Params as MinHashParams

WINDOW = 5


class Params(MinHashParams):
    removed: str = Field("", description="column: true, or above 0, where the quality filters remove the row")
    most: int = Field(10, ge=2, le=100, description="times that rows of the best cluster size are served")
    tail: float = Field(0.001, gt=0, lt=1, description="share of documents whose larger clusters count as one size")


@scorer(
    "rehydrate",
    version="1",
    pattern="global",
    most_rows=20_000_000,
    reads=["minhash_cluster_size", "minhash_keep"],
    columns=("removed",),
    params=Params,
    cost="cpu",
    stage="L1",
    citation="arXiv:2506.20920; huggingface/fineweb-2, misc/rehydration",
    writes=[
        Out(
            "rehydrate_copies",
            pa.int32(),
            "times to serve the row; 0: a duplicate, or removed by filters",
            None,
            (0, 100),
        ),
        Out(
            "rehydrate_rate",
            pa.float32(),
            "share of documents of its cluster size that filters remove",
            "lower",
            (0, 1),
        ),
    ],
)
def rehydrate(scan: Scan, ctx: Context) -> dict[str, pa.Array]:
    """Copies of each row by its cluster size. A row without a cluster or a filter verdict is undefined."""
    name = ctx.params.removed
    if not name:
        raise BadInput("rehydrate: name the column that says what filters remove: --param removed=COLUMN")
    sizes, kept, removed, held = _read(scan, ctx, name)
    chosen = held & kept
    copies, rate = np.zeros(sizes.size, np.int32), np.zeros(sizes.size)
    held &= chosen.any()
    if chosen.any():
        start, rates, total = distribution(sizes[chosen], removed[chosen], ctx.params.tail)
        at = np.minimum(np.searchsorted(start, sizes, side="right") - 1, start.size - 1)
        at = np.maximum(at, 0)
        copies = np.where(chosen & ~removed, repetitions(rates, total, ctx.params.most)[at], 0).astype(np.int32)
        rate = rates[at]
    return {
        "rehydrate_copies": pa.array(copies, pa.int32(), mask=~held),
        "rehydrate_rate": pa.array(rate.astype(np.float32), mask=~held),
        "_state": pa.array(np.where(held, states.VALUE, states.UNDEFINED), pa.uint8()),
    }


def distribution(sizes: np.ndarray, removed: np.ndarray, tail: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Cluster sizes in order, the last one standing for all above it; the share removed of each, and of all."""
    found, place, counts = np.unique(sizes, return_inverse=True, return_counts=True)
    above = np.cumsum(counts[::-1])[::-1]
    last = int(np.flatnonzero(above > tail * sizes.size)[-1])
    place = np.minimum(place, last)
    shares = np.bincount(place, removed, minlength=last + 1) / np.bincount(place, minlength=last + 1)
    return found[: last + 1], shares, float(removed.mean())


def repetitions(rates: np.ndarray, total: float, most: int) -> np.ndarray:
    """Times to serve each size, from the shares that filters remove of it and of all."""
    copies = np.ones(rates.size)
    below = rates < total
    if below.any():
        copies[below] += (most - 1) * (rates[below] - total) / (rates.min() - total)
    half = WINDOW // 2
    if copies.size > 2 * half:
        middle = np.convolve(copies, np.ones(WINDOW) / WINDOW, mode="valid")
        copies[half:-half] = middle
    return np.round(copies).astype(np.int32)


def _read(scan: Scan, ctx: Context, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Cluster size, whether it is kept, whether filters remove it, and whether all three are known."""
    parts: list[tuple[np.ndarray, ...]] = [(np.empty(0, np.int64), *(np.empty(0, bool) for _ in range(3)))]
    for batch in scan():
        size, keep, verdict = batch["minhash_cluster_size"], batch["minhash_keep"], batch[name]
        if not (
            pa.types.is_boolean(verdict.type) or pa.types.is_integer(verdict.type) or pa.types.is_floating(verdict.type)
        ):
            raise BadInput(f"rehydrate: column {name} holds {verdict.type}, neither a flag nor a number; name another")
        held = pc.and_(pc.is_valid(size), pc.is_valid(verdict))
        gone = pc.fill_null(verdict if pa.types.is_boolean(verdict.type) else pc.greater(verdict, 0), False)
        parts.append(
            (
                pc.fill_null(size, 0).to_numpy(zero_copy_only=False).astype(np.int64),
                *(pc.fill_null(mask, False).to_numpy(zero_copy_only=False) for mask in (keep, gone, held)),
            )
        )
        ctx.tick(batch.num_rows)
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))  # type: ignore[return-value]
