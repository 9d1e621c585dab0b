"""Entropy rate constancy: does a text's surprisal rise, fall or stay level from its beginning to its end?

Genzel and Charniak 2002 held that the surprisal of text given all that precedes it stays constant; Verma, Tomlin and Klein
2023, "Revisiting Entropy Rate Constancy in Text", arXiv:2305.12084, measured it with neural models, which condition on the
whole context, by the mean surprisal at each position and the Mann-Kendall test for a trend, and found it falling. Here the
measures are of one text: Kendall's tau between the position of a token and its surprisal, the size of that test's effect,
and the mean surprisal of each tenth of the text's tokens, whose means over a dataset are its curve. A text whose end is
boilerplate falls steeply at the end; one that was glued together rises in the middle.

The first `max_tokens` tokens are read, with the model's own BOS where it has one; surprisals are compared at three
decimals, so that rounding in the model's sums decides nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field

from catalog.plugins import Context, Out, scorer
from flows.scorers.forward._language_model import PassParams, load_language_model, states_of

TENTHS = 10


class Params(PassParams):
    min_tokens: int = Field(50, ge=TENTHS, description="texts of fewer predicted tokens have no trend")


def trend(surprisals: np.ndarray) -> float:
    """Kendall's tau-b between position and surprisal; 0 where all are equal."""
    from scipy.stats import kendalltau

    values = np.round(surprisals, 3)
    if not np.ptp(values) > 0:
        return 0.0
    found: Any = kendalltau(np.arange(len(values)), values)
    return float(found.statistic)


def tenths(surprisals: np.ndarray) -> list[float]:
    """Mean of each tenth."""
    return [float(part.mean()) for part in np.array_split(surprisals, TENTHS)]


@scorer(
    "entropy_rate",
    version="1",
    reads=["text"],
    writes=[
        Out("surprisal_trend", pa.float32(), "Kendall's tau of position and surprisal", None, (-1, 1)),
        Out("surprisal_tenths", pa.list_(pa.float32(), TENTHS), "mean surprisal of each tenth, nats", None, (0, None)),
    ],
    cost="gpu",
    params=Params,
    load=load_language_model,
    length="text",
    batch_rows=256,
    tolerance=2e-2,
    stage="L1",
    requires=("torch", "transformers", "scipy"),
    libraries=("torch", "transformers", "tokenizers", "scipy"),
    citation="Verma et al. 2023, arXiv:2305.12084; Genzel and Charniak 2002",
)
def entropy_rate(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    from flows.models import Piece, encode_heads
    from flows.models.surprisal import token_surprisals

    lm, texts = ctx.model, [text or "" for text in batch["text"].to_pylist()]
    inner = ctx.params.max_tokens - len(lm.prefix)
    pieces, rows = [], []
    for row, encoding in enumerate(encode_heads(lm.tokenizer, texts, inner) if texts else []):
        ids = encoding.ids[:inner]
        if len(ids) - (0 if lm.prefix else 1) >= ctx.params.min_tokens:
            pieces.append(Piece([*lm.prefix, *ids], len(lm.prefix) or 1))
            rows.append(row)
    trends: list[float | None] = [None] * len(texts)
    profile: list[Any] = [None] * len(texts)
    for row, found in zip(rows, token_surprisals(lm, pieces, tick=ctx.tick), strict=True):
        trends[row], profile[row] = trend(found), tenths(found)
    return {
        "surprisal_trend": pa.array(trends, pa.float32()),
        "surprisal_tenths": pa.array(profile, pa.list_(pa.float32(), TENTHS)),
        "_state": states_of(np.array(rows, np.int64), len(texts)),
    }
