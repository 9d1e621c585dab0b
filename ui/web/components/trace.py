"""One sample everywhere: the tiers that hold it, their verdicts, its grades, what was made of it, mixes that serve it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ui.web.components.markup import Markup, h, link
from ui.web.components.parts import caps, chip, tier


def traced(held: Mapping[str, Any]) -> Markup:
    """The answer of `catalog.trace.trace_sample` as a short list."""
    lines = [_row(row) for row in held["rows"]]
    lines += [_line(tier(child["tier"]), child["dataset"], "made from it") for child in held["children"]]
    for grade in held["grades"]:
        note = "suggested by" if grade["suggestion"] else "by"
        lines.append(h("div", h("b", grade["rubric"]), f" {grade['value']} {note} {grade['grader']}"))
    for mix in held["mixes"]:
        name = h("a", mix["mix"], cls="sx-link", **link("mixes", mix=mix["mix"]))
        lines.append(
            h("div", chip("mix", "accent"), name, h("span", f"through {mix['part']}", cls="sx-faint"), cls="sx-row")
        )
    return h("div", caps("everywhere"), h("div", lines, style="display:grid;gap:5px;margin-top:6px;font-size:13.5px"))


def _row(row: Mapping[str, Any]) -> Markup:
    if row["retracted"]:
        when: Any = chip("retracted", "bad")
    else:
        first, last = row["versions"]
        when = h("span", f"since v{first}" if last is None else f"v{first} to v{last}", cls="sx-faint")
    verdicts = [(name, value) for name, value in row["columns"].items() if name.startswith("verdict_") and value]
    marks = [chip(value, "ok" if value == "kept" else "bad", f"{name}") for name, value in verdicts]
    return h("div", _line(tier(row["tier"]), row["dataset"], when), marks, cls="sx-wrap")


def _line(mark: Markup, dataset: str, note: Any) -> Markup:
    name = h("a", dataset, cls="sx-link", **link("dataset", ref=dataset, tab="samples"))
    return h("div", mark, name, h("span", note, cls="sx-faint"), cls="sx-row")
