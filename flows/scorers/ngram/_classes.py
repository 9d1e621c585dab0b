"""Two classes of texts and the fastText classifier between them: gathering, training with a held-out test, applying."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog import states
from catalog.errors import BadInput
from catalog.plugins import Context, Scan
from flows.scorers.ngram._agreement import auc_delong
from flows.scorers.ngram._fasttext import Linear, margins, tokens, train

LEAST = 10  # texts of a class without which nothing is learned
TO_TARGET: dict[str, Any] = {
    "fit_on": "target", "fit_uses_rows": True, "reads": ["text"], "cost": "cpu", "stage": "L2", "batch_rows": 4096,
}  # fmt: skip
"""Declaration of a scorer that sets the rows apart from a target's."""


class TrainParams(BaseModel):
    """How the classifier is trained."""

    model_config = ConfigDict(extra="forbid")

    rows: int = Field(200_000, ge=10, le=5_000_000, description="texts of each class at most")
    dim: int = Field(100, ge=1, le=1000, description="length of the vectors")
    epochs: int = Field(5, ge=1, le=1000, description="passes over the texts")
    rate: float = Field(0.1, gt=0, le=10, description="step at the start")
    buckets: int = Field(200_000, ge=100, le=2**26, description="buckets of word pairs; the reference has 2,000,000")


def keyed(content: str, seed: int) -> str:
    """A content's place in an order that the seed alone decides."""
    from xxhash import xxh3_128_hexdigest

    return xxh3_128_hexdigest(content.encode(), seed)


def first(texts: dict[str, str], size: int) -> dict[str, str]:
    """The `size` lowest keys."""
    return {key: texts[key] for key in sorted(texts)[:size]}


def lowest(scan: Scan, ctx: Context) -> dict[str, str]:
    """Different texts with a word, by the hash of their content: the `rows` lowest hashes."""
    held: dict[str, str] = {}
    for batch in scan(["text"]):
        for text, content in zip(batch["text"].to_pylist(), batch["content_id"].to_pylist()):
            if text and tokens(text):
                held[keyed(content, ctx.seed)] = text
        if len(held) > 2 * ctx.params.rows:
            held = first(held, ctx.params.rows)
    return first(held, ctx.params.rows)


def labelled(ctx: Context) -> Iterator[tuple[str, bool | None, str]]:
    """Text, whether it is of the better class (None: no label), and content id of each row of the target."""
    for batch in ctx.target(["text", "meta"]):
        for text, meta, content in zip(*(batch[name].to_pylist() for name in ("text", "meta", "content_id"))):
            label = (json.loads(meta) if meta else {}).get(ctx.params.label)
            found = label if isinstance(label, str) else json.dumps(label)
            yield text or "", None if label is None else found == ctx.params.positive, content


def fit_classes(good: dict[str, str], bad: dict[str, str], params: TrainParams, seed: int) -> dict[str, Any]:
    """Train on both classes in the order of their keys; first once without the held-out tenth, for the report."""
    keys = sorted([*good, *bad])
    texts = [tokens(good[key] if key in good else bad[key]) for key in keys]
    labels = np.array([key in good for key in keys])
    options = {name: getattr(params, name) for name in ("dim", "epochs", "rate", "buckets")} | {"seed": seed}
    test = np.zeros(len(keys), bool)
    for side in (labels, ~labels):
        test[np.flatnonzero(side)[::10]] = True
    held = train([text for text, out in zip(texts, test) if not out], labels[~test], **options)
    area, low, high = auc_delong(labels[test], margins(held, [text for text, out in zip(texts, test) if out]))
    report = {"positive": len(good), "negative": len(bad), "held_out": int(test.sum())}
    report |= {"auc": area, "auc_low": low, "auc_high": high, "interval": "95 %, DeLong, held-out tenth"}
    model = train(texts, labels, **options)
    return {
        "words": model.words, "word_weights": model.word_weights, "bucket_weights": model.bucket_weights,
        "report": report,
    }  # fmt: skip


def enough(name: str, good: dict[str, str], bad: dict[str, str], remedy: str) -> None:
    """Refuse classes too small to learn from."""
    if min(len(good), len(bad)) < LEAST:
        raise BadInput(f"{name}: {len(good)} positive and {len(bad)} other negative texts; {remedy}")


def probabilities(name: str, batch: pa.RecordBatch, state: dict[str, Any]) -> dict[str, pa.Array]:
    """The column `name`: probability of the better class; a text without a word is undefined."""
    model = Linear(*(state[part] for part in ("words", "word_weights", "bucket_weights")))
    texts = [tokens(text or "") for text in batch["text"].to_pylist()]
    probability = 0.5 * (1 + np.tanh(0.5 * margins(model, texts)))
    empty = np.array([not text for text in texts], bool)
    return {
        name: pa.array(probability.astype(np.float32), mask=empty),
        "_state": pa.array(np.where(empty, states.UNDEFINED, states.VALUE), pa.uint8()),
    }
