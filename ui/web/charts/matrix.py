"""A matrix of correlations as a table: the stronger, the deeper the colour; the sign in the number and the hue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ui.web.components.markup import Markup, h, link


def figure(ref: str, names: Sequence[str], matrix: Sequence[Sequence[float | None]], strong: float) -> Markup:
    """Every pair; a name opens its column, a number what else the pair goes along with."""
    shown = [("length" if name == "chars" else name) for name in names]
    head = h("tr", h("th", "", scope="col"), [h("th", h("span", name), scope="col", title=name) for name in shown])
    rows = [
        h("tr", _name(ref, names[at], label), [_cell(ref, names, shown, at, to, value) for to, value in enumerate(row)],
          cls="length" if names[at] == "chars" else None)
        for at, (label, row) in enumerate(zip(shown, matrix))
    ]  # fmt: skip
    marked = f"from {strong} on a correlation with length is outlined"
    return h(
        "div",
        h("table", h("thead", head), h("tbody", rows), cls="sx-matrix", aria_label=f"rank correlations, {marked}"),
        cls="sx-scroll",
    )


def _name(ref: str, name: str, label: str) -> Markup:
    if name == "chars":
        return h("th", label, scope="row")
    return h("th", h("a", label, **link("dataset", ref=ref, tab="columns", column=name)), scope="row", title=label)


def _cell(ref: str, names: Sequence[str], shown: Sequence[str], at: int, to: int, value: float | None) -> Markup:
    if at == to:
        return h("td", "·", cls="same")
    if value is None:
        return h("td", "–", title=f"{shown[at]} and {shown[to]}: too few rows have both", cls="none")
    deep = round(62 * abs(value))
    tone = "accent" if value >= 0 else "warn"
    called = "chars" in (names[at], names[to]) and abs(value) >= 0.5
    words: Any = f"{value + 0.0:.2f}".replace("-0.00", "0.00").replace("-", "−").replace("0.", ".")
    return h(
        "td",
        words,
        title=f"{shown[at]} and {shown[to]}: {value:+.3f}".replace("-", "−"),
        style=f"background:color-mix(in srgb, var(--sx-{tone}-tint) {deep}%, transparent)",
        cls="called" if called else None,
    )
