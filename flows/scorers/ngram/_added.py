"""Verdicts against evals that came later, from the verdicts there are.

No eval decides about another (see `_leaks.index`), so that a row which held nothing before has the values of the added
evals alone, and a row which holds nothing of those keeps its own. A row with a hit in both is tested against every eval
again, as is a row with a hit where an eval was dropped or declared anew: that is rare, and it makes the result equal to
a check of everything from the beginning.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog import states
from catalog.plugins import Context

Values = Mapping[str, pa.Array]
HITS = ("eval_overlap_hits", "eval_leak", "eval_leak_numbers")


def extended(
    function: Callable[[pa.RecordBatch, Context], dict[str, pa.Array]], batch: pa.RecordBatch, ctx: Context
) -> dict[str, pa.Array]:
    """What `function` gives under all evals, for rows whose values under some are in the batch as held_<output>."""
    names = [name.removeprefix("held_") for name in batch.schema.names if name.startswith("held_eval_")]
    held = {name: batch.column(f"held_{name}") for name in names}
    fresh: Values = function(batch, replace(ctx, state=ctx.added)) if ctx.added else held
    before = _touched(held)
    again = before & (ctx.gone | (_touched(fresh) if ctx.added else np.zeros(batch.num_rows, bool)))
    keep = pa.array(before & ~again)
    values = {name: pc.if_else(keep, held[name], fresh[name]) for name in names}
    if again.any():
        at = np.flatnonzero(again)
        whole = function(batch.take(pa.array(at)), ctx)
        place = np.zeros(batch.num_rows, np.int64)
        place[at] = np.arange(at.size)
        values = {n: pc.if_else(pa.array(again), whole[n].take(pa.array(place)), values[n]) for n in names}
    null = batch["text"].is_null().to_numpy(zero_copy_only=False)
    return {**values, "_state": pa.array(np.where(null, states.UNDEFINED, states.VALUE), pa.uint8())}


def _touched(values: Values) -> np.ndarray:
    """Rows that hold anything of an eval."""
    found = [pc.fill_null(pc.greater(values[name], 0), False) for name in HITS]
    return np.logical_or.reduce([part.to_numpy(zero_copy_only=False) for part in found])
