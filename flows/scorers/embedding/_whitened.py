"""Features whitened by their joint covariance with a target's, and the rows that are nearest to each target row."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa

from catalog.plugins import Context, Scan
from flows.scorers.embedding._transport import annealed
from flows.scorers.embedding._vectors import target_vectors, unit

Rows = Callable[[], Iterator[np.ndarray]]


def raw_vectors(batch: pa.RecordBatch, name: str = "embedding") -> tuple[np.ndarray, np.ndarray]:
    """Vectors as they are of the rows that have a whole one, and which rows these are."""
    column = batch.column(name)
    rows = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
    flat = column.drop_null().flatten().to_numpy(zero_copy_only=False)
    points = flat.reshape(-1, column.type.list_size).astype(np.float64)
    whole = np.isfinite(points).all(axis=1)
    return points[whole], rows[whole]


def target_raw(ctx: Context, size: int) -> np.ndarray:
    """The target's vectors: those of the column that `vectors` names, as they are, else of its texts."""
    name = ctx.params.vectors
    if not name:
        return target_vectors(ctx, size)[0].astype(np.float64)
    import xxhash

    parts, keys = [], []
    for batch in ctx.target(["sample_id", name]):
        points, rows = raw_vectors(batch, name)
        ids = batch.column("sample_id").take(pa.array(rows)).to_pylist()
        parts.append(points)
        keys += [xxhash.xxh64_intdigest(i.encode(), ctx.seed) for i in ids]
    order = np.argsort(np.array(keys, np.uint64), kind="stable")[:size]
    return np.concatenate(parts)[order] if keys else np.empty((0, 1))


def rows_of(scan: Scan) -> Rows:
    return lambda: (raw_vectors(batch)[0] for batch in scan())


def whitening(rows: Rows, target: np.ndarray, ridge: float) -> tuple[np.ndarray, np.ndarray, int]:
    """Mean and whitening matrix of all rows and the target's together, and the number of rows."""
    total, count = target.sum(axis=0), len(target)
    for part in rows():
        total, count = total + part.sum(axis=0), count + len(part)
    mean = total / count
    second = (target - mean).T @ (target - mean)
    for part in rows():
        second += (part - mean).T @ (part - mean)
    lower = np.linalg.cholesky(second / count + ridge * np.eye(len(mean)))
    return mean, np.linalg.inv(lower).T, count - len(target)


def whiten(points: np.ndarray, mean: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Whitened features of length one; a row at the mean stays zero."""
    return unit((points - mean) @ matrix)


def nearest(parts: Iterator[np.ndarray], target: np.ndarray, layers: int) -> tuple[np.ndarray, np.ndarray]:
    """For each target row the cosines of its `layers` nearest rows, falling, and the numbers of these rows."""
    best, at, start = np.empty((0, len(target))), np.empty((0, len(target)), np.int64), 0
    for part in parts:
        numbers = np.repeat(np.arange(start, start + len(part))[:, None], len(target), axis=1)
        best, at, start = np.vstack([best, part @ target.T]), np.vstack([at, numbers]), start + len(part)
        order = np.argsort(-best, axis=0, kind="stable")[:layers]
        best, at = np.take_along_axis(best, order, 0), np.take_along_axis(at, order, 0)
    return best, at


def set_distance(left: np.ndarray, right: np.ndarray, blur: float = 0.01) -> float:
    """Entropic transport cost between two sets of unit features under sqrt(2 - 2 cosine), not debiased."""
    price = np.sqrt(np.abs(2 - 2 * left @ right.T))
    both = np.concatenate([left, right])
    f, g = annealed(price, float(np.linalg.norm(both.max(axis=0) - both.min(axis=0))), blur)
    return float(f.mean() + g.mean())
