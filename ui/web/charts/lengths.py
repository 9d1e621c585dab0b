"""Lengths of the samples of a version, on a logarithmic axis, from the counts that every version stores."""

from __future__ import annotations

from collections.abc import Mapping
from math import log1p
from typing import Any

from ui.web.components.figures import compact, count
from ui.web.components.markup import Markup, h, text

PER_E = 12
"""Stored bins a factor of e, as `catalog.statistics` counts them."""
BARS = 48


def figure(statistics: Mapping[str, Any], width: int = 560, height: int = 150) -> Markup | None:
    """Bars over characters, with the median and the 5th and 95th percentile below."""
    bins = statistics.get("length_bins") or []
    filled = [at for at, value in enumerate(bins) if value]
    if not filled:
        return None
    first, last = filled[0], filled[-1] + 1
    step = max(1, -(-(last - first) // BARS))
    bars = [sum(bins[at : at + step]) for at in range(first, last, step)]
    top, tall, wide = max(bars), height - 24, width / len(bars)
    parts = []
    for at, value in enumerate(bars):
        if value:
            size = max(1.5, (tall - 6) * value / top)
            low, high = _chars(first + at * step), _chars(first + (at + 1) * step)
            label = Markup(f"<title>{text(f'{count(low)} to {count(high)} characters: {count(value)} rows')}</title>")
            parts.append(
                h(
                    "rect",
                    label,
                    x=f"{at * wide + 0.6:.1f}",
                    y=f"{tall - size:.1f}",
                    width=f"{max(wide - 1.2, 1):.1f}",
                    height=f"{size:.1f}",
                    cls="b",
                )
            )
    parts.append(h("line", x1=0, x2=width, y1=tall + 0.5, y2=tall + 0.5, cls="a"))
    span = len(bars) * step
    for tick in (10**power for power in range(1, 9)):
        x = width * (log1p(tick) * PER_E - first) / span
        if 14 < x < width - 20:
            parts += [
                h("line", x1=f"{x:.1f}", x2=f"{x:.1f}", y1=tall, y2=tall + 4, cls="a"),
                h("text", compact(tick), x=f"{x:.1f}", y=height - 5, text_anchor="middle"),
            ]
    low, high = _chars(first), _chars(last)
    said = f"lengths of {count(sum(bars))} samples, from {count(low)} to {count(high)} characters"
    return h("svg", parts, viewBox=f"0 0 {width} {height}", cls="sx-hist", role="img", aria_label=said)


def _chars(at: int) -> int:
    return round(2.718281828459045 ** (at / PER_E) - 1)
