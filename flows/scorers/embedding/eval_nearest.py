"""The eval item whose meaning is nearest: candidates for reworded and translated leaks, for a person to look at.

Cosine of the stored sentence vectors, as in the embedding search of "Rethinking Benchmark and Contamination for Language
Models with Rephrased Samples" (Yang et al. 2023, arXiv:2311.04850), which has a language model judge the candidates.
Likeness of meaning is not leakage: same-topic text is near too, so nothing is decided here and no gate reads this. The
items are embedded in the fit, by the encoder that made the rows' vectors. A long row is known by its beginning only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field

from catalog import states
from catalog.errors import BadInput
from catalog.plugins import Context, Out, Scan, scorer
from flows.scorers.embedding.kmeans import _unit, _vectors
from flows.scorers.embedding.minilm import VectorParams
from flows.scorers.ngram._leaks import eval_texts


class Params(VectorParams):
    sketch: int = Field(2048, ge=1, le=65536, description="rows compared with the evals at once")


def fit(scan: Scan, ctx: Context) -> dict[str, Any]:
    """Unit vectors of every eval item that has text, by the encoder of the rows."""
    from flows.models import embed_texts, load_encoder

    if ctx.params.vectors:
        raise BadInput(
            f"eval_nearest: no encoder here made the column {ctx.params.vectors}, so the eval items have no such vectors; "
            "name a column of the scorer minilm"
        )
    encoder = load_encoder(ctx.params.model, "cpu", "float32")
    points, ids, owner, listed = [np.empty((0, encoder.dimensions), np.float32)], [], [], []
    for number, held in enumerate(ctx.evals):
        count = rows = 0
        for _field, sample_ids, texts in eval_texts(held):
            vectors, valid = embed_texts(encoder, texts, ctx.params.max_tokens, ctx.params.pooling)
            at = np.flatnonzero(np.asarray(valid, bool))
            points.append(_unit(np.asarray(vectors, np.float32)[at]))
            ids += [sample_ids[k] for k in at]
            owner += [number] * len(at)
            count, rows = count + len(at), rows + len(texts)
        listed.append({"ref": held.ref, "items": rows, "with_vector": count})
    if not ids:
        raise BadInput("eval_nearest: no eval item has text to embed; ingest an eval with --role eval")
    state = {"points": np.concatenate(points), "ids": ids, "owner": np.array(owner, np.int32)}
    return {**state, "refs": [held.ref for held in ctx.evals], "report": {"evals": listed}}


@scorer(
    "eval_nearest",
    version="1",
    fit=fit,
    fit_on="evals",
    reads=["embedding"],
    swaps={"embedding": "vectors"},
    params=Params,
    cost="cpu",
    stage="L2",
    tolerance=1e-5,
    batch_rows=2048,
    citation="Yang et al. 2023, arXiv:2311.04850 (the search; no judge)",
    writes=[
        Out("eval_nearest", pa.float32(), "cosine to the nearest eval item", "lower", (-1, 1)),
        Out("eval_nearest_item", pa.string(), "that item, as eval#sample_id"),
    ],
)
def eval_nearest(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    """Cosine to the nearest eval item, and which it is. A row without a vector is undefined."""
    vectors, rows = _vectors(batch)
    best, item = np.zeros(batch.num_rows, np.float32), np.zeros(batch.num_rows, np.int64)
    points = np.asarray(ctx.state["points"], np.float32)
    for start in range(0, len(rows), ctx.params.sketch):
        part = vectors[start : start + ctx.params.sketch].astype(np.float32)
        similarity = part @ points.T
        at = rows[start : start + ctx.params.sketch]
        item[at] = similarity.argmax(axis=1)
        best[at] = np.clip(similarity.max(axis=1), -1, 1)
    missing = np.ones(batch.num_rows, bool)
    missing[rows] = False
    names = [f"{ctx.state['refs'][ctx.state['owner'][k]]}#{ctx.state['ids'][k]}" for k in item]
    return {
        "eval_nearest": pa.array(best, pa.float32(), mask=missing),
        "eval_nearest_item": pa.array(names, pa.string(), mask=missing),
        "_state": pa.array(np.where(missing, states.UNDEFINED, states.VALUE).astype(np.uint8)),
    }
