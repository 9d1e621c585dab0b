"""The frozen order of a campaign: row ids, worked out once and stored in pieces, so that the next item is one lookup.

Stratified order takes one row of each stratum in turn (equal allocation). Disagreement of columns that have different
units is the spread of their mid-ranks: the largest less the smallest, each between 0 and 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog.errors import BadInput, Corrupt

if TYPE_CHECKING:
    from sqlmodel import Session

    from catalog.catalog import Catalog

PIECE = 4096
"""Items in one stored piece: 32 KB of a metadata row, 64 KB for pairs."""
ORDERS = ("given", "random", "uncertain", "disagreeing", "stratified")
WANTS = {"given": (0, 0), "random": (0, 0), "uncertain": (1, 1), "disagreeing": (2, 99), "stratified": (1, 1)}
BINS = 10


def frozen_order(cat: Catalog, ref: str, recipe: dict[str, Any]) -> np.ndarray:
    """Row ids in the order of grading, uint64: one column, or two for pairs."""
    order, columns, seed = recipe["order"], recipe["columns"], recipe["seed"]
    if order not in ORDERS:
        raise BadInput(f"order {order!r} is not one of {', '.join(ORDERS)}")
    low, high = WANTS[order]
    if not low <= len(columns) <= high:
        many = {0: "no column", 1: "one column", 2: "two columns or more"}[low]
        raise BadInput(f"order {order} wants {many} (--by), not {len(columns)}")
    if (order == "uncertain") != (recipe["threshold"] is not None):
        raise BadInput("order uncertain wants a --threshold, and no other order does")
    scanned = list(
        cat.scan(ref, columns or ["added"], where=recipe["where"], missing=recipe["missing"], with_row_id=True)
    )
    if not scanned:
        return np.empty((0, 1), np.uint64)
    table = pa.Table.from_batches(scanned)
    ids = table.column("_rowid").to_numpy().astype(np.uint64)
    random = np.random.default_rng(seed)
    chance = random.permutation(len(ids))
    if order == "random":
        ids = ids[chance]
    elif order != "given":
        held = [table.column(name) for name in columns]
        key = _key(order, held, columns, recipe["threshold"], chance)
        ids = ids[np.lexsort((chance, key))]
    if recipe["pairs"]:
        return _pairs(ids, recipe["pairs"], random, recipe["items"])
    return ids[: recipe["items"]].reshape(-1, 1)


def _key(order: str, held: list[pa.ChunkedArray], names: list[str], threshold: float | None, chance: np.ndarray):
    """What to sort by, smallest first; rows without a value come last."""
    if order == "stratified":
        return _turn(_strata(held[0]), chance)
    values = [_numbers(column, name) for column, name in zip(held, names)]
    if order == "uncertain":
        return _last(np.abs(values[0] - threshold))
    ranks = np.stack([mid_ranks(column) for column in values])
    return _last(-(ranks.max(0) - ranks.min(0)))


def _last(key: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(key), np.inf, key)


def _numbers(column: pa.ChunkedArray, name: str) -> np.ndarray:
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        raise BadInput(f"column {name} holds {kind}, not numbers; order by a score")
    return column.cast(pa.float64()).to_numpy(zero_copy_only=False)


def mid_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks in [0, 1], ties sharing the middle of theirs; NaN stays."""
    there = ~np.isnan(values)
    out = np.full(len(values), np.nan)
    _, inverse, counts = np.unique(values[there], return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts + 1) / 2
    out[there] = middle[inverse] / max(there.sum() - 1, 1)
    return out


def _strata(column: pa.ChunkedArray) -> np.ndarray:
    """A number for each row's stratum: its value, or its tenth where numbers are many; a row without a value has its own."""
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
        there = ~np.isnan(values)
        if len(np.unique(values[there])) > BINS:
            cuts = np.quantile(values[there], np.arange(1, BINS) / BINS)
            return np.where(there, np.searchsorted(cuts, values, side="right"), -1)
        return np.unique(np.where(there, values, np.inf), return_inverse=True)[1]
    coded = pc.dictionary_encode(column.cast(pa.string())).combine_chunks()  # type: ignore[attr-defined]
    coded = coded.chunk(0) if isinstance(coded, pa.ChunkedArray) else coded
    return pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False)


def _turn(strata: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """The place of each row within its stratum, by chance: sorting by it takes one of each stratum in turn."""
    order = np.lexsort((chance, strata))
    starts = np.flatnonzero(np.r_[True, np.diff(strata[order]) != 0])
    within = np.arange(len(strata)) - np.repeat(starts, np.diff(np.r_[starts, len(strata)]))
    out = np.empty(len(strata), np.float64)
    out[order] = within
    return out


def _pairs(ids: np.ndarray, shifts: int, random: np.random.Generator, items: int | None) -> np.ndarray:
    """Pairs around a circle of the samples: neighbours first, which ties all samples together, then wider steps.

    Which of two is shown as A is drawn, so that a habit of choosing one side favours no sample.
    """
    if len(ids) < 2:
        raise BadInput("pairs need two samples or more")
    ring = random.permutation(ids)
    steps = min(shifts, max((len(ids) - 1) // 2, 1))
    made = [np.stack([ring, np.roll(ring, -step)], 1) for step in range(1, steps + 1)]
    pairs = np.concatenate(made)[: 1 if len(ids) == 2 else None]
    pairs = pairs[:items]
    swap = random.random(len(pairs)) < 0.5
    pairs[swap] = pairs[swap][:, ::-1]
    return pairs


def pieces(queue: np.ndarray) -> Iterator[bytes]:
    """The bodies that are stored."""
    for at in range(0, len(queue), PIECE):
        yield np.ascontiguousarray(queue[at : at + PIECE], "<u8").tobytes()


def row_ids_at(session: Session, campaign_id: str, kind: str, item: int) -> list[int]:
    """The row ids of one item."""
    from catalog.meta.models import GradeQueue

    held = session.get(GradeQueue, (campaign_id, item // PIECE))
    if held is None:
        raise Corrupt(f"the queue of the campaign lacks its piece {item // PIECE}; make the campaign again")
    wide = 2 if kind == "pair" else 1
    return [int(value) for value in np.frombuffer(held.body, "<u8").reshape(-1, wide)[item % PIECE]]
