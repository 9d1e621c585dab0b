"""Sentence vectors by MiniLM, or by any encoder or decoder named: hidden states pooled over real tokens, of length one.

all-MiniLM-L6-v2 is a MiniLM (Wang et al. 2020, arXiv:2002.10957) trained in the way of Reimers and Gurevych 2019
(Sentence-BERT, arXiv:1908.10084). English first; other languages get vectors of little meaning. It reads the first
`max_tokens` tokens (256 in the reference implementation), so that long documents are known by their beginning.

The column is as wide as the model's hidden states. A dataset may hold the vectors of several models and poolings beside
one another: each is a column of its own, and scorers that read vectors take its name as `vectors`. What a model card adds
to the pooling (a prompt before each text, a projection after it) is not applied.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog import states
from catalog.errors import BadInput
from catalog.plugins import Context, Out, scorer

DIMENSIONS = 384


class EmbeddingParams(BaseModel):
    model_config = ConfigDict(extra="forbid")

    model: str = Field(
        "minilm-l6", min_length=1, description="minilm-l6, smollm2-135m, a local folder or a Hugging Face id"
    )
    max_tokens: int = Field(256, ge=8, le=8192, description="tokens of a text that are read, special ones included")
    pooling: Literal["mean", "weighted", "cls", "last", "max"] = Field(
        "mean",
        description="how tokens become one vector: mean, mean weighted by position, first token, last token, maximum",
    )


class VectorParams(EmbeddingParams):
    """Of a scorer that reads vectors: the encoder it builds on, or a column of vectors that is there."""

    vectors: str | None = Field(
        None, min_length=1, description="column of vectors that is read instead of the encoder's, of any width"
    )


def widths(params: EmbeddingParams) -> dict[str, int]:
    """How wide the column is: what the model's configuration says, without loading the model."""
    from flows.models import hidden_size

    return {} if params.model == "minilm-l6" else {"embedding": hidden_size(params.model)}


def load_sentence_encoder(ctx: Context) -> Any:
    from flows.models import load_encoder

    params = ctx.params
    if getattr(params, "vectors", None):
        return None  # the target has the column too, so that nothing is embedded
    encoder = load_encoder(params.model, ctx.device, ctx.dtype)
    if encoder.positions and params.max_tokens > encoder.positions:
        raise BadInput(
            f"max_tokens {params.max_tokens} is beyond the {encoder.positions} positions of {params.model}; ask for less"
        )
    return encoder


@scorer(
    "minilm",
    version="1",
    reads=["text"],
    writes=[
        Out(
            "embedding",
            pa.list_(pa.float32(), DIMENSIONS),
            "sentence vector of length one",
            range=(-1, 1),
            measure=True,
        )
    ],
    cost="gpu",
    params=EmbeddingParams,
    load=load_sentence_encoder,
    widths=widths,
    length="text",
    batch_rows=512,
    tolerance=1e-3,
    stage="L1",
    languages=("en",),
    libraries=("torch", "transformers", "tokenizers"),
    citation="Wang et al. 2020, arXiv:2002.10957; Reimers and Gurevych 2019, arXiv:1908.10084",
)
def minilm(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    from flows.models import embed_texts

    texts = [text or "" for text in batch.column("text").to_pylist()]
    vectors, valid = embed_texts(ctx.model, texts, ctx.params.max_tokens, ctx.params.pooling, tick=ctx.tick)
    flat = pa.array(np.ascontiguousarray(vectors).reshape(-1), pa.float32())
    embedding = pa.FixedSizeListArray.from_arrays(flat, ctx.model.dimensions, mask=pa.array(~valid, pa.bool_()))
    return {
        "embedding": embedding,
        "_state": pa.array(np.where(valid, states.VALUE, states.UNDEFINED).astype(np.uint8)),
    }
