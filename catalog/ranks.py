"""A chosen row set as a column: the rank of each chosen row, null where a row was not chosen; a weight beside it.

What a selector chose is frozen here once and never computed again: the saved selection is `rank >= 0`, and whatever
takes a filter (promote, mix, score, pull, export, SQL) takes it. The recipe and the report hang on the column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from catalog import states
from catalog.frozen import Frozen, publish_frozen, write_frozen
from catalog.meta.models import ColumnRecord
from catalog.store.columns import find, row_ids

if TYPE_CHECKING:
    from catalog.catalog import Catalog, Resolved

SCORER = "select"


def held_ranks(cat: Catalog, found: Resolved, fingerprint: str) -> ColumnRecord | None:
    """The column of ranks that a recipe made before."""
    columns = cat.columns(found.dataset.name)
    return next((c for c in columns if c.fingerprint == fingerprint and c.output == "rank"), None)


def publish_ranks(
    cat: Catalog,
    found: Resolved,
    label: str,
    fingerprint: str,
    recipe: dict[str, Any],
    report: dict[str, Any],
    candidates: np.ndarray,
    chosen: np.ndarray,
    weights: np.ndarray | None,
    run_id: str,
) -> ColumnRecord:
    """Attach the ranks to the dataset. candidates: row ids of the version; chosen: those chosen, first one first."""
    kinds = {"rank": pa.int32()} | ({"weight": pa.float32()} if weights is not None else {})
    frozen = Frozen(SCORER, fingerprint, recipe, kinds, found.ref, run_id, lambda output: f"{output}_{label}",
                    {"rank": "lower"})  # fmt: skip
    inside = np.sort(candidates)
    files = write_frozen(cat, found.dataset, frozen, lambda fragment: _arrays(fragment, inside, chosen, weights))
    publish_frozen(cat, found.dataset, frozen, files, verb="select", source=found.ref, report=report,
                   counts={"in": len(candidates), "kept": len(chosen)})  # fmt: skip
    made = held_ranks(cat, found, fingerprint)
    assert made is not None
    return made


def _arrays(fragment: Any, candidates: np.ndarray, chosen: np.ndarray, weights: np.ndarray | None) -> list[pa.Array]:
    """The columns of one fragment: a rank, "undefined" for a row not chosen, nothing outside the version."""
    wanted = row_ids(fragment)
    order = np.argsort(chosen, kind="stable")
    at, known = find(chosen[order], wanted)
    rank = order[at] if len(chosen) else np.zeros(len(wanted), np.int64)
    _, inside = find(candidates, wanted)
    arrays = [pa.array(rank.astype(np.int32), mask=~known)]
    if weights is not None:
        values = np.asarray(weights, np.float32)[rank] if len(chosen) else np.zeros(len(wanted), np.float32)
        arrays.append(pa.array(values, mask=~known))
    codes = np.where(known, states.VALUE, states.UNDEFINED).astype(np.uint8)
    arrays.append(pa.array(codes, mask=~inside))
    return arrays
