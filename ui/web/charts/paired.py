"""Two histograms over the same bins, as shares, so that sets of different size compare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ui.web.charts.histogram import h_title
from ui.web.components.figures import number, share
from ui.web.components.markup import Markup, h


def paired(held: Mapping[str, Any], width: int = 300, height: int = 96) -> Markup:
    """Bars of both sides over one another. held: edges, and counts of a and b."""
    edges, foot = held["edges"], 16
    shares = [[count / max(sum(held[side]), 1) for count in held[side]] for side in "ab"]
    top, tall = max(max(side) for side in shares) or 1, height - foot
    step = width / len(shares[0])
    bars = []
    for name, side in zip(("pa", "pb"), shares):
        for at, part in enumerate(side):
            if part:
                size = max(1.5, (tall - 2) * part / top)
                label = f"{number(edges[at])} to {number(edges[at + 1])}: {share(part)} of {name[1]}"
                bars.append(
                    h(
                        "rect",
                        h_title(label),
                        x=f"{at * step + 0.4:.1f}",
                        y=f"{tall - size:.1f}",
                        width=f"{max(step - 0.8, 1):.1f}",
                        height=f"{size:.1f}",
                        cls=name,
                    )
                )
    base = h("line", x1=0, x2=width, y1=tall + 0.5, y2=tall + 0.5, cls="a")
    ends = [
        h("text", number(edges[0]), x=0, y=height - 3, text_anchor="start"),
        h("text", number(edges[-1]), x=width, y=height - 3, text_anchor="end"),
    ]
    return h("svg", bars, base, ends, viewBox=f"0 0 {width} {height}", cls="sx-hist", role="img",
             aria_label="histograms of a and b over the same bins")  # fmt: skip
