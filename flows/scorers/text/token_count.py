"""Length of the text in tokens of a given tokenizer, without special tokens: the unit of budgets and mixes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog import states
from catalog.plugins import Context, Out, scorer
from flows.scorers.text._chars import slices


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    tokenizer: str = Field("smollm2-135m", description="tokenizer: a bundled name, a Hugging Face id or a local folder")


def load(ctx: Context) -> Any:
    """The tokenizer."""
    from flows.models import load_tokenizer

    return load_tokenizer(ctx.params.tokenizer)


@scorer(
    "token_count",
    version="1",
    reads=["text"],
    writes=[
        Out("tokens", pa.int32(), "tokens of the tokenizer, without special tokens", range=(0, None), measure=True)
    ],
    cost="cpu",
    citation="ours",
    params=Params,
    load=load,
    libraries=("tokenizers",),
)
def token_count(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    counts: list[int | None] = []
    for texts in slices(batch["text"]):  # an encoding is many times its text, so few are held at once
        strings = texts.to_pylist()
        encodings = ctx.model.encode_batch_fast([text or "" for text in strings], add_special_tokens=False)
        counts += [None if text is None else len(found) for text, found in zip(strings, encodings, strict=True)]
    null = batch["text"].is_null().to_numpy(zero_copy_only=False)
    return {
        "tokens": pa.array(counts, pa.int32()),
        "_state": pa.array(np.where(null, states.UNDEFINED, states.VALUE), pa.uint8()),
    }
