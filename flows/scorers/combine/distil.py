"""Distil: an expensive column on a sample becomes a cheap one for every row, if a held-out test says that it may.

The recipe behind most quality filters: a strong judge grades a sample, a small student learns it from stored features.
The report holds the held-out Spearman correlation with its bootstrap interval, the calibration by tenths, and how the
prediction and the teacher go with length. Below the floor the fit refuses, and no column is written.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from catalog import states
from catalog.errors import BadInput
from catalog.plugins import Context, Out, Scan, scorer
from flows.scorers.combine._held_out import agreement, held_out
from flows.scorers.combine._students import BUCKETS, apply, train
from flows.scorers.embedding._vectors import unit_vectors
from flows.scorers.ngram._linear import unit_features, unit_matrix

LEAST = 50  # graded rows without which no correlation is worth a number


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    teacher: str = Field("", description="column to learn, computed on a sample of the rows")
    student: Literal["ngram", "ridge", "gbdt", "mlp"] = Field("ngram", description="ngram reads text, others vectors")
    vectors: str = Field("", description="column of vectors for ridge, gbdt and mlp, such as embedding")
    floor: float = Field(0.6, ge=-1, le=1, description="held-out Spearman correlation below which it refuses")
    folds: int = Field(5, ge=2, le=20, description="folds of the test; rows of equal content are in one fold")


def fit(scan: Scan, ctx: Context) -> dict[str, Any]:
    """Train on all graded rows after a cross-validated test; `BadInput` with the figures where it is below the floor."""
    params = ctx.params
    if not params.teacher:
        raise BadInput("distil: say what to learn: --param teacher=COLUMN (score a sample first: --sample 2000)")
    if params.student != "ngram" and not params.vectors:
        raise BadInput(f"distil: student {params.student} learns from vectors: --param vectors=embedding")
    rows, wanted, contents, length = _graded(scan, params)
    if len(wanted) < LEAST or not np.ptp(wanted) > 0:
        raise BadInput(
            f"distil: {params.teacher!r} has {len(wanted)} usable values, {len(np.unique(wanted))} of them different; "
            f"score {LEAST} or more rows whose values differ"
        )
    features = _matrix(rows, params.student)
    guess = held_out(params.student, features, wanted, contents, params.folds, ctx.seed)
    report = agreement(guess, wanted, length, ctx.seed) | {"student": params.student, "floor": params.floor}
    if report["spearman"] < params.floor:
        raise BadInput(
            f"distil: the student's held-out Spearman correlation with {params.teacher!r} is {report['spearman']:.3f} "
            f"(95 %: {report['low']:.3f} to {report['high']:.3f}, {len(wanted)} rows), below the floor {params.floor}: "
            "score a larger sample, try another student, or lower the floor"
        )
    return {**train(params.student, features, wanted, ctx.seed), "report": report}


@scorer(
    "distil",
    version="1",
    fit=fit,
    fit_on="self",
    reads=["text"],
    columns=("vectors",),
    fit_columns=("teacher",),
    params=Params,
    cost="cpu",
    stage="L2",
    citation="ours; the practice of FineWeb-Edu (arXiv:2406.17557) and DCLM (arXiv:2406.11794)",
    libraries=("scikit-learn",),
    tolerance=1e-6,
    batch_rows=4096,
    writes=[Out("distilled", pa.float64(), "the student's estimate of the teacher column, in its unit")],
)
def distil(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    """A student's estimate of an expensive column for every row, with its held-out agreement in the column's report.

    Higher means what it means for the teacher. A row without a word (ngram) or a vector (others) is undefined.
    """
    rows, at = _inputs(batch, ctx.params)
    value, known = np.zeros(batch.num_rows), np.zeros(batch.num_rows, bool)
    known[at] = True
    if len(at):
        value[at] = apply(ctx.params.student, ctx.state, _matrix(rows, ctx.params.student))
    return {
        "distilled": pa.array(value, mask=~known),
        "_state": pa.array(np.where(known, states.VALUE, states.UNDEFINED).astype(np.uint8)),
    }


def _graded(scan: Scan, params: Params) -> tuple[Any, np.ndarray, list[str], np.ndarray]:
    parts, values, contents, lengths = [], [np.empty(0)], [], [np.empty(0)]
    for batch in scan():
        grade = batch.column(params.teacher)
        if not (pa.types.is_integer(grade.type) or pa.types.is_floating(grade.type) or pa.types.is_boolean(grade.type)):
            raise BadInput(f"distil: column {params.teacher!r} holds {grade.type}, not numbers; name another teacher")
        value = grade.cast(pa.float64()).to_numpy(zero_copy_only=False)
        batch = batch.filter(pa.array(np.isfinite(value)))
        rows, at = _inputs(batch, params)
        parts.append(rows)
        values.append(value[np.isfinite(value)][at])
        contents += batch.column("content_id").take(pa.array(at, pa.int64())).to_pylist()
        lengths.append(pc.fill_null(pc.utf8_length(batch.column("text")), 0).to_numpy(zero_copy_only=False)[at])
    texts = (
        [text for part in parts for text in part]
        if params.student == "ngram"
        else np.concatenate(parts or [np.empty((0, 1))])
    )
    return texts, np.concatenate(values), contents, np.concatenate(lengths)


def _inputs(batch: pa.RecordBatch, params: Params) -> tuple[Any, np.ndarray]:
    """What the student reads of each row that has it, and which rows these are."""
    if params.student != "ngram":
        return unit_vectors(batch, params.vectors)
    texts = batch.column("text").to_pylist()
    owner = unit_features(texts, BUCKETS)[0]
    at = np.unique(owner)
    return [texts[row] for row in at], at


def _matrix(rows: Any, student: str) -> Any:
    return rows if student != "ngram" else unit_matrix(rows, BUCKETS)
