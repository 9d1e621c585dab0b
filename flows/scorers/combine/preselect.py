"""PreSelect's scorer: a fastText classifier that tells texts of high predictive strength from texts of low.

Shum et al. 2025, "Predictive Data Selection", arXiv:2503.00808, section 2.3: positives are the texts of a sample whose
predictive strength is highest, negatives as many of the lowest (about 200,000 each of 900,000); fastText with word pairs,
3 passes at a rate of 0.1; every text gets the positive class's probability and the best tenth is kept. The released code
takes as positives only texts on which all pairs of models agree: `perfect`. Among texts of equal strength a keyed hash
decides, so that the classes do not depend on the order of the rows. Strengths may cover a sample of the rows alone.

The report holds the AUC on a held-out tenth with DeLong's interval; below `floor` the fit refuses.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field

from catalog.errors import BadInput
from catalog.plugins import Context, Out, Scan, scorer
from flows.scorers.ngram._classes import TrainParams, enough, fit_classes, keyed, probabilities
from flows.scorers.ngram._fasttext import tokens


class Params(TrainParams):
    strength: str = Field(
        "predictive_strength", min_length=1, description="column of strengths, on a sample or all rows"
    )
    share: float = Field(0.2, gt=0, le=0.5, description="share of the texts with a strength in each class")
    perfect: bool = Field(False, description="positives are the texts of strength 1 alone, as in the released code")
    epochs: int = Field(3, ge=1, le=1000, description="passes over the texts")
    floor: float = Field(0.5, ge=-1, le=1, description="held-out AUC below which it refuses")


def fit(scan: Scan, ctx: Context) -> dict[str, Any]:
    """Two classes by strength, then the classifier; `BadInput` where it tells them apart no better than the floor."""
    params = ctx.params
    held: dict[str, tuple[float, str]] = {}
    for batch in scan():
        kind = batch.column(params.strength).type
        if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
            raise BadInput(f"preselect: column {params.strength!r} holds {kind}, not numbers; name another")
        values = batch.column(params.strength).cast(pa.float64()).to_numpy(zero_copy_only=False)
        texts, contents = batch["text"].to_pylist(), batch["content_id"].to_pylist()
        for row in np.flatnonzero(np.isfinite(values)).tolist():
            if texts[row] and tokens(texts[row]):
                held[keyed(contents[row], ctx.seed)] = (values[row], texts[row])
    good, bad = classes({key: value for key, (value, _) in held.items()}, params)
    remedy = f"score {params.strength!r} on more rows of different strength, or raise share"
    positive, negative = ({key: held[key][1] for key in side} for side in (good, bad))
    enough("preselect", positive, negative, remedy)
    state = fit_classes(positive, negative, params, ctx.seed)
    report = state["report"]
    report |= {"graded": len(held), "lowest_positive": min(held[key][0] for key in good),
               "highest_negative": max(held[key][0] for key in bad)}  # fmt: skip
    if report["auc"] < params.floor:
        raise BadInput(
            f"preselect: the classifier's held-out AUC is {report['auc']:.3f} (95 %: {report['auc_low']:.3f} to "
            f"{report['auc_high']:.3f}), below the floor {params.floor}; grade a larger sample or lower the floor"
        )
    return state


def classes(strength: dict[str, float], params: Params) -> tuple[list[str], list[str]]:
    """Keys of the positives and of the negatives, as many of each at most."""
    order = sorted(strength, key=lambda key: (-strength[key], key))
    size = min(int(params.share * len(order)), params.rows)
    good = [key for key in order if strength[key] == 1.0][: params.rows] if params.perfect else order[:size]
    taken = set(good)
    rest = sorted((key for key in strength if key not in taken), key=lambda key: (strength[key], key))
    top = min((strength[key] for key in good), default=0.0)
    return good, [key for key in rest[: len(good)] if strength[key] < top]


@scorer(
    "preselect",
    version="1",
    fit=fit,
    fit_on="self",
    reads=["text"],
    fit_columns=("strength",),
    params=Params,
    cost="cpu",
    stage="L2",
    citation="Shum et al. 2025, arXiv:2503.00808; fastText: arXiv:1607.01759",
    batch_rows=4096,
    tolerance=1e-6,
    writes=[Out("preselect", pa.float32(), "probability of high predictive strength", "higher", (0, 1))],
)
def preselect(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    """Probability that models' losses on the text rank them as their abilities do. A text without a word is undefined."""
    return probabilities("preselect", batch, ctx.state)
