"""Who or what made a row, as the row itself says: a person, a model, a script.

Rows that people wrote in a campaign carry `person:NAME` in their meta (`strata grade edits`); rows that came with a field
of their own for it, such as `model`, are read by its name. It is what was declared, not what was detected: nothing is
guessed from the text, and a row that says nothing is undefined. The tier of rewritten and synthetic data asks for it on
every row (UltraData, arXiv:2602.09003).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog import states
from catalog.plugins import Context, Out, scorer


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    field: str = Field(
        "generator", min_length=1, description="field of meta that says it; of a nested one, its path by dots"
    )


@scorer(
    "generator",
    version="1",
    reads=["meta"],
    params=Params,
    cost="cpu",
    citation="arXiv:2602.09003",
    stage="L3",
    beyond_content=True,
    batch_rows=16384,
    writes=[Out("generator", pa.string(), "who or what made the row, as its meta declares", measure=True)],
)
def generator(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    path = ctx.params.field.split(".")
    said = [declared(meta, path) for meta in batch.column("meta").to_pylist()]
    known = np.array([one is not None for one in said], bool)
    return {
        "generator": pa.array(said, pa.string()),
        "_state": pa.array(np.where(known, states.VALUE, states.UNDEFINED).astype(np.uint8)),
    }


def declared(meta: str | None, path: list[str]) -> str | None:
    """The words at a path of a JSON object; None where there are none."""
    try:
        value: Any = orjson.loads(meta) if meta else None
    except orjson.JSONDecodeError:
        return None
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value.strip() or None if isinstance(value, str) else None
