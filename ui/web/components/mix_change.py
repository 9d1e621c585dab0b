"""What changed between two mixes: totals, parts, rows that one serves and the other does not, and how scores shift."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ui.web.components.figures import count, number, share
from ui.web.components.lock import filter_text, order_words
from ui.web.components.markup import Markup, h
from ui.web.components.parts import asis, bar, caps, chip, panel, table

SHIFTS = 20


def difference(held: Mapping[str, Any]) -> Markup:
    """Two mixes side by side."""
    a, b = asis(held["a"]), asis(held["b"])
    totals = [_changed(name.replace("_", " "), held[name]) for name in ("samples", "tokens", "distinct_samples")]
    totals += [(name, *(_setting(side) for side in pair), "") for name, pair in held["settings"].items()]
    before, after = held["contamination"]
    if before != after:
        totals.append(("contamination", before, after, ""))
    licences = [_changed(name, item) for name, item in held["licences"].items()]
    sides = [_only(a, held["rows_removed"]), _only(b, held["rows_added"])]
    heads = ["", "part", "filter", ["served by ", a], ["by ", b], ["share in ", a], ["in ", b]]
    return h(
        "div",
        h("div", _sameness(held), cls="sx-wrap"),
        table(["total", a, b, "change"], totals, numeric=(1, 2, 3)),
        table(heads, [_compared(part) for part in held["parts"]], numeric=(3, 4, 5, 6), nowrap=(0, 1)),
        h("div", sides, cls="sx-split sx-even"),
        table(["rows by licence", a, b, "change"], licences, numeric=(1, 2, 3)),
        shifts(held["shifts"], a, b) if "shifts" in held else None,
        cls="sx-stack",
    )


def _setting(side: Any) -> Any:
    return order_words(side) if isinstance(side, dict) else h("span", str(side), cls="sx-mono")


def _changed(name: str, item: Mapping[str, Any]) -> tuple[Any, ...]:
    return name, count(item["a"]), count(item["b"]), delta(item["change"])


def _sameness(held: Mapping[str, Any]) -> Markup:
    if held["same"]:
        return chip("identical locks", "ok")
    return chip("same order") if held["same_order"] else chip("different order", "accent")


def _compared(part: Mapping[str, Any]) -> tuple[Any, ...]:
    tones = {"added": "ok", "removed": "bad", "changed": "warn"}
    served = [count((part[side] or {}).get("samples")) for side in "ab"]
    shares = [share(part[side]["share"]) if part[side] else "–" for side in "ab"]
    mark = chip(part["status"], tones.get(part["status"], ""))
    return mark, part["dataset"], filter_text(part["where"]), *served, *shares


def _only(name: Markup, side: Mapping[str, Any]) -> Markup:
    total = h("b", count(side["count"]), style="font-size:17px")
    return panel(["Samples only in ", name], total, _sources(side))


def _sources(side: Mapping[str, Any]) -> Markup:
    total = side["count"] or 1
    lines = [
        h(
            "div",
            h("div", h("span", name, cls="sx-cut"), h("span", count(rows), cls="sx-num sx-soft"), cls="sx-between"),
            bar(rows / total),
            style="display:grid;gap:3px",
        )
        for name, rows in list(side["sources"].items())[:6]
    ]
    ids = (
        h("div", caps("for example"), h("div", ", ".join(name[:8] for name in side["examples"]), cls="sx-mono sx-soft"))
        if side["examples"]
        else None
    )
    return h("div", lines, ids, style="display:grid;gap:8px;margin-top:8px")


def delta(change: int | float | None) -> Any:
    """A change with its sign, in colour."""
    if change is None or change == 0:
        return h("span", "–" if change is None else "±0", cls="sx-faint")
    return h("span", f"{change:+,}".replace("-", "−"), cls=f"sx-delta {'plus' if change > 0 else 'minus'}")


def shifts(found: Mapping[str, Any], a: Markup, b: Markup) -> Markup:
    """Shares of sources, languages and licences, and the scores that moved by more than chance."""
    shares = [
        (column, value, share(before), share(after))
        for column, values in found["shares"].items()
        for value, (before, after) in values.items()
        if abs(before - after) >= 0.0005
    ]
    moved = {name: held for name, held in found["numbers"].items() if held["shift"] > held["chance"]}
    rows = [
        (
            name,
            number(held["mean a"]),
            number(held["mean b"]),
            number(held["median a"]),
            number(held["median b"]),
            f"{held['shift']:.3f}",
            f"{held['chance']:.3f}",
        )
        for name, held in list(moved.items())[:SHIFTS]
    ]
    about = (
        f"From {count(found['sampled'][0])} and {count(found['sampled'][1])} samples, evenly spread over each order. Shift: the greatest "
        "gap between the two distributions (0 alike, 1 apart); chance: what two samples of one distribution stay below, 95 times in 100."
    )
    heads = ["score", ["mean in ", a], ["in ", b], ["median in ", a], ["in ", b], "shift", "chance"]
    quiet = h("span", f"None of {len(found['numbers'])} scores shifts beyond chance.", cls="sx-soft")
    left = len(moved) - len(rows)
    return panel(
        "Shifts of what is served",
        table(["of", "value", a, b], shares, numeric=(2, 3), nowrap=(0,))
        if shares
        else h("div", "Sources, licences and languages have the same shares.", cls="sx-soft"),
        h(
            "div",
            table(heads, rows, numeric=(1, 2, 3, 4, 5, 6), nowrap=(0,)) if rows else quiet,
            style="margin-top:10px",
        ),
        h(
            "div",
            f"{left} more scores shift. " if left > 0 else "",
            about,
            cls="sx-faint",
            style="margin-top:6px;font-size:12.5px",
        ),
    )
