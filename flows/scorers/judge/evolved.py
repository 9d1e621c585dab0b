"""Complexity and quality by evolved ranking: samples are made harder, or better, step by step, all variants of one are
scored side by side in one question, and a small student learns the scores for the whole corpus.

The procedure of W. Liu et al. 2023, "What Makes Good Data for Alignment?" (DEITA), arXiv:2312.15685: scores of one sample
alone crowd at the top; beside its own variants they spread. Their prompts and their trained scorers (LLaMA) are not used:
the wording is ours and the student is `distil`'s, a ridge on n-grams, so numbers are not those of their scorers. Of a
conversation the last exchange counts, where they add up the turns. The report holds the held-out Spearman correlation,
seeds kept whole, and the share of neighbouring variants that got the higher score for being evolved further.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from catalog import states
from catalog.plugins import Context, Out, Scan, scorer
from flows.scorers.combine._students import BUCKETS, apply
from flows.scorers.judge._evolved import EvolvedParams, exchange, fit, read
from flows.scorers.ngram._linear import unit_features, unit_matrix


def _apply(what: str, batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    held = [exchange(messages) for messages in batch.column("messages").to_pylist()]
    texts = [read(what, one, one.instruction if what == "complexity" else one.response) if one else "" for one in held]
    at = np.unique(unit_features(texts, BUCKETS)[0])
    value, known = np.zeros(len(texts)), np.zeros(len(texts), bool)
    known[at] = True
    if len(at):
        value[at] = apply("ngram", ctx.state, unit_matrix([texts[row] for row in at], BUCKETS))
    codes = np.where(known, states.VALUE, states.UNDEFINED).astype(np.uint8)
    return {f"judge_evolved_{what}": pa.array(value, mask=~known), "_state": pa.array(codes)}


def _declare(what: str, doc: str) -> None:
    def score(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
        return _apply(what, batch, ctx)

    def learn(scan: Scan, ctx: Context) -> dict[str, Any]:
        return fit(what, scan, ctx)

    score.__doc__, score.__module__ = doc, __name__
    scorer(
        f"judge_evolved_{what}", version="1", fit=learn, fit_on="self", reads=["messages"], cost="api", stage="L2",
        kinds=("chat", "task"), params=EvolvedParams, libraries=("scikit-learn",), tolerance=1e-6, batch_rows=4096,
        citation="the procedure of Liu et al. 2023 (DEITA), arXiv:2312.15685; our wording, our student",
        writes=[Out(f"judge_evolved_{what}", pa.float64(), "the student's estimate, from 1 to steps + 1", better="higher")],
    )(score)  # fmt: skip


_declare(
    "complexity", "How complex an instruction is, learned from instructions that a model made harder step by step."
)
_declare("quality", "How good a response is, learned from responses that a model made better step by step.")
