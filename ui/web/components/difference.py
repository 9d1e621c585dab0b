"""What changed between two versions of a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ui.web.components.figures import count, number, plural
from ui.web.components.markup import Markup, h, link
from ui.web.components.mix_change import delta
from ui.web.components.parts import asis, chip, panel, table

CLEAR = 0.1
"""Kolmogorov-Smirnov distance from which on a shift of scores is marked."""
SHIFTS = 20


def difference(held: Mapping[str, Any]) -> Markup:
    """Totals, samples, sources, licences, languages, and how scores moved."""
    if held["same"]:
        return h("div", chip("the same rows", "ok"))
    a, b = (asis(held[side]) for side in ("a", "b"))
    totals = [
        (name, count(held[name]["a"]), count(held[name]["b"]), delta(held[name]["change"]))
        for name in ("rows", "chars")
    ]
    if held.get("tokens"):
        tokens = held["tokens"]
        totals.append(("tokens", count(tokens["a"]), count(tokens["b"]), delta(tokens["change"])))
    moves = [
        ("in both", count(held["common"])),
        ("only in the newer", delta(held["added"])),
        ("only in the older", delta(-held["removed"])),
        ("same sample, other content", count(held["content_changed"])),
    ]
    spreads = [_category(name, held[name], a, b) for name in ("sources", "licences", "languages") if held.get(name)]
    head = h(
        "div",
        table(["", a, b, "change"], totals, numeric=(1, 2, 3)),
        table(["samples", "rows"], moves, numeric=(1,)),
        cls="sx-even sx-split",
    )
    return h("div", head, h("div", spreads, cls="sx-thirds"), _columns(held), _scores(held, a, b), cls="sx-stack")


def _category(name: str, values: Mapping[str, Any], a: Markup, b: Markup) -> Markup:
    rows = [
        (value, count(item["a"]), count(item["b"]), delta(item["change"])) for value, item in list(values.items())[:12]
    ]
    return table([name, a, b, "change"], rows, numeric=(1, 2, 3))


def _columns(held: Mapping[str, Any]) -> Markup | None:
    """Columns that only one side has, or that were made differently."""
    names = {
        "only_in_a": f"only in {held['a']}",
        "only_in_b": f"only in {held['b']}",
        "made_differently": "made by another recipe",
    }
    lines = [
        h("div", h("b", label), ": ", ", ".join(held["columns"][key]))
        for key, label in names.items()
        if held["columns"][key]
    ]
    return panel("Columns", lines) if lines else None


def _scores(held: Mapping[str, Any], a: Markup, b: Markup) -> Markup | None:
    """Scores that both sides have, the largest shift of the distribution first."""
    scores = held["scores"]
    if not scores:
        return None
    rows = []
    for name, item in list(scores.items())[:SHIFTS]:
        distance = item["ks"]
        mark = chip(f"{distance:.3f}", "warn" if distance >= CLEAR else "") if distance is not None else "–"
        column = h("a", name, cls="sx-link", **link("dataset", ref=held["b"], tab="columns", column=name))
        rows.append(
            (
                column,
                number(item["mean"][0]),
                number(item["mean"][1]),
                number(item["shift"]),
                mark,
                count(min(item["ks_rows"])),
            )
        )
    more = (
        h("div", f"{plural(len(scores) - SHIFTS, 'more score')} moved less", cls="sx-faint")
        if len(scores) > SHIFTS
        else None
    )
    heads = ["score", ["mean in ", a], ["in ", b], "shift", "KS distance", "rows compared"]
    return h("div", table(heads, rows, numeric=(1, 2, 3, 4, 5), nowrap=(0,)), more)
