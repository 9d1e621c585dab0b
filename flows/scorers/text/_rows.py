"""Measures that are computed one text at a time: from a function of a string to columns with states."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa

from catalog import states
from catalog.plugins import Out

Values = Mapping[str, float | int | None]


def score_rows(
    texts: pa.Array, outs: tuple[Out, ...], measure: Callable[[str], Values], defined: Callable[[str], bool] = bool
) -> dict[str, pa.Array]:
    """Columns of `measure`. A null text, or one that is not `defined`, has no values: UNDEFINED; a text of which some
    value is None is UNDEFINED too and keeps the others."""
    columns: dict[str, list[float | int | None]] = {out.name: [] for out in outs}
    state = np.full(len(texts), states.UNDEFINED, np.uint8)
    for row, text in enumerate(texts.to_pylist()):
        values = measure(text) if text is not None and defined(text) else {}
        for name, column in columns.items():
            column.append(values.get(name))
        if values and None not in (values.get(name) for name in columns):
            state[row] = states.VALUE
    found = {out.name: pa.array(columns[out.name], out.type) for out in outs}
    return found | {"_state": pa.array(state, pa.uint8())}
