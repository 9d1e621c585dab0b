"""Why a sample is here, and why it was kept or dropped further on."""

from __future__ import annotations

from collections.abc import Sequence

from ui.web.components.figures import number, plural, stamp
from ui.web.components.markup import Markup, h, link
from ui.web.components.parts import caps, chip, joined
from ui.web.queries.reasons import KEPT, Reason, Rule

MARKS = {"passed": ("✓", "sx-ok"), "dropped": ("✕", "sx-bad"), "not reached": ("·", "sx-faint")}


def why(held: Sequence[Reason], file: str | None) -> Markup:
    """One paragraph a promotion, its rules folded away unless one of them dropped the row."""
    blocks = [_reason(reason) for reason in held]
    if not any(reason.arrived for reason in held):
        said = h("div", "It came in from ", h("span", (file or "a source").rsplit("/", 1)[-1], cls="sx-mono"), ".")
        blocks.insert(0, said)
    return h("div", caps("why it is here"), h("div", blocks, cls="sx-why"))


def _reason(reason: Reason) -> Markup:
    name = h("a", reason.dataset, cls="sx-link", **link("dataset", ref=reason.dataset, tab="samples"))
    about = h("span", f" by the recipe {reason.recipe}, {stamp(reason.when)}", cls="sx-faint")
    passed = sum(rule.state == "passed" for rule in reason.rules)
    if reason.arrived:
        head = h("div", "Promoted from ", name, about)
    elif reason.verdict == KEPT:
        head = h("div", chip("kept", "ok"), " in ", name, about)
    else:
        head = h("div", chip(f"dropped: {reason.verdict}", "bad"), " on the way to ", name, about)
    if not reason.rules:
        return head
    dropped = [rule for rule in reason.rules if rule.state == "dropped"]
    words = f"{plural(passed, 'rule')} passed" + (", then this one did not" if dropped else "")
    listed = h("ul", [_rule(rule) for rule in reason.rules], cls="sx-rules")
    first = h("ul", [_rule(rule) for rule in dropped], cls="sx-rules") if dropped else None
    return h("div", head, first, h("details", h("summary", words), listed))


def _rule(rule: Rule) -> Markup:
    mark, tone = MARKS[rule.state]
    values = joined([f"{name} {number(value)}" for name, value in rule.values.items()])
    return h(
        "li",
        h("span", mark, cls=tone, title=rule.state),
        h(
            "div",
            h("b", rule.name),
            h("span", f" drops where {rule.where}", cls="sx-soft"),
            h("div", values, cls="sx-faint") if rule.values else None,
        ),
    )
