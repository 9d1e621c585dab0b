"""Orders by a column: what a stage takes from a part, sorted, folded, softened or bucketed, as stored orders.

Which rows a stage takes is settled by the part's shuffle; an order only rearranges them, epoch by epoch. So caps and
resumption hold whatever the order, and a row that another stage serves is never served again because of it. Ties and
equal scores keep the order of the shuffle; rows without a value come last.

folds: ascending order, then every L-th row from offset 0, 1, ... L - 1 (Y. Dai et al., "Data Efficacy for Language Model
Training", 2025, DELT's folding). noise: positions plus uniform noise, a soft curriculum. buckets: runs of so many rows
with near values, the runs shuffled, for batches with little padding (by a length). even: the shuffle, with rows above the
mean and rows below it taken so that sums follow the mean: over any stretch of an epoch the sum of the values is within
the largest difference of two of them of stretch x mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog.errors import BadInput
from catalog.mixes.spec import OrderSpec
from catalog.pull import permute
from catalog.pull.layout import Layout
from catalog.pull.rowset import RowSet
from catalog.pull.stored import Stored, stored

STEP = 1 << 20


def by_position(batches: Iterable[pa.RecordBatch], column: str, rows: RowSet) -> pa.ChunkedArray | pa.Array:
    """The column of a part's rows in the order of its row set; null where a row was retracted since."""
    values, places = [], []
    for batch in batches:
        ids = batch.column("_rowid").to_numpy().astype(np.int64)
        known = rows.contains(ids)
        places.append(rows.rank(ids[known]))
        values.append(batch.column(column).filter(pa.array(known)))
    order = np.full(rows.rows, -1, np.int64)
    if places:
        order[np.concatenate(places)] = np.arange(sum(map(len, places)))
    if not values:
        return pa.nulls(rows.rows, pa.float64())
    return pa.chunked_array(values).take(pa.array(order, mask=order < 0))


def order_items(layout: Layout, number: int, begin: int, end: int, order: OrderSpec, values: Any) -> list[Stored]:
    """Stored orders for the items [begin, end) of a part. values: its column, by position in the row set."""
    rows, out = layout.parts[number].rows.rows, []
    anew = bool(order.noise or order.buckets or order.even)  # chance is drawn anew each epoch; a plain order repeats
    whole: Stored | None = None
    for first, last in epochs(begin, end, rows):
        if last - first == rows and whole is not None and not anew:
            whole = Stored(whole.begin, last, whole.places, whole.digest)
            out[-1] = whole
            continue
        places = np.concatenate(
            [layout.shuffled(number, np.arange(at, min(at + STEP, last))) for at in range(first, last, STEP)]
        )
        made = stored(first, last, _arranged(layout, number, first // rows, places, order, values), rows)
        whole = made if last - first == rows else None
        out.append(made)
    return out


def epochs(begin: int, end: int, rows: int) -> Iterator[tuple[int, int]]:
    """A range of items, cut where epochs begin."""
    while begin < end:
        stop = min(end, (begin // rows + 1) * rows)
        yield begin, stop
        begin = stop


def _arranged(layout: Layout, number: int, epoch: int, places: np.ndarray, order: OrderSpec, values: Any) -> np.ndarray:
    held = values.take(pa.array(places))
    if order.even:
        return places[_evenly(held, order)]
    ranked = places[_sorted(held, order)]
    count = len(ranked)
    if order.folds:
        return np.concatenate([ranked[offset :: order.folds] for offset in range(min(order.folds, count))])
    key = layout.parts[number].key
    chance = _uniform(ranked, permute.round_keys(layout.seed, f"order|{order.by}|{key}", epoch))
    if order.noise:
        return ranked[np.argsort(np.arange(count) + order.noise * count * (chance - 0.5), kind="stable")]
    if order.buckets:
        runs = -(-count // order.buckets)
        turn = permute.permute(np.arange(runs), runs, permute.round_keys(layout.seed, f"runs|{order.by}|{key}", epoch))
        return ranked[np.lexsort((chance, turn[np.arange(count) // order.buckets]))]
    return ranked


def _sorted(values: Any, order: OrderSpec) -> np.ndarray:
    """Stable order of values, nulls and NaN last in both directions."""
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
    try:
        found = pc.array_sort_indices(_one(values), order=order.direction, null_placement="at_end")
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid, pa.ArrowTypeError):
        raise BadInput(
            f"order by {order.by}: rows cannot be sorted by {values.type}; name a number or a text"
        ) from None
    return found.to_numpy().astype(np.int64)


def _evenly(values: Any, order: OrderSpec) -> np.ndarray:
    """Take the next row above the mean whenever what was taken is at or below it, else the next at or below the mean.

    Which one comes is a merge by what each side has run up before: no loop over the rows.
    """
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
        raise BadInput(f"order by {order.by}: even needs a number, not {values.type}; name a column such as tokens")
    numbers = np.asarray(_one(values).cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)
    known = np.isfinite(numbers)
    over = np.where(known, numbers - (numbers[known].mean() if known.any() else 0.0), 0.0)
    above = over > 0
    run_up, run_down = (np.concatenate([[0.0], side.cumsum()[:-1]]) for side in (over * above, -over * ~above))
    return np.lexsort((np.arange(len(over)), ~above, np.where(above, run_up, run_down)))


def _one(values: Any) -> pa.Array:
    return pa.concat_arrays(values.chunks) if isinstance(values, pa.ChunkedArray) else values


def _uniform(positions: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """A number in [0, 1) for every position, the same on every machine."""
    return (permute.mixed(positions.astype(np.uint64), keys[0]) >> np.uint64(11)) * 2.0**-53
