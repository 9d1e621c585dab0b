"""Vectors with a label: samples of a dataset and of a target, and the labels of a batch."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa

from catalog.errors import BadInput, NotFound
from catalog.plugins import Context, Scan
from flows.scorers.embedding._vectors import unit, unit_vectors


def labels_of(batch: pa.RecordBatch, column: str, key: str) -> list[str | None]:
    """The label of each row: the value of a column, else the value of a key of `meta`; none where there is none."""
    if column:
        values = batch.column(column)
        if pa.types.is_nested(values.type):
            raise BadInput(f"column {column!r} holds {values.type}, not one label a row; name another as labels")
        return [None if value is None or value != value else str(value) for value in values.to_pylist()]
    found: list[str | None] = []
    for text in batch.column("meta").to_pylist():
        body = json.loads(text) if text else None
        label = body.get(key) if isinstance(body, dict) else None
        found.append(label if isinstance(label, str) or label is None else json.dumps(label))
    return found


def sample_labelled(
    scan: Scan, size: int, seed: int, column: str, key: str, vectors: str = "embedding"
) -> tuple[np.ndarray, np.ndarray, int]:
    """Unit vectors and labels of the rows that have both with the lowest keyed hashes, and how many rows have both."""
    import xxhash

    points, names, keys, seen = [np.empty((0, 1), np.float32)], [], [], 0
    for batch in scan():
        held, rows = unit_vectors(batch, vectors)
        labels, ids = labels_of(batch, column, key), batch.column("sample_id").to_pylist()
        kept = [i for i, row in enumerate(rows) if labels[row] is not None]
        seen += len(kept)
        points.append(held[kept])
        names += [str(labels[rows[i]]) for i in kept]
        keys += [xxhash.xxh64_intdigest(ids[rows[i]].encode(), seed) for i in kept]
        if len(keys) > 2 * size:
            best = np.argsort(np.array(keys, np.uint64), kind="stable")[:size]
            points = [np.concatenate([p for p in points if len(p)])[best]]
            names, keys = [names[i] for i in best], [keys[i] for i in best]
    best = np.argsort(np.array(keys, np.uint64), kind="stable")[:size]
    whole = np.concatenate([p for p in points if len(p)]) if keys else points[0]
    return whole[best], np.array(names, object)[best], seen


def target_labelled(ctx: Context, size: int, column: str, key: str) -> tuple[np.ndarray, np.ndarray, int]:
    """The same of the target, whose texts are embedded here unless `vectors` names a column that it holds."""
    from flows.models import embed_texts
    from flows.scorers.embedding.minilm import load_sentence_encoder

    vectors = ctx.params.vectors
    wanted = ["sample_id", "content_id", *([vectors] if vectors else ["text"]), column or "meta"]

    def scan(columns: list[str] | None = None):
        try:
            yield from ctx.target(wanted)
        except NotFound as error:
            raise BadInput(
                f"the target has no column {error.facts.get('name')!r}; score it as the dataset was"
            ) from None

    if vectors:
        return sample_labelled(scan, size, ctx.seed, column, key, vectors)
    texts, names, _keys, seen = _texts(scan, size, ctx.seed, column, key)
    if not texts:
        return np.empty((0, 1), np.float32), names, seen
    params = ctx.params
    found, valid = embed_texts(load_sentence_encoder(ctx), texts, params.max_tokens, params.pooling)
    return unit(found[valid]), names[np.asarray(valid, bool)], seen


def _texts(scan: Scan, size: int, seed: int, column: str, key: str) -> tuple[list[str], np.ndarray, np.ndarray, int]:
    import xxhash

    held: list[tuple[int, str, str]] = []
    seen = 0
    for batch in scan():
        rows = zip(batch["sample_id"].to_pylist(), batch["text"].to_pylist(), labels_of(batch, column, key))
        found = [(xxhash.xxh64_intdigest(i.encode(), seed), text, label) for i, text, label in rows if text and label]
        seen += len(found)
        held = sorted([*held, *found])[:size]
    names = np.array([label for _, _, label in held], object)
    return [text for _, text, _ in held], names, np.array([key for key, _, _ in held], np.uint64), seen
