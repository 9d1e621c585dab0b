"""What a campaign came to: agreement with intervals, each grader's speed and share of planted items right, conflicts."""

from __future__ import annotations

from typing import Any

from ui.web.components.figures import ago, count, duration, number, share
from ui.web.components.markup import Markup, act, h
from ui.web.components.parts import caps, facts, table

LABELS = {"kappa": "Cohen's kappa", "linear": "Cohen's kappa, linear", "quadratic": "Cohen's kappa, quadratic"}
PAIRS = 30
"""Pairs of graders that are listed; more are said."""


def head(line: dict[str, Any], status: dict[str, Any]) -> Markup:
    strip = [
        ("items", count(line["items"])), ("complete", count(line["complete"])), ("graders", count(len(status["graders"]))),
        ("wanted each", count(line["graders"])), ("in bulk", count(line["in_bulk"]) if line["in_bulk"] else None),
        ("settled", count(status["settled"])), ("held now", count(status["held"])),
    ]  # fmt: skip
    return facts([(name, value) for name, value in strip if value is not None], large=2)


def interval(found: dict[str, Any]) -> Markup:
    """A coefficient with its 95 % interval, drawn on a line from 0 to 1."""
    value, low, high = found["value"], found["low"], found["high"]
    if value != value:
        return h("span", "undefined: every value is the same", cls="sx-faint")
    words = number(round(value, 3))
    if low != low:
        return h("span", h("b", words), h("span", " too few items for an interval", cls="sx-faint"))
    left, right = (min(max(end, 0.0), 1.0) for end in (low, high))
    track = h("span", h("i", cls="sx-range", style=f"left:{100 * left:.1f}%;width:{100 * max(right - left, 0.01):.1f}%"),
              h("i", cls="sx-dot", style=f"left:{100 * min(max(value, 0), 1):.1f}%"), cls="sx-interval", aria_hidden="true")  # fmt: skip
    ends = h("span", f"{number(round(low, 3))} to {number(round(high, 3))}", cls="sx-faint")
    return h("span", h("b", words), track, ends, cls="sx-coefficient")


def agreement(found: dict[str, Any]) -> Markup:
    """One panel a question."""
    made = [_question(name, body) for name, body in found["questions"].items()]
    about = "1 is perfect, 0 is what chance gives, below 0 is less. The interval is a 95 % bootstrap over items, of 200 resamples (strata grade agree: 1,000)."
    return h("div", made, h("div", about, cls="sx-faint", style="font-size:12.5px"), cls="sx-stack")


def _question(name: str, body: dict[str, Any]) -> Markup:
    rows = [(f"Krippendorff's alpha, {metric}", "all", count(found["items"]), interval(found))
            for metric, found in body["alpha"].items()]  # fmt: skip
    if body["fleiss"]:
        rows.append(("Fleiss' kappa", "all wanted", count(body["fleiss"]["items"]), interval(body["fleiss"])))
    for pair in body["pairs"][:PAIRS]:
        rows += [(label, f"{pair['a']}, {pair['b']}", count(pair["items"]), interval(pair[kind]))
                 for kind, label in LABELS.items() if kind in pair]  # fmt: skip
    left = len(body["pairs"]) - PAIRS
    heading = h("h3", name.replace("_", " "), cls="sx-h3")
    if not rows:
        return h("section", heading, h("div", "No two graders share an item yet.", cls="sx-faint"))
    more = h("div", f"{left} more pairs of graders: strata grade agree", cls="sx-faint") if left > 0 else None
    return h(
        "section", heading, table(["coefficient", "graders", "n", "agreement"], rows, numeric=(2,), nowrap=(0, 1)), more
    )


def graders(status: dict[str, Any], found: dict[str, Any]) -> Markup:
    """Each grader: how many, how fast, how right on planted items, how far from the others."""
    gold = {line["grader"]: line for line in status["gold"]}
    apart: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for question, body in found["questions"].items():
        for line in body["graders"]:
            apart.setdefault(line["grader"], []).append((question, line))
    rows = [
        (
            one["grader"],
            count(one["graded"]),
            count(one["skipped"]),
            duration(one["median_seconds"]),
            _gold(gold.get(one["grader"])),
            _beside(apart.get(one["grader"], [])),
            ago(one["last"]),
        )
        for one in status["graders"]
    ]
    heads = ["grader", "graded", "skipped", "median time", "planted items right", "beside the others", "last"]
    return table(heads, rows, numeric=(1, 2, 3), nowrap=(0, 6))


def _gold(line: dict[str, Any] | None) -> Any:
    if not line:
        return h("span", "none given yet", cls="sx-faint")
    ends = f" {share(line['low'])} to {share(line['high'])}, n {line['answers']}"
    return h("span", h("b", share(line["right"])), h("span", ends, cls="sx-faint"))


def _beside(lines: list[tuple[str, dict[str, Any]]]) -> Any:
    if not lines:
        return h("span", "shares no item", cls="sx-faint")
    made = []
    for question, line in lines:
        mean = line.get("mean_difference")
        steady = f", on average {number(round(mean, 2))}" if mean is not None else ""
        made.append(h("div", f"{question.replace('_', ' ')}: same {share(line['same'])}{steady}", cls="sx-soft"))
    return h("div", made)


def conflicts(rows: list[dict[str, Any]], chosen: tuple[str, ...], at: int, page: int) -> Markup:
    """Conflicts, widest first; a click opens one."""
    shown = rows[at : at + page]
    lines = [
        (
            count(row["item"]),
            row["name"].replace("_", " ") + (f", {row['target']}" if row["target"] else ""),
            h(
                "div",
                [
                    h("span", f"{who} ", h("b", value), style="margin-right:12px")
                    for who, value in row["values"].items()
                ],
            ),
            "–" if row["spread"] is None else number(row["spread"]),
            h("span", h("b", row["final"]), h("span", f" by {row['by']}", cls="sx-faint")) if row["final"] else "open",
        )
        for row in shown
    ]
    actions = [("settle", key_of(row)) for row in shown]
    on = next((place for place, row in enumerate(shown) if key_of(row) == ":".join(chosen)), None)
    return table(
        ["item", "question", "said", "apart", "settled"], lines, numeric=(0, 3), actions=actions, on=on, nowrap=(1,)
    )


def key_of(row: dict[str, Any]) -> str:
    return f"{row['item']}:{row['name']}:{row['target']}"


def acts(held: list[dict[str, Any]]) -> Markup | None:
    """Grades that were given to many rows at once."""
    if not held:
        return None
    rows = [
        (
            h("span", one["where"], cls="sx-mono"),
            ", ".join(f"{name} {value}" for name, value in one["values"].items()),
            count(one["items"]),
            one["grader"],
            ago(one["created"]),
            one["note"] or "–",
            h("span", f"taken back {ago(one['undone'])}", cls="sx-faint") if one["undone"]
            else h("span", "Undo", cls="sx-step", **act("undo", one["act"])),
        )
        for one in held
    ]  # fmt: skip
    return h("div", h("div", caps("acts"), style="margin-bottom:6px"),
             table(["rows", "grade", "items", "by", "when", "note", ""], rows, numeric=(2,), nowrap=(3, 4, 6)))  # fmt: skip
