"""Toxicity by a classifier: the probability that a sequence classification model gives a class of its own.

A slot for a model, as RealToxicityPrompts fills it with Perspective's (Gehman et al. 2020, arXiv:2009.11462): any
Hugging Face id or local folder, by default unitary/toxic-bert, which must be in the cache or reachable; no toxicity model
is bundled. `flows.toxicity` makes of the column what that paper reports: expected maximum and probability of toxicity.
The first `max_tokens` tokens are read. What a model calls toxic, and for whose speech, is the model's: compare its scores
by source and language before filtering (Dodge et al. 2021, arXiv:2104.08758).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog import states
from catalog.errors import BadInput
from catalog.plugins import Context, Out, scorer


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    model: str = Field("unitary/toxic-bert", min_length=1, description="a Hugging Face id or a local folder")
    label: str = Field("toxic", min_length=1, description="the model's class whose probability is the score")
    max_tokens: int = Field(512, ge=8, le=8192, description="tokens of a text that are read, special ones included")


def load(ctx: Context) -> Any:
    """The classifier; refused where it lacks the class or the positions."""
    from flows.models.classifying import load_classifier

    params = ctx.params
    classifier = load_classifier(params.model, ctx.device, ctx.dtype)
    classifier.label(params.label)
    if classifier.positions and params.max_tokens > classifier.positions:
        raise BadInput(
            f"max_tokens {params.max_tokens} is beyond the {classifier.positions} positions of {params.model}; ask for less"
        )
    return classifier


@scorer(
    "toxicity",
    version="1",
    reads=["text"],
    writes=[Out("toxicity", pa.float32(), "probability of the model's class `label`", "lower", (0, 1))],
    cost="gpu",
    citation="model slot after Gehman et al. 2020, arXiv:2009.11462",
    params=Params,
    load=load,
    length="text",
    batch_rows=512,
    tolerance=1e-4,
    stage="filter",
    requires=("torch", "transformers"),
    libraries=("torch", "transformers", "tokenizers"),
)
def toxicity(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    from flows.models.classifying import classify_texts

    classifier, texts = ctx.model, [text or "" for text in batch["text"].to_pylist()]
    found, valid = classify_texts(classifier, texts, ctx.params.max_tokens, tick=ctx.tick)
    values = found[:, classifier.label(ctx.params.label)].astype(np.float32)
    return {
        "toxicity": pa.array(values, pa.float32(), mask=~valid),
        "_state": pa.array(np.where(valid, states.VALUE, states.UNDEFINED), pa.uint8()),
    }
