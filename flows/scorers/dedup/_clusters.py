"""From group labels to columns: id, size and keeper, with nulls where a row has no group."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from catalog import states

ABSENT = -1
"""Label of a row that has no group; its state is UNDEFINED."""


def first_of_equal(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Label of every 128-bit key: the index of its first occurrence."""
    labels = np.empty(high.size, np.int64)
    if not high.size:
        return labels
    order = np.lexsort((low, high))  # stable: equal keys stay in scan order
    high, low = high[order], low[order]
    new = np.append(True, (high[1:] != high[:-1]) | (low[1:] != low[:-1]))
    labels[order] = order[new][np.cumsum(new) - 1]
    return labels


def columns(prefix: str, labels: np.ndarray, keep: np.ndarray) -> dict[str, pa.Array]:
    """The three output columns and the states; rows labelled `ABSENT` are null."""
    absent = labels == ABSENT
    present = labels[~absent]
    sizes = np.zeros(labels.size, np.int32)
    sizes[~absent] = np.bincount(present, minlength=labels.size)[present]
    group = "group" if prefix == "exact_dup" else "cluster"
    return {
        f"{prefix}_{group}": pa.array(labels, pa.int64(), mask=absent),
        f"{prefix}_{'size' if group == 'group' else 'cluster_size'}": pa.array(sizes, pa.int32(), mask=absent),
        f"{prefix}_keep": pa.array(keep, pa.bool_(), mask=absent),
        "_state": pa.array(np.where(absent, states.UNDEFINED, states.VALUE), pa.uint8()),
    }
