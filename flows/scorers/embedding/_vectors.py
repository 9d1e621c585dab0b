"""Unit vectors of a batch, and samples of rows that depend on the rows alone."""

from __future__ import annotations

import heapq

import numpy as np
import pyarrow as pa

from catalog.plugins import Context, Scan


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows scaled to length one; a row of zeros stays."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def unit_vectors(batch: pa.RecordBatch, name: str = "embedding") -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors of the rows that have one, all of it numbers, and which rows these are."""
    column = batch.column(name)
    rows = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
    flat = column.drop_null().flatten().to_numpy(zero_copy_only=False)
    points = flat.reshape(-1, column.type.list_size).astype(np.float32)
    whole = np.isfinite(points).all(axis=1)
    return unit(points[whole]), rows[whole]


def sample_vectors(scan: Scan, size: int, seed: int, name: str = "embedding") -> tuple[np.ndarray, int]:
    """Unit vectors of the rows with the `size` lowest keyed hashes, in hash order, and the number of rows with one."""
    import xxhash

    points, keys, seen = None, np.empty(0, np.uint64), 0
    for batch in scan():
        vectors, rows = unit_vectors(batch, name)
        ids = batch.column("sample_id").take(pa.array(rows)).to_pylist()
        hashes = np.fromiter((xxhash.xxh64_intdigest(i.encode(), seed) for i in ids), np.uint64, len(ids))
        points = vectors if points is None else np.concatenate([points, vectors])
        keys, seen = np.concatenate([keys, hashes]), seen + len(rows)
        if len(keys) > 2 * size:
            kept = np.argpartition(keys, size)[:size]
            points, keys = points[kept], keys[kept]
    kept = np.argsort(keys, kind="stable")[:size]
    return (np.empty((0, 1), np.float32) if points is None else points[kept]), seen


def column(values: np.ndarray, rows: np.ndarray, total: int, kind: pa.DataType) -> pa.Array:
    """A column of `total` rows with `values` at `rows` and null elsewhere."""
    missing, full = np.ones(total, bool), np.zeros(total)
    missing[rows], full[rows] = False, values
    return pa.array(full, mask=missing).cast(kind, safe=False)


def target_vectors(ctx: Context, size: int) -> tuple[np.ndarray, int]:
    """Unit vectors of the target's texts with the `size` lowest keyed hashes, in hash order; and how many texts it has.

    They are made here, by the encoder that made the dataset's column: a target need not be scored before. Vectors that no
    encoder here made are read from the target's column of the same name.
    """
    if name := ctx.params.vectors:
        return sample_vectors(lambda wanted=None: ctx.target(["sample_id", name]), size, ctx.seed, name)

    from xxhash import xxh64_intdigest

    from flows.models import embed_texts
    from flows.scorers.embedding.minilm import load_sentence_encoder

    held: list[tuple[int, str, str]] = []
    seen = 0
    for batch in ctx.target(["text"]):
        for row, text in zip(batch["sample_id"].to_pylist(), batch["text"].to_pylist()):
            if text:
                seen += 1
                entry = (-xxh64_intdigest(row.encode(), ctx.seed), row, text)
                (heapq.heappush if len(held) < size else heapq.heappushpop)(held, entry)
    texts = [text for _, _, text in sorted(held, reverse=True)]
    vectors, valid = embed_texts(load_sentence_encoder(ctx), texts, ctx.params.max_tokens, ctx.params.pooling)
    return unit(vectors[valid]), seen
