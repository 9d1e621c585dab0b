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

from typing import Any

import pyarrow as pa
from pydantic import Field

from catalog.plugins import Context, Out, Scan, scorer
from flows.scorers.ngram._classes import (
    TO_TARGET,
    TrainParams,
    enough,
    first,
    fit_classes,
    keyed,
    labelled,
    lowest,
    probabilities,
)
from flows.scorers.ngram._fasttext import tokens


class Params(TrainParams):
    label: str = Field("", description="label in the target's meta; empty: target rows against rows of the dataset")
    positive: str = Field("1", description="label of the better class, as text")


def fit(scan: Scan, ctx: Context) -> dict[str, Any]:
    """Train on both classes; the report holds the AUC on a held-out tenth."""
    params = ctx.params
    good, bad = _labelled(ctx) if params.label else (lowest(ctx.target, ctx), lowest(scan, ctx))
    bad = {key: text for key, text in bad.items() if key not in good}
    remedy = "give a --target with 10 or more texts, and 10 or more rows that are not in it"
    enough("fasttext_quality", good, bad, f"{remedy} (or label and positive of labelled rows)")
    return fit_classes(good, bad, params, ctx.seed)


@scorer(
    "fasttext_quality",
    version="1",
    fit=fit,
    params=Params,
    citation="arXiv:2406.11794; fastText: arXiv:1607.01759; labelled seed: arXiv:2505.05427",
    tolerance=1e-6,
    writes=[Out("fasttext_quality", pa.float32(), "probability of the wanted class", "higher", (0, 1))],
    **TO_TARGET,
)
def fasttext_quality(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    """Probability that a text is of the wanted class (arXiv:2406.11794). A text without a word is undefined."""
    return probabilities("fasttext_quality", batch, ctx.state)


def _labelled(ctx: Context) -> tuple[dict[str, str], dict[str, str]]:
    sides: tuple[dict[str, str], dict[str, str]] = ({}, {})
    for text, better, content in labelled(ctx):
        if better is not None and tokens(text):
            sides[0 if better else 1][keyed(content, ctx.seed)] = text
    return first(sides[0], ctx.params.rows), first(sides[1], ctx.params.rows)
