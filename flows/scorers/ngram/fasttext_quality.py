"""DCLM's quality classifier: fastText with word pairs, trained on texts like those wanted against texts as they come.

Li et al., "DataComp-LM", 2024, arXiv:2406.11794, section 4.4: positives are a reference set (there OpenHermes 2.5 and
ELI5, 200,000 texts), negatives as many texts of the pool; lines are joined before prediction; the best tenth is kept.
Here the positives are the target's rows and the negatives rows of the dataset, those with the lowest keyed hash. With
`label`, both classes are rows of the target: the recipe of Ultra-FineWeb (Wang et al. 2025, arXiv:2505.05427), where a
strong model has labelled a seed. The threshold on the probability is a selection's business.

The report holds the AUC on a held-out tenth with DeLong's interval; the model itself is trained on all rows. Training
gives the probabilities of the official package with one thread (which reports p + 1e-5); see `_fasttext.py`.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog import states
from catalog.errors import BadInput
from catalog.plugins import Context, Out, Scan, scorer
from flows.scorers.ngram._agreement import auc_delong
from flows.scorers.ngram._fasttext import Linear, margins, tokens, train


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    label: str = Field("", description="label in the target's meta; empty: target rows against rows of the dataset")
    positive: str = Field("1", description="label of the better class, as text")
    rows: int = Field(200_000, ge=10, le=5_000_000, description="texts of each class at most")
    dim: int = Field(100, ge=1, le=1000, description="length of the vectors")
    epochs: int = Field(5, ge=1, le=1000, description="passes over the texts")
    rate: float = Field(0.1, gt=0, le=10, description="step at the start")
    buckets: int = Field(200_000, ge=100, le=2**26, description="buckets of word pairs; the reference has 2,000,000")


def fit(scan: Scan, ctx: Context) -> dict[str, Any]:
    """Train on both classes in the order of their hashes; first once without the held-out tenth, for the report."""
    params = ctx.params
    good, bad = _labelled(ctx) if params.label else (_lowest(ctx.target, ctx), _lowest(scan, ctx))
    bad = {key: text for key, text in bad.items() if key not in good}
    if min(len(good), len(bad)) < 10:
        raise BadInput(
            f"fasttext_quality: {len(good)} positive and {len(bad)} other negative texts; give a --target "
            "with 10 or more texts, and 10 or more rows that are not in it (or label and positive of labelled rows)"
        )
    keys = sorted([*good, *bad])
    texts = [tokens(good[key] if key in good else bad[key]) for key in keys]
    labels = np.array([key in good for key in keys])
    options = {name: getattr(params, name) for name in ("dim", "epochs", "rate", "buckets")} | {"seed": ctx.seed}
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


@scorer(
    "fasttext_quality",
    version="1",
    fit=fit,
    fit_on="target",
    fit_uses_rows=True,
    reads=["text"],
    params=Params,
    cost="cpu",
    stage="L2",
    citation="arXiv:2406.11794; fastText: arXiv:1607.01759; labelled seed: arXiv:2505.05427",
    batch_rows=4096,
    tolerance=1e-6,
    writes=[Out("fasttext_quality", pa.float32(), "probability of the wanted class", "higher", (0, 1))],
)
def fasttext_quality(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    """Probability that a text is of the wanted class (arXiv:2406.11794). A text without a word is undefined."""
    model = Linear(*(ctx.state[name] for name in ("words", "word_weights", "bucket_weights")))
    texts = [tokens(text or "") for text in batch["text"].to_pylist()]
    probability = 0.5 * (1 + np.tanh(0.5 * margins(model, texts)))
    empty = np.array([not text for text in texts], bool)
    return {
        "fasttext_quality": pa.array(probability.astype(np.float32), mask=empty),
        "_state": pa.array(np.where(empty, states.UNDEFINED, states.VALUE), pa.uint8()),
    }


def _hash(content: str, seed: int) -> str:
    from xxhash import xxh3_128_hexdigest

    return xxh3_128_hexdigest(content.encode(), seed)


def _kept(texts: dict[str, str], size: int) -> dict[str, str]:
    return {key: texts[key] for key in sorted(texts)[:size]}


def _lowest(scan: Scan, ctx: Context) -> dict[str, str]:
    """Different texts with a word, by the hash of their content: the `rows` lowest hashes."""
    held: dict[str, str] = {}
    for batch in scan(["text"]):
        for text, content in zip(batch["text"].to_pylist(), batch["content_id"].to_pylist()):
            if text and tokens(text):
                held[_hash(content, ctx.seed)] = text
        if len(held) > 2 * ctx.params.rows:
            held = _kept(held, ctx.params.rows)
    return _kept(held, ctx.params.rows)


def _labelled(ctx: Context) -> tuple[dict[str, str], dict[str, str]]:
    sides: tuple[dict[str, str], dict[str, str]] = ({}, {})
    for batch in ctx.target(["text", "meta"]):
        for text, meta, content in zip(*(batch[name].to_pylist() for name in ("text", "meta", "content_id"))):
            label = (json.loads(meta) if meta else {}).get(ctx.params.label)
            if label is None or not text or not tokens(text):
                continue
            better = (label if isinstance(label, str) else json.dumps(label)) == ctx.params.positive
            sides[0 if better else 1][_hash(content, ctx.seed)] = text
    return _kept(sides[0], ctx.params.rows), _kept(sides[1], ctx.params.rows)
