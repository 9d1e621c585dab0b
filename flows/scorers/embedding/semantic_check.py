"""Whether a rewritten row still means what its parent meant: the cosine of their sentence vectors.

The check that the tier of rewritten data asks for (UltraData, arXiv:2602.09003), by sentence vectors in the way of Reimers
and Gurevych 2019 (Sentence-BERT, arXiv:1908.10084). 1 is the same, 0 is unrelated; a low value is a row that says something
else, which for an edit that corrects a mistake may be right: it is evidence to look at, not a verdict. The encoder reads
the beginning of a text, so that a late change of a long text shows little.

A row names its parents in meta, as `strata grade edits` writes it; they are read from the target, the dataset they are in.
A row that names none, or whose parents the target does not hold any more, is undefined.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from catalog import states
from catalog.plugins import Context, Out, Scan, scorer
from flows.scorers.embedding._vectors import unit, unit_vectors
from flows.scorers.embedding.minilm import VectorParams, load_sentence_encoder

AT_ONCE = 512
"""Parents that are embedded in one call."""


@scorer(
    "semantic_check",
    version="1",
    pattern="global",
    most_rows=5_000_000,
    reads=["embedding", "meta"],
    swaps={"embedding": "vectors"},
    fit_on="target",
    params=VectorParams,
    cost="cpu",
    stage="L3",
    beyond_content=True,
    tolerance=1e-3,
    citation="arXiv:2602.09003; arXiv:1908.10084",
    writes=[Out("semantic_check", pa.float32(), "cosine with the parent, the mean of several", "higher", (-1, 1))],
)
def semantic_check(scan: Scan, ctx: Context) -> dict[str, pa.Array]:
    """Cosine of each row with the parents that its meta names and the target holds."""
    named = [parents_named(meta) for batch in scan() for meta in batch.column("meta").to_pylist()]
    held = parent_vectors(ctx, {name for names in named for name in names})
    value, known, total = np.zeros(len(named), np.float64), np.zeros(len(named), bool), 0
    for batch in scan():
        vectors, rows = unit_vectors(batch)
        for vector, row in zip(vectors.astype(np.float64), (rows + total).tolist(), strict=True):
            points = [held[name] for name in named[row] if name in held]
            if points:
                value[row], known[row] = np.clip(np.mean([vector @ point for point in points]), -1, 1), True
        total += batch.num_rows
    return {
        "semantic_check": pa.array(value, mask=~known).cast(pa.float32()),
        "_state": pa.array(np.where(known, states.VALUE, states.UNDEFINED).astype(np.uint8)),
    }


def parents_named(meta: str | None) -> list[str]:
    """Sample ids that a row's meta names as its parents."""
    try:
        body: Any = orjson.loads(meta) if meta else None
    except orjson.JSONDecodeError:
        return []
    found = body.get("parents") if isinstance(body, dict) else None
    return list(dict.fromkeys(name for name in found if isinstance(name, str))) if isinstance(found, list) else []


def parent_vectors(ctx: Context, wanted: set[str]) -> dict[str, np.ndarray]:
    """Unit vectors of the parents that the target holds, made by the encoder of the rows' own, or read from its column."""
    held: dict[str, np.ndarray] = {}
    if not wanted:
        return held
    ids = pa.array(sorted(wanted), pa.string())
    name, encoder = ctx.params.vectors, None
    for batch in ctx.target([name or "text"]):
        batch = batch.filter(pc.is_in(batch.column("sample_id"), value_set=ids))
        for start in range(0, batch.num_rows, AT_ONCE):
            part = batch.slice(start, AT_ONCE)
            if name:
                vectors, rows = unit_vectors(part, name)
            else:
                encoder = encoder or load_sentence_encoder(ctx)
                vectors, rows = _embedded(encoder, part, ctx)
            names = part.column("sample_id").take(pa.array(rows)).to_pylist()
            held |= zip(names, vectors.astype(np.float64), strict=True)
    return held


def _embedded(encoder: Any, batch: pa.RecordBatch, ctx: Context) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors of the texts that have one, and which rows these are."""
    from flows.models import embed_texts

    texts = [text or "" for text in batch.column("text").to_pylist()]
    vectors, valid = embed_texts(encoder, texts, ctx.params.max_tokens, ctx.params.pooling)
    rows = np.flatnonzero(np.asarray(valid, bool))
    return unit(np.asarray(vectors, np.float32)[rows]), rows
