"""Junk by engagement: short posts that many people reacted to, the measure M1 of "LLM Brain Rot".

Xing et al. 2025, "LLMs Can Get Brain Rot!", arXiv:2510.13928, section 3: a post's popularity is the sum of its likes,
reposts, replies and quotes; junk has a popularity above 500 and fewer than 30 tokens, the control set a popularity of at
most 500 and more than 100 tokens; what lies between is in neither. Models trained on more junk got worse at reasoning and
long context step by step. The counts are fields of a row's meta; the paper's tokens are Llama 3's, here those of
`tokenizer`. Length and popularity are kept apart, as the paper finds popularity the better sign of harm.

The paper's other measure, M2, asks a language model how shallow a post is: that is a judge's, not a column of this kind.
"""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
from pydantic import Field

from catalog import states
from catalog.plugins import Context, Out, scorer
from flows.scorers.text.token_count import Params as TokenParams


class Params(TokenParams):
    counts: list[str] = Field(
        ["likes", "retweets", "replies", "quotes"], min_length=1, description="fields of the meta that are summed"
    )
    popular: int = Field(500, ge=0, description="a post of more reactions is popular")
    short: int = Field(30, ge=0, description="a post of fewer tokens is short")
    long: int = Field(100, ge=0, description="a post of more tokens is long")


def reactions(meta: str | None, fields: list[str]) -> int | None:
    """Sum of the fields that are whole numbers of 0 or more; None where none of them is."""
    held = json.loads(meta) if meta else {}
    found = [held.get(name) for name in fields]
    numbers = [int(value) for value in found if isinstance(value, int | float) and not isinstance(value, bool)
               and 0 <= value < 2**53 and value == int(value)]  # fmt: skip
    return sum(numbers) if numbers else None


@scorer(
    "engagement",
    version="1",
    reads=["meta", "tokens"],
    writes=[
        Out("engagement", pa.int64(), "reactions to the post: the sum of the named counts", None, (0, None)),
        Out("engagement_junk", pa.int8(), "1 popular and short, -1 unpopular and long, 0 neither", "lower", (-1, 1)),
    ],
    cost="cpu",
    citation="Xing et al. 2025, arXiv:2510.13928, section 3 (M1)",
    params=Params,
    stage="filter",
    beyond_content=True,
    batch_rows=8192,
)
def engagement(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    params = ctx.params
    totals = [reactions(meta, params.counts) for meta in batch["meta"].to_pylist()]
    tokens = batch["tokens"].to_pylist()
    known = np.array([total is not None and size is not None for total, size in zip(totals, tokens)], bool)
    popularity = np.array([total or 0 for total in totals], np.int64)
    size = np.array([length or 0 for length in tokens], np.int64)
    popular = popularity > params.popular
    sort = (popular & (size < params.short)).astype(np.int8) - (~popular & (size > params.long)).astype(np.int8)
    return {
        "engagement": pa.array(popularity, pa.int64(), mask=~known),
        "engagement_junk": pa.array(sort, pa.int8(), mask=~known),
        "_state": pa.array(np.where(known, states.VALUE, states.UNDEFINED), pa.uint8()),
    }
