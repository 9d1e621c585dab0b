"""A result of SQL as a chart: which columns can be its axes, and the drawing of one."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import streamlit as st

KINDS = {"table": "table", "bar": "bars", "line": "line", "points": "points"}
COLOUR = "#2f8f86"
"""The accent, at a lightness that stands out in both themes."""
DRAWN = 5_000
"""Rows that are drawn at most."""


def numbers(table: pa.Table) -> list[str]:
    """Columns that have a height."""
    kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
    return [field.name for field in table.schema if any(kind(field.type) for kind in kinds)]


def axes(table: pa.Table) -> tuple[list[str], list[str]]:
    """(columns for x, columns for y); labels and times come first in x, numbers alone are heights."""
    high = numbers(table)
    plain = [field.name for field in table.schema if not pa.types.is_nested(field.type)]
    return [*(name for name in plain if name not in high), *(name for name in plain if name in high)], high


def draw(table: pa.Table, kind: str, x: str, y: str, colour: str) -> None:
    """Draw the first rows; the theme of the page is the chart's."""
    names = list(dict.fromkeys(name for name in (x, y, colour) if name))
    frame = table.slice(0, DRAWN).select(names).to_pandas()
    for name in numbers(table.select(names)):
        frame[name] = frame[name].astype(float)
    options: dict[str, Any] = {"x": x, "y": y, "color": colour or COLOUR, "height": 380, "width": "stretch"}
    if kind == "bar":
        st.bar_chart(frame, sort=False, horizontal=_long(frame[x]), **options)
    elif kind == "line":
        st.line_chart(frame, **options)
    else:
        st.scatter_chart(frame, **options)


def _long(values: Any) -> bool:
    """Labels that would stand on top of one another below the bars."""
    return values.dtype == object and len(values) > 4 and int(values.astype(str).str.len().max() or 0) > 12
