"""Vectors of candidate rows as one matrix, and products with it that never hold all pairs."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from catalog.errors import BadInput


def matrix(rows: pa.Table, column: str, *, unit: bool = True) -> np.ndarray:
    """The vectors as float32 rows, of unit length if asked; a zero vector stays zero."""
    held = rows[column].combine_chunks()
    if isinstance(held, pa.ChunkedArray):
        held = held.chunk(0) if held.num_chunks else pa.array([], held.type)
    if not pa.types.is_fixed_size_list(held.type):
        raise BadInput(f"column {column!r} holds no vectors; name one that does (see `strata show`), as embedding")
    flat = held.flatten().to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
    found = flat.reshape(-1, held.type.list_size)
    if not unit:
        return np.ascontiguousarray(found)
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)
