"""Histograms from stored statistics: a thumbnail for the grid, a figure with axes and percentiles for one column."""

from __future__ import annotations

from math import ceil, floor, log1p, log10
from typing import Any

from ui.web.components.figures import compact, count, number
from ui.web.components.markup import Markup, h, text

MOST_BARS = 12


def thumbnail(statistics: dict[str, Any], width: int = 220, height: int = 40) -> Markup:
    """Bars only, of a numeric column or of the most frequent values; what stands beside them says the same in words."""
    heights = _heights(statistics)
    if not heights:
        return h("div", style=f"height:{height}px")
    top, step = max(heights) or 1, width / len(heights)
    bars = [
        h(
            "rect",
            x=f"{at * step + 0.5:.1f}",
            y=f"{height - _tall(value, top, height):.1f}",
            width=f"{max(step - 1, 1):.1f}",
            height=f"{_tall(value, top, height):.1f}",
            cls="b",
        )
        for at, value in enumerate(heights)
        if value
    ]
    base = h("line", x1=0, x2=width, y1=height - 0.5, y2=height - 0.5, cls="a")
    return _svg(width, height, bars, base)


def _heights(statistics: dict[str, Any]) -> list[int]:
    if held := statistics.get("histogram"):
        return held["counts"]
    return list((statistics.get("facets") or {}).values())[:MOST_BARS]


def _tall(value: float, top: float, height: float) -> float:
    """At least a visible line for what is not zero."""
    return max(1.5, (height - 2) * value / top) if value else 0.0


def figure(statistics: dict[str, Any], *, log: bool = False, width: int = 760, height: int = 250) -> Markup:
    """Histogram with axes, median line and the band from the 5th to the 95th percentile."""
    held = statistics["histogram"]
    edges, counts = held["edges"], held["counts"]
    left, right, top, bottom = 52, 14, 20, 26
    wide, tall = width - left - right, height - top - bottom
    low, high = edges[0], edges[-1]
    most = max(counts) or 1

    def x(value: float) -> float:
        return left + wide * (min(max(value, low), high) - low) / ((high - low) or 1)

    def rise(value: float) -> float:
        return tall * (log1p(value) / log1p(most) if log else value / most)

    parts: list[Markup] = []
    for tick in _log_ticks(most) if log else ticks(0, most, 4):
        y = top + tall - rise(tick)
        parts += [
            h("line", x1=left, x2=width - right, y1=f"{y:.1f}", y2=f"{y:.1f}", cls="g"),
            h("text", compact(tick), x=left - 8, y=f"{y + 4:.1f}", text_anchor="end"),
        ]
    parts += _percentiles(statistics.get("quantiles") or {}, x, top, tall)
    for begin, end, value in zip(edges, edges[1:], counts):
        if value:
            size = max(1.5, rise(value))
            label = f"{number(begin)} to {number(end)}: {count(value)} rows"
            parts.append(
                h(
                    "rect",
                    h_title(label),
                    x=f"{x(begin) + 0.6:.1f}",
                    y=f"{top + tall - size:.1f}",
                    width=f"{max(x(end) - x(begin) - 1.2, 1):.1f}",
                    height=f"{size:.1f}",
                    cls="b",
                )
            )
    parts.append(h("line", x1=left, x2=width - right, y1=top + tall + 0.5, y2=top + tall + 0.5, cls="a"))
    parts += [
        h("text", number(tick), x=f"{x(tick):.1f}", y=height - 8, text_anchor="middle") for tick in ticks(low, high, 7)
    ]
    middle = (statistics.get("quantiles") or {}).get("50")
    said = f"histogram of {count(sum(counts))} values from {number(low)} to {number(high)}"
    return _svg(width, height, parts, said=said + (f", median {number(middle)}" if middle is not None else ""))


def h_title(label: str) -> Markup:
    return Markup(f"<title>{text(label)}</title>")


def _percentiles(held: dict[str, float], x: Any, top: int, tall: int) -> list[Markup]:
    made = []
    if "5" in held and "95" in held and x(held["95"]) - x(held["5"]) > 1:
        made.append(
            h(
                "rect",
                x=f"{x(held['5']):.1f}",
                y=top,
                width=f"{x(held['95']) - x(held['5']):.1f}",
                height=tall,
                cls="band",
            )
        )
    if "50" in held:
        at = x(held["50"])
        left = at < x(float("inf")) - 130
        made += [
            h("line", x1=f"{at:.1f}", x2=f"{at:.1f}", y1=top, y2=top + tall, cls="m"),
            h(
                "text",
                f"median {number(held['50'])}",
                x=f"{at + 5:.1f}" if left else f"{at - 5:.1f}",
                y=top - 6,
                cls="m",
                text_anchor="start" if left else "end",
            ),
        ]
    return made


def ticks(low: float, high: float, wanted: int) -> list[float]:
    """Round numbers between low and high."""
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        return [(low + high) / 2]  # a constant
    raw = (high - low) / wanted
    size = 10.0 ** floor(log10(raw))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= raw)
    first = ceil(low / step - 1e-9)
    last = floor(high / step + 1e-9)
    return [round(at * step, 12) for at in range(first, last + 1)]


def _log_ticks(most: int) -> list[int]:
    return [0, *(10**power for power in range(0, 12) if 10**power <= most)]


def _svg(width: int, height: int, *parts: Any, said: str = "") -> Markup:
    """said: what it shows, in words; without it the figure is a stretched ornament, and is not read out."""
    return h(
        "svg",
        parts,
        viewBox=f"0 0 {width} {height}",
        cls="sx-hist",
        preserveAspectRatio=None if said else "none",
        style=None if said else f"height:{height}px",
        role="img" if said else None,
        aria_label=said or None,
        aria_hidden=None if said else "true",
    )
