"""How many reads a sample costs: what a shuffle asks of a store, and when a shuffle by blocks is the better one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from catalog.pull.layout import Layout

if TYPE_CHECKING:
    from catalog.catalog import Catalog

GAP = 64
"""Rows apart up to which a reader fetches both, and what lies between, in one read."""
MANY = 0.1
BLOCK = 16_384
"""Indices that a reader fetches at once when rows are small."""


def reads_per_sample(layout: Layout, sources: list[str]) -> float:
    """Separate stretches of rows in one block of the stream, a sample. sources[p]: the table of part p."""
    begin = max(0, (len(layout) - BLOCK) // 2)
    indices = np.arange(begin, min(len(layout), begin + BLOCK))
    found, reads = layout.locate(indices), 0
    names = np.array(sources)[found.part]
    for name in np.unique(names):
        rows = np.unique(found.row[names == name])
        reads += 1 + int((np.diff(rows) > GAP).sum())
    return reads / len(indices)


def advice(cat: Catalog, lock: dict[str, Any], layout: Layout) -> dict[str, Any]:
    """Reads a sample, and a line where a shuffle by blocks would save most of them on a remote store."""
    reads = reads_per_sample(layout, [part["dataset_id"] for part in lock["parts"]])
    out: dict[str, Any] = {"reads_per_sample": round(reads, 4)}
    held = [cat.resolve(part["dataset"]).dataset for part in lock["parts"]]
    remote = [dataset.name for dataset in held if "://" in cat.table_uri(dataset)]
    if remote and lock["order"]["shuffle"] == "full" and reads > MANY:
        out["advice"] = f"{remote[0]} is remote: `order: {{shuffle: blocks}}` reads neighbouring rows together"
    return out
