"""BETR: how likely a text is among those that rank best before a benchmark's training examples.

Mizrahi et al. 2025, "Language Models Improve When Pretraining Data Matches Target Tasks", arXiv:2507.12466. Benchmark
examples (the target: a train split, never an eval) and a sample of the rows are embedded; every example ranks the sample
by cosine; a row's score is its best rank before any example (`aggregate: mean`: the mean of 1 / rank). The best `share` of
the sample are the positives of a light classifier on n-grams, which then scores every row from its text alone.

Experimental: how ranks are aggregated was not compared with the authors' code, which is not public. Ours where the paper
is free: the encoder is any (`model`), and the classifier is Strata's linear one on hashed word 1- and
2-grams in place of fastText. Only the sample is embedded. The report holds the held-out AUC of the classifier and how far
its score goes with length.
"""

from __future__ import annotations

import heapq
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from catalog.errors import BadInput
from catalog.plugins import Context, Out, Scan, scorer
from flows.scorers.embedding._ranks import best_ranks, mean_reciprocal
from flows.scorers.embedding._vectors import unit
from flows.scorers.embedding.minilm import EmbeddingParams, load_sentence_encoder
from flows.scorers.ngram._agreement import auc_delong
from flows.scorers.ngram._linear import class_probability, out_of_fold, train_logistic, unit_matrix


class Params(EmbeddingParams):
    sample: int = Field(10_000, ge=20, le=1_000_000, description="rows that are ranked at most, of the lowest hashes")
    examples: int = Field(2_000, ge=1, le=1_000_000, description="examples of the target at most, of the lowest hashes")
    share: float = Field(0.1, gt=0, lt=1, description="share of the sample that counts as matching the target")
    aggregate: Literal["max", "mean"] = Field("max", description="best rank before any example, or mean of 1 / rank")
    C: float = Field(10.0, gt=0, le=1e6, description="inverse strength of the classifier's L2 penalty")
    folds: int = Field(5, ge=2, le=50, description="folds of the cross-validation")
    buckets: int = Field(2**18, ge=2**8, le=2**24, description="buckets that n-grams are hashed into")


def fit(scan: Scan, ctx: Context) -> dict[str, Any]:
    """Rank a sample before the target's examples, and train the classifier of its best share."""
    from flows.models import embed_texts

    params, encoder = ctx.params, load_sentence_encoder(ctx)
    sides = []
    for read, size in ((scan, params.sample), (lambda: ctx.target(["text"]), params.examples)):
        texts, contents = _lowest(read, size, ctx.seed)
        vectors, valid = embed_texts(encoder, texts, params.max_tokens, params.pooling)
        at = np.flatnonzero(valid)
        sides.append((unit(vectors[at]), [texts[i] for i in at], [contents[i] for i in at]))
    (points, texts, contents), (examples, _, _) = sides
    if len(texts) < 20 or not len(examples):
        raise BadInput(f"betr: {len(texts)} rows and {len(examples)} target examples have text; it needs 20 and 1")
    score = -best_ranks(points, examples)[1] if params.aggregate == "max" else mean_reciprocal(points, examples)
    labels = np.zeros(len(texts), bool)
    labels[np.argsort(-score, kind="stable")[: max(round(params.share * len(texts)), 2)]] = True
    features = unit_matrix(texts, params.buckets)
    held_out = out_of_fold(
        features, labels, contents, min(params.folds, int(labels.sum()), len(set(contents))), params.C, ctx.seed
    )
    length = np.log1p([len(text) for text in texts])
    area, low, high = auc_delong(labels, held_out)
    report = {
        "ranked": len(texts), "examples": len(examples), "positive": int(labels.sum()),
        "auc": area, "auc_low": low, "auc_high": high, "interval": "95 %, DeLong, pooled out-of-fold probabilities",
        "correlation_with_log_length": float(np.corrcoef(held_out, length)[0, 1]) if np.ptp(length) else 0.0,
    }  # fmt: skip
    model = train_logistic(features, labels, params.C)
    return {"weights": model.coef_[0].astype(np.float64), "intercept": float(model.intercept_[0]), "report": report}


def _lowest(read: Any, size: int, seed: int) -> tuple[list[str], list[str]]:
    """Texts and content ids of the rows with the lowest keyed hashes, in hash order."""
    from xxhash import xxh64_intdigest

    held: list[tuple[int, str, str, str]] = []
    for batch in read():
        for row, content, text in zip(*(batch[name].to_pylist() for name in ("sample_id", "content_id", "text"))):
            if text:
                entry = (-xxh64_intdigest(row.encode(), seed), row, text, content)
                (heapq.heappush if len(held) < size else heapq.heappushpop)(held, entry)
    held.sort(reverse=True)
    return [entry[2] for entry in held], [entry[3] for entry in held]


@scorer(
    "betr",
    version="1",
    fit=fit,
    fit_on="target",
    fit_uses_rows=True,
    reads=["text"],
    params=Params,
    cost="cpu",
    stage="L2",
    citation="arXiv:2507.12466",
    libraries=("scikit-learn", "torch", "transformers", "tokenizers"),
    batch_rows=4096,
    tolerance=1e-6,
    experimental=True,
    writes=[
        Out("betr", pa.float32(), "probability to rank among the best before the target's examples", "higher", (0, 1))
    ],
)
def betr(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    """Probability that a text ranks among the best before the target's examples. One without a word is undefined."""
    return class_probability("betr", batch["text"], ctx.state["weights"], ctx.state["intercept"])
