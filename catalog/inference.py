"""The mean of what people would say of every row, from their labels on some rows and a score on all of them.

Prediction-powered inference: Angelopoulos, Bates, Fannjiang, Jordan and Zrnic, "Prediction-powered inference", Science
2023, arXiv:2301.09633; with power tuning as in Angelopoulos, Duchi and Zrnic, "PPI++: Efficient Prediction-Powered
Inference", 2023, arXiv:2311.01453. The mean of the score over the unlabelled rows is corrected by how far score and
label lie apart on the labelled ones; a useless score gets the weight 0 and leaves the labels' own mean and interval.

The interval holds where the labelled rows are a random sample of the rows asked about (`select save --selector random`
draws one): labels of hand-picked rows say nothing about the others, with a score or without.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from catalog.errors import BadInput

if TYPE_CHECKING:
    from catalog.catalog import Catalog

META = "meta."
FEW = 30
"""Labels below which a normal interval is not to be trusted; the answer says so."""


@dataclass(frozen=True)
class Estimate:
    """A mean with a normal interval."""

    mean: float
    low: float
    high: float


def ppi_mean(
    labels: np.ndarray, scores: np.ndarray, others: np.ndarray, level: float = 0.95, weight: float | None = None
) -> tuple[Estimate, float]:
    """Mean of the labels over all rows, and the weight of the score (none given: the one of least variance, in [0, 1]).

    labels, scores: of the labelled rows; others: scores of the unlabelled ones.
    """
    n, rest = len(labels), len(others)
    if weight is None:
        spread = float(np.var(np.concatenate([scores, others]), ddof=1))
        shared = float(((labels - labels.mean()) * (scores - scores.mean())).mean())
        weight = float(np.clip(shared / ((1 + n / rest) * spread), 0, 1)) if spread > 0 else 0.0
    mean = weight * others.mean() + (labels - weight * scores).mean()
    error = np.sqrt(np.var(weight * others) / rest + np.var(labels - weight * scores) / n)
    return _interval(float(mean), float(error), level), weight


def classical_mean(labels: np.ndarray, level: float = 0.95) -> Estimate:
    """Mean of the labels alone."""
    return _interval(float(labels.mean()), float(labels.std() / np.sqrt(len(labels))), level)


def _interval(mean: float, error: float, level: float) -> Estimate:
    wide = NormalDist().inv_cdf(0.5 + level / 2) * error
    return Estimate(mean, mean - wide, mean + wide)


def estimate_mean(
    cat: Catalog, ref: str, score: str, labels: str, *, where: str | None = None, level: float = 0.95
) -> dict[str, Any]:
    """What the labels would average over every row of `ref`. labels: a column, or "meta.NAME", held by some rows only.

    {"mean", "low", "high"} by labels and score, the same under "labels_alone", and what they rest on.
    """
    if not 0.5 <= level < 1:
        raise BadInput(f"a level of {level:g} is no confidence level; give one from 0.5 to below 1, as 0.95")
    column = "meta" if labels.startswith(META) else labels
    names = list(dict.fromkeys([score, column]))
    said, scored, rest, without = [], [], [], 0
    for batch in cat.scan(ref, names, where=where, missing="keep"):
        guess = _numbers(batch.column(score), score)
        truth = _from_meta(batch, labels) if column == "meta" else _numbers(batch.column(column), column)
        known, labelled = np.isfinite(guess), np.isfinite(truth)
        said.append(truth[known & labelled])
        scored.append(guess[known & labelled])
        rest.append(guess[known & ~labelled])
        without += int((~known).sum())
    found, guesses, others = (np.concatenate([np.empty(0), *parts]) for parts in (said, scored, rest))
    if len(found) < 2:
        raise BadInput(
            f"{ref} has {len(found)} rows with both a number in {labels!r} and in {score!r}; label some first"
        )
    if len(others) < 2:
        raise BadInput(f"every row of {ref} with a number in {score!r} is labelled: their mean is the answer, take AVG")
    made, weight = ppi_mean(found, guesses, others, level)
    alone = classical_mean(found, level)
    ratio = (alone.high - alone.low) / (made.high - made.low) if made.high > made.low else None
    return {
        "ref": ref, "score": score, "labels": labels, "level": level, "mean": made.mean, "low": made.low, "high": made.high,
        "labels_alone": {"mean": alone.mean, "low": alone.low, "high": alone.high},
        "score_alone": float(np.concatenate([guesses, others]).mean()),
        "rows": {"labelled": len(found), "unlabelled": len(others), "without a score": without},
        "weight": weight, "labels_worth": None if ratio is None else len(found) * ratio**2,
        "notes": [f"{len(found)} labels are few for a normal interval; label {FEW} or more"] if len(found) < FEW else [],
    }  # fmt: skip


def _numbers(column: pa.Array, name: str) -> np.ndarray:
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        raise BadInput(f"column {name!r} holds {kind}, not numbers; name a score, and labels as numbers (0 and 1)")
    return column.cast(pa.float64()).to_numpy(zero_copy_only=False)


def _from_meta(batch: pa.RecordBatch, labels: str) -> np.ndarray:
    """Numbers of a meta field; true and false count as 1 and 0, whatever else as no label."""
    name, found = labels[len(META) :], np.full(batch.num_rows, np.nan)
    for row, body in enumerate(batch.column("meta").to_pylist()):
        held = json.loads(body) if body else {}
        value = held.get(name) if isinstance(held, dict) else None
        if isinstance(value, (bool, int, float)):
            found[row] = float(value)
    return found
