"""Distribution functions: the share of rows up to each value, one line a group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ui.web.charts.histogram import ticks
from ui.web.components.figures import compact, number
from ui.web.components.markup import Markup, h, text

LEFT, RIGHT, TOP, BOTTOM = 44, 12, 12, 26


def figure(groups: Sequence[dict[str, Any]], width: int = 760, height: int = 250) -> Markup:
    """Lines from 0 to 100 %, between the 0.5th and the 99.5th percentile of all rows."""
    whole = groups[0]["values"]
    low, high = whole[1], whole[-2]
    if high <= low:
        low, high = whole[0], whole[-1] if whole[-1] > whole[0] else whole[0] + 1
    wide, tall = width - LEFT - RIGHT, height - TOP - BOTTOM

    def x(value: float) -> float:
        return LEFT + wide * (min(max(value, low), high) - low) / (high - low)

    def y(share: float) -> float:
        return TOP + tall * (1 - share)

    parts: list[Markup] = []
    for share in (0, 0.25, 0.5, 0.75, 1):
        parts.append(h("line", x1=LEFT, x2=width - RIGHT, y1=f"{y(share):.1f}", y2=f"{y(share):.1f}", cls="g"))
        parts.append(h("text", f"{share:.0%}", x=LEFT - 7, y=f"{y(share) + 4:.1f}", text_anchor="end"))
    for at, group in reversed(list(enumerate(groups))):
        path = _path(group["values"], x, y)
        named = group["name"] or "all rows"
        middle = number(group["values"][len(group["values"]) // 2])
        title = Markup(f"<title>{text(f'{named}: median {middle}')}</title>")
        tone = "var(--sx-ink)" if not at else f"var(--sx-c{at - 1})"
        parts.append(h("path", title, d=path, style=f"stroke:{tone};stroke-width:{2.2 if not at else 1.6};fill:none"))
    parts += [
        h("text", number(tick), x=f"{x(tick):.1f}", y=height - 8, text_anchor="middle") for tick in ticks(low, high, 6)
    ]
    return h("svg", parts, viewBox=f"0 0 {width} {height}", cls="sx-hist", role="img",
             aria_label="share of rows up to a value")  # fmt: skip


def _path(values: Sequence[float], x: Any, y: Any) -> str:
    """Steps: up at a value, then along to the next."""
    last = len(values) - 1
    points = [f"M{x(values[0]):.1f},{y(0):.1f}"]
    for at, value in enumerate(values):
        points.append(f"H{x(value):.1f}V{y(at / last):.1f}")
    return "".join(points)


def key(groups: Sequence[dict[str, Any]]) -> Markup:
    """The lines by name, with rows and median."""
    items = []
    for at, group in enumerate(groups):
        tone = "var(--sx-ink)" if not at else f"var(--sx-c{at - 1})"
        middle = number(group["values"][len(group["values"]) // 2])
        words = h("span", f" {compact(group['rows'])}, median {middle}", cls="sx-faint")
        items.append(h("span", h("i", style=f"background:{tone}"), group["name"] or "all rows", words))
    return h("div", items, cls="sx-dots sx-dots-wide")
