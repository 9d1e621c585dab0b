"""Coverage of a column: how many rows have a value, and why the others have none."""

from __future__ import annotations

from collections.abc import Mapping

from ui.web.components.figures import count, share
from ui.web.components.markup import Markup, h

COLOURS = {
    "value": "var(--sx-accent)",
    "undefined": "var(--sx-l0)",
    "out of validity": "var(--sx-l1)",
    "failed": "var(--sx-bad)",
    "not sampled": "var(--sx-edge)",
    "not computed": "var(--sx-line)",
}


def states(held: Mapping[str, int], rows: int, *, legend: bool = False) -> Markup:
    """A bar split by state; rows that no run has looked at are "not computed"."""
    counted = {name: held.get(name, 0) for name in COLOURS}
    counted["not computed"] += max(0, rows - sum(counted.values()))
    total = max(rows, sum(counted.values()), 1)
    pieces = [
        h("i", style=f"width:{100 * n / total:.3f}%;background:{COLOURS[name]}", title=f"{name}: {count(n)}")
        for name, n in counted.items()
        if n
    ]
    bar = h("div", pieces, cls="sx-states")
    if not legend:
        return bar
    keys = [
        h(
            "span",
            h("i", style=f"background:{COLOURS[name]}"),
            f"{name} ",
            h("b", count(n), style="color:var(--sx-ink);font-weight:600"),
            f" {share(n, total)}",
        )
        for name, n in counted.items()
        if n
    ]
    return h("div", bar, h("div", keys, cls="sx-key", style="margin-top:8px"))
