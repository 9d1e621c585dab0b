"""Perplexity of a text under an n-gram language model of the target: how much it reads like the target.

CCNet (Wenzek et al. 2020, arXiv:1911.00359) ranks web pages by the perplexity of a 5-gram model with modified
Kneser-Ney smoothing (Chen and Goodman 1999; Heafield et al. 2013) of Wikipedia. Every line is a sentence; the document's
perplexity is exp of the mean negative log-likelihood over its words and line ends. Words are those of the shared
normalisation (case folded; one character each in scripts without spaces), not CCNet's sentence pieces, so that values
compare within one fitted model only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog import states
from catalog.errors import BadInput
from catalog.plugins import Context, Out, Scan, scorer
from flows.scorers.ngram._hashing import word_hashes
from flows.scorers.ngram._kneser_ney import estimate, log_probabilities, ngram_keys, sentences


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    order: int = Field(5, ge=1, le=8, description="words of the longest n-gram")
    words: int = Field(5_000_000, ge=100, le=200_000_000, description="words of the target at most")


def fit(scan: Scan, ctx: Context) -> dict[str, Any]:
    """The model of the target's texts; of those with the lowest keyed hashes where it has more than `words` words."""
    parts, hashes = _target(ctx)
    if not parts:
        raise BadInput("ngram_perplexity: the target has no words; give a --target whose rows have text")
    order, size, chosen = np.argsort(hashes, kind="stable"), 0, []
    for row in order.tolist():
        if chosen and size + parts[row][0].size > ctx.params.words:
            break
        chosen.append(parts[row])
        size += parts[row][0].size
    stream, left = (np.concatenate([part[side] for part in chosen]) for side in (0, 1))
    state = estimate(stream, left, ctx.params.order)
    grams = {f"grams_{n}": int(state[f"keys_{n}"].size) for n in range(1, ctx.params.order + 1)}
    return state | {"report": {"texts": len(parts), "fitted_on": len(chosen), "words": size, **grams}}


@scorer(
    "ngram_perplexity",
    version="1",
    fit=fit,
    fit_on="target",
    reads=["text"],
    params=Params,
    cost="cpu",
    stage="L1",
    citation="Chen and Goodman 1999; Heafield et al. 2013; as in CCNet, arXiv:1911.00359",
    batch_rows=4096,
    tolerance=1e-5,
    writes=[
        Out("ngram_perplexity", pa.float64(), "perplexity a word under the target's n-gram model", "lower", (1, None)),
        Out("ngram_unknown", pa.float32(), "share of its words that the target does not hold", "lower", (0, 1)),
    ],
)
def ngram_perplexity(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    """Perplexity under the target's modified Kneser-Ney model. A text without a word is undefined."""
    lines, owner = _lines(batch["text"].to_pylist())
    words, offsets = word_hashes(lines)
    stream, left = sentences(words, offsets)
    sizes = np.diff(offsets)
    row = np.repeat(owner[sizes > 0], sizes[sizes > 0] + 1)
    logs = log_probabilities(ctx.state, stream, left)
    count = np.bincount(row, minlength=batch.num_rows)
    empty = count == 0
    mean = np.bincount(row, -logs, minlength=batch.num_rows) / np.maximum(count, 1)
    known = np.isin(_word_keys(stream[left > 0]), ctx.state["keys_1"])
    unknown = np.bincount(row, ~known, minlength=batch.num_rows) / np.maximum(count, 1)
    return {
        "ngram_perplexity": pa.array(np.exp(np.minimum(mean, 700)), mask=empty),
        "ngram_unknown": pa.array(unknown.astype(np.float32), mask=empty),
        "_state": pa.array(np.where(empty, states.UNDEFINED, states.VALUE), pa.uint8()),
    }


def _word_keys(words: np.ndarray) -> np.ndarray:
    return ngram_keys(words, np.arange(words.size), 1)[0]


def _lines(texts: list[str | None]) -> tuple[list[str], np.ndarray]:
    """All lines, and the row of each."""
    split = [(text or "").splitlines() for text in texts]
    return [line for lines in split for line in lines], np.repeat(np.arange(len(texts)), [len(s) for s in split])


def _target(ctx: Context) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
    from xxhash import xxh3_64_intdigest

    parts, hashes = [], []
    for batch in ctx.target(["text"]):
        for text, row in zip(batch["text"].to_pylist(), batch["sample_id"].to_pylist()):
            words, offsets = word_hashes((text or "").splitlines())
            if words.size:
                parts.append(sentences(words, offsets))
                hashes.append(xxh3_64_intdigest(row.encode(), ctx.seed))
    return parts, np.array(hashes, np.uint64)
