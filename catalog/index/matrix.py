"""How much of each group of rows stands in each other group too: by dataset, source or tier, from the standing index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from catalog.errors import BadInput
from catalog.index.standing import opened

if TYPE_CHECKING:
    from catalog.catalog import Catalog

MOST = 63
"""Groups with a column of their own; the smallest beyond it are taken together as "others"."""


def overlap_matrix(cat: Catalog, by: str = "dataset", *, near: bool = True) -> dict[str, Any]:
    """{"groups": [{"name", "rows"}], "shared": matrix of row counts}: rows of group i with a like row in group j.

    On the diagonal: rows with another like row in their own group. near: a shared near-duplicate key counts; else only
    equal content does.
    """
    if by not in ("dataset", "source", "tier"):
        raise BadInput(f"an overlap matrix is by dataset, source or tier, not {by!r}")
    index = opened(cat)
    names = [_names(dataset, segment, by) for dataset, segment in index]
    sizes: dict[str, int] = {}
    for (_, segment), held in zip(index, names, strict=True):
        for name, count in zip(held, np.bincount(segment.source, minlength=len(held)) if len(held) else []):
            sizes[name] = sizes.get(name, 0) + int(count)
    order = sorted(sizes, key=lambda name: (-sizes[name], name))
    shown = order[:MOST] + (["others"] if len(order) > MOST else [])
    place = {name: min(at, MOST) for at, name in enumerate(order)}
    group = [np.array([place[n] for n in held] or [0])[s.source] for (_, s), held in zip(index, names, strict=True)]
    starts = np.append(0, np.cumsum([segment.rows.size for _, segment in index])).astype(np.int64)
    groups = np.concatenate(group).astype(np.int64) if group else np.empty(0, np.int64)
    masks, twins = np.zeros(groups.size, np.uint64), np.zeros(groups.size, bool)
    passes = [
        ([np.ascontiguousarray(s.content.T).view("V16").ravel() for _, s in index], [s.content_row for _, s in index])
    ]
    if near and index:
        for band in range(index[0][1].keys.shape[0]):
            passes.append(([s.keys[band] for _, s in index], [s.keys_row[band] for _, s in index]))
    for keys, rows in passes:
        owner = np.concatenate([part + start for part, start in zip(rows, starts)]) if index else groups
        _collect(np.concatenate(keys) if keys else np.empty(0, np.uint64), owner.astype(np.int64), groups, masks, twins)
    shared = [[0] * len(shown) for _ in shown]
    for a in range(len(shown)):
        mine = groups == a
        for b in range(len(shown)):
            shared[a][b] = int((twins[mine] if a == b else masks[mine] >> np.uint64(b) & np.uint64(1)).sum())
    counts = np.bincount(groups, minlength=len(shown))
    return {"by": by, "groups": [{"name": n, "rows": int(c)} for n, c in zip(shown, counts)], "shared": shared}


def _names(dataset: Any, segment: Any, by: str) -> list[str]:
    if by == "source":
        return list(segment.sources)
    return [dataset.name if by == "dataset" else dataset.tier] * len(segment.sources)


def _collect(keys: np.ndarray, owner: np.ndarray, groups: np.ndarray, masks: np.ndarray, twins: np.ndarray) -> None:
    """Add to every row the groups that share its key, and whether its own group has another row with it."""
    if not keys.size:
        return
    _, number = np.unique(keys, return_inverse=True)
    order = np.lexsort((groups[owner], number))
    number, owner = number[order], owner[order]
    group = groups[owner]
    bucket = np.flatnonzero(np.append(True, number[1:] != number[:-1]))
    whole = np.bitwise_or.reduceat(np.uint64(1) << group.astype(np.uint64), bucket)
    masks[owner] |= np.repeat(whole, np.diff(np.append(bucket, owner.size)))
    pair = np.flatnonzero(np.append(True, (number[1:] != number[:-1]) | (group[1:] != group[:-1])))
    sizes = np.diff(np.append(pair, owner.size))
    twins[owner] |= np.repeat(sizes > 1, sizes)
