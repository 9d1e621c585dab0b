"""The computed values of one sample, grouped by scorer, each at its place among all rows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from catalog.meta.models import ColumnRecord
from ui.web.components.figures import number
from ui.web.components.markup import Markup, h, link
from ui.web.components.parts import chip

VERDICT = "promote"
"""Name under which promotion records its verdict columns."""


def values(row: dict[str, Any], columns: Sequence[ColumnRecord], ref: str) -> Markup:
    """Name, position between the 1st and 99th percentile, value."""
    shown = [column for column in columns if column.alias in row and column.scorer != VERDICT]
    blocks = []
    for scorer, group in groupby(
        sorted(shown, key=lambda column: (column.scorer, column.alias)), lambda column: column.scorer
    ):
        held = list(group)
        blocks.append(h("div", h("span", scorer), cls="sx-group"))
        blocks += [_value(row[column.alias], column, ref) for column in held]
    return h("div", blocks or h("span", "no computed columns", cls="sx-faint"), cls="sx-values")


def _value(value: Any, column: ColumnRecord, ref: str) -> Markup:
    name = h(
        "a",
        column.alias,
        cls="sx-cut sx-soft",
        title=column.alias,
        **link("dataset", ref=ref, tab="columns", column=column.alias),
    )
    return h(
        "div",
        name,
        _place(value, column.statistics),
        h("span", _written(value), cls="sx-num", title=str(value)),
        cls="sx-value",
    )


def _written(value: Any) -> str:
    if isinstance(value, list):
        return f"[{len(value)}]"
    words = number(value)
    return words if len(words) <= 18 else words[:17] + "…"


def _place(value: Any, statistics: dict[str, Any]) -> Markup:
    held = statistics.get("quantiles") or {}
    low, high = held.get("1"), held.get("99")
    if not isinstance(value, (int, float)) or isinstance(value, bool) or low is None or high is None or high <= low:
        return h("span")
    at = min(max((value - low) / (high - low), 0.0), 1.0)
    title = f"1st percentile {number(low)}, median {number(held.get('50'))}, 99th {number(high)}"
    return h("span", h("i", style=f"left:{100 * at:.1f}%"), cls="sx-track", title=title)


def verdicts(row: dict[str, Any], columns: Sequence[ColumnRecord]) -> list[Markup]:
    """Why the sample was kept or dropped by each promotion it went through."""
    made = []
    for column in columns:
        if column.scorer != VERDICT or row.get(column.alias) is None:
            continue
        reason, target = str(row[column.alias]), column.alias.removeprefix("verdict_")
        if reason == "kept":
            made.append(chip(f"kept in {target}", "ok", f"verdict of the promotion of {column.population}"))
        else:
            made.append(
                chip(f"dropped from {target}: {reason}", "bad", f"first rule that applied, over {column.population}")
            )
    return made
