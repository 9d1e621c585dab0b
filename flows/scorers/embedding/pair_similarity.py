"""Cosine of two vectors of a row: an image and its caption, a question and its answer, a text and its translation.

The filter of DataComp (Gadre et al. 2023, arXiv:2304.14108): keep the pairs whose CLIP similarity is highest, by a
threshold or a share. Data filtering networks (Fang et al. 2023, arXiv:2309.17425) are the same with the vectors of a
network that was trained to filter: its columns are given here. No pixel or sound model ships; `left` and `right` name
columns that were made elsewhere and stored beside the rows.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog import states
from catalog.errors import BadInput
from catalog.plugins import Context, Out, scorer
from flows.scorers.embedding._vectors import unit_vectors


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    left: str = Field("", description="column of vectors, such as those of images")
    right: str = Field("", description="column of vectors in the same space, such as those of captions")


@scorer(
    "pair_similarity",
    version="1",
    reads=[],
    columns=("left", "right"),
    params=Params,
    cost="cpu",
    citation="arXiv:2304.14108 (the filter); arXiv:2309.17425",
    batch_rows=16384,
    tolerance=1e-6,
    writes=[Out("pair_similarity", pa.float32(), "cosine of the two vectors", "higher", (-1, 1))],
)
def pair_similarity(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    """Cosine of two columns of vectors. A row that lacks one of them is undefined; a vector of zeros has cosine 0."""
    left, right, rows = pairs(batch, ctx.params.left, ctx.params.right, "pair_similarity")
    value, known = np.zeros(batch.num_rows), np.zeros(batch.num_rows, bool)
    value[rows], known[rows] = np.clip(np.einsum("ij,ij->i", left, right), -1, 1), True
    return {
        "pair_similarity": pa.array(value, mask=~known).cast(pa.float32()),
        "_state": pa.array(np.where(known, states.VALUE, states.UNDEFINED).astype(np.uint8)),
    }


def pairs(batch: pa.RecordBatch, left: str, right: str, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit vectors of the rows that have both, and which rows these are."""
    if not left or not right:
        raise BadInput(f"{name}: say which columns of vectors: --param left=COLUMN --param right=COLUMN")
    for column in (left, right):
        if not pa.types.is_fixed_size_list(batch.column(column).type):
            raise BadInput(f"{name}: column {column!r} holds {batch.column(column).type}, not vectors; name another")
    one, first = unit_vectors(batch, left)
    two, second = unit_vectors(batch, right)
    if one.shape[1] != two.shape[1]:
        raise BadInput(f"{name}: {left} has {one.shape[1]} numbers a row, {right} {two.shape[1]}; they share no space")
    rows = np.intersect1d(first, second, assume_unique=True)
    return one[np.isin(first, rows)].astype(np.float64), two[np.isin(second, rows)].astype(np.float64), rows
