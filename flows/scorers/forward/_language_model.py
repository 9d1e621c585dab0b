"""What the scorers of this group share: parameters of a pass, loading, and columns with gaps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog import states
from catalog.errors import BadInput
from catalog.plugins import Context


class PassParams(BaseModel):
    """Parameters of a pass; the scores read from it declare the same, so that they reach the pass by name."""

    model_config = ConfigDict(extra="forbid")

    model: str = Field("smollm2-135m", min_length=1, description="smollm2-135m, a local folder or a Hugging Face id")
    max_tokens: int = Field(
        512, ge=8, le=131072, description="tokens of a sequence that are read; the rest is not scored"
    )


class LongPassParams(PassParams):
    """The same with the 1,024 tokens of GPT-2, which Superfiltering reads."""

    max_tokens: int = Field(
        1024, ge=8, le=131072, description="tokens of a sequence that are read; the rest is not scored"
    )


def load_language_model(ctx: Context) -> Any:
    """The model of the parameters, refused when its positions do not reach `max_tokens`."""
    from flows.models import load_causal_lm

    params = ctx.params
    lm = load_causal_lm(params.model, ctx.device, ctx.dtype)
    if lm.positions and params.max_tokens > lm.positions:
        raise BadInput(
            f"max_tokens {params.max_tokens} is beyond the {lm.positions} positions of {params.model}; ask for less"
        )
    return lm


def spread(values: Sequence[Any] | np.ndarray, rows: np.ndarray, total: int, type_: pa.DataType) -> pa.Array:
    """A column of `total` rows with `values` at `rows` and null elsewhere."""
    missing = np.ones(total, bool)
    missing[rows] = False
    full = np.zeros(total, type_.to_pandas_dtype())
    full[rows] = values
    return pa.array(full, type_, mask=missing)


def states_of(valued: np.ndarray, total: int, gap: int | np.ndarray = states.UNDEFINED) -> pa.Array:
    """State codes: value at the rows `valued`, `gap` (one code or one a row) elsewhere."""
    codes = np.full(total, gap, np.uint8) if np.isscalar(gap) else np.asarray(gap, np.uint8).copy()
    codes[valued] = states.VALUE
    return pa.array(codes, pa.uint8())
