"""Means with their intervals, one line a mix, the runs as open circles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, floor, log10
from typing import Any

from ui.web.components.figures import number
from ui.web.components.markup import Markup, h, text

LINE, LABEL, RIGHT, TOP, BOTTOM = 28, 210, 24, 10, 26
TONES = {"best": "", "tie": "tie", "worse": "worse", "better": "", "unknown": "worse"}


def figure(rows: Sequence[Mapping[str, Any]], result: str, width: int = 900) -> Markup:
    """rows: {"mix", "mean", "low", "high", "values", "verdict"}, drawn in their order."""
    low, high = _span(rows)
    height = TOP + LINE * len(rows) + BOTTOM
    wide = width - LABEL - RIGHT

    def x(value: float) -> float:
        return LABEL + wide * (value - low) / (high - low)

    parts: list[Markup] = []
    for tick in _ticks(low, high):
        parts += [
            h("line", x1=f"{x(tick):.1f}", x2=f"{x(tick):.1f}", y1=TOP, y2=height - BOTTOM, cls="g"),
            h("text", number(tick), x=f"{x(tick):.1f}", y=height - 9, text_anchor="middle"),
        ]
    parts += [_line(row, TOP + LINE * (at + 0.5), x) for at, row in enumerate(rows)]
    named = f"{result}: mean and 95% interval of {len(rows)} mixes"
    return h(
        "svg",
        parts,
        viewBox=f"0 0 {width} {height}",
        cls="sx-whiskers",
        role="img",
        aria_label=named,
        style=f"max-width:{width}px;width:100%",
    )


def _line(row: Mapping[str, Any], y: float, x: Any) -> Markup:
    said = f"{row['mix']}: {number(row['mean'])}"
    if row["low"] is not None:
        said += f", 95% interval {number(row['low'])} to {number(row['high'])}"
    name = row["mix"] if len(row["mix"]) < 30 else f"{row['mix'][:28]}…"
    pieces = [
        Markup(f"<title>{text(said)}</title>"),
        h("text", name, x=LABEL - 14, y=f"{y + 4:.1f}", text_anchor="end", cls="n"),
    ]
    if row["low"] is not None:
        pieces.append(
            h("line", x1=f"{x(row['low']):.1f}", x2=f"{x(row['high']):.1f}", y1=f"{y:.1f}", y2=f"{y:.1f}", cls="w")
        )
    pieces += [h("circle", cx=f"{x(value):.1f}", cy=f"{y:.1f}", r="3.2", cls="run") for value in row["values"].values()]
    pieces.append(h("circle", cx=f"{x(row['mean']):.1f}", cy=f"{y:.1f}", r="5"))
    return h("g", pieces, cls=TONES.get(row["verdict"], ""))


def _span(rows: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """All means, runs and intervals, with a margin."""
    ends = [value for row in rows for value in (row["mean"], *row["values"].values())]
    ends += [row[end] for row in rows for end in ("low", "high") if row[end] is not None]
    low, high = min(ends), max(ends)
    margin = 0.05 * (high - low) or abs(high) * 0.05 or 0.5
    return low - margin, high + margin


def _ticks(low: float, high: float, wanted: int = 6) -> list[float]:
    rough = (high - low) / wanted
    power = 10 ** floor(log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    return [round(at * step, 10) for at in range(ceil(low / step), floor(high / step) + 1)]
