"""Vectors that came with the rows: a list of numbers in a field of the source becomes a column like any encoder's.

For what no encoder here can make: image, audio or vendor embeddings beside `image_uri` or `audio_uri` in `meta`. The
column takes part in everything that reads vectors: search by example, `vectors` of scorers and selectors, `compare`.
Words cannot be searched in it, since what made it is not here. A list is given in the file as such or as JSON text.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog import states
from catalog.errors import BadInput
from catalog.plugins import Context, Out, scorer


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    field: str = Field("vector", min_length=1, description="field of the source that holds the list of numbers")
    width: int = Field(384, ge=1, le=65_536, description="numbers of a vector; a row of another length is refused")


def widths(params: Params) -> dict[str, int]:
    """As wide as said: rows of another length are an error, never cut or filled."""
    return {"imported": params.width}


@scorer(
    "imported_vector",
    version="1",
    reads=["meta"],
    params=Params,
    widths=widths,
    cost="cpu",
    beyond_content=True,
    citation="ours",
    batch_rows=4096,
    writes=[Out("imported", pa.list_(pa.float32(), 384), "the vector that came with the row", measure=True)],
)
def imported_vector(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    """The vector in a field of the source, as it is. A row without the field is undefined."""
    params = ctx.params
    vectors, known = np.zeros((batch.num_rows, params.width), np.float32), np.zeros(batch.num_rows, bool)
    for row, meta in enumerate(batch.column("meta").to_pylist()):
        value = orjson.loads(meta).get(params.field) if meta else None
        if value is not None:
            vectors[row] = _vector(value, params, batch.column("sample_id")[row].as_py())
            known[row] = True
    column = pa.FixedSizeListArray.from_arrays(vectors.reshape(-1), params.width, mask=pa.array(~known))
    return {"imported": column, "_state": pa.array(np.where(known, states.VALUE, states.UNDEFINED).astype(np.uint8))}


def _vector(value: Any, params: Params, sample: str) -> np.ndarray:
    """The numbers of one row, or one line that names the row and what is wrong with it."""
    where = f"imported_vector: sample {sample[:12]}, field {params.field!r}"
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise BadInput(f"{where}: {value[:40]!r} is no list of numbers; name another field") from None
    if not isinstance(value, list):
        raise BadInput(f"{where}: {str(value)[:40]!r} is no list of numbers; name another field")
    if any(isinstance(item, bool) or not isinstance(item, int | float) for item in value):
        odd = next(item for item in value if isinstance(item, bool) or not isinstance(item, int | float))
        raise BadInput(f"{where}: holds {odd!r} among its numbers; mend or leave out the vector of this row")
    if len(value) != params.width:
        raise BadInput(
            f"{where}: {len(value)} numbers, not {params.width}; say --param width={len(value)} if all rows have it"
        )
    found = np.array(value, np.float64)
    if not (np.abs(found) <= np.finfo(np.float32).max).all():  # infinite, not a number, or beyond single precision
        raise BadInput(f"{where}: a number is not finite; mend or leave out the vector of this row")
    return found
