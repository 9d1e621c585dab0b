"""Scorers to choose from, and the plan that follows from a choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ui.web.components.figures import compact, count, duration
from ui.web.components.markup import Markup, act, h
from ui.web.components.parts import caps, chip, table
from ui.web.queries.choosing import Offer

COST = {"cpu": "", "gpu": "warn", "api": "bad"}


def menu(grouped: Mapping[str, Sequence[Offer]], held: Sequence[str], rows: int, failed: Mapping[str, str]) -> Markup:
    """Families of scorers with what the dataset has of each; plug-ins that could not be loaded are named."""
    blocks = []
    for family, offers in grouped.items():
        usable = sorted(offers, key=lambda offer: (bool(offer.reason), offer.scorer.name))
        lines = [_offer(offer, offer.scorer.name in held, rows) for offer in usable]
        blocks.append(h("div", h("div", caps(family), cls="sx-pick-head"), lines))
    broken = [
        h("div", f"{module} could not be loaded: {why}", cls="sx-pick-bad sx-warn") for module, why in failed.items()
    ]
    return h("div", blocks, broken, cls="sx-frame sx-pick", data_keep="menu")


def _offer(offer: Offer, on: bool, rows: int) -> Markup:
    scorer = offer.scorer
    tail = h(
        "span", chip(scorer.cost, COST[scorer.cost], f"cost class {scorer.cost}"), _state(offer, rows), cls="sx-row"
    )
    return h(
        "div",
        h("span", cls="sx-box"),
        h("span", scorer.name, cls="sx-name sx-cut", title=scorer.name),
        h("span", scorer.summary, cls="sx-soft sx-cut", title=f"{scorer.summary} ({scorer.citation})"),
        tail,
        cls=f"sx-pick-row{' on' if on else ''}{' off' if offer.reason else ''}",
        aria_pressed="true" if on else "false",
        **({"role": "button", "aria_disabled": "true"} if offer.reason else act("scorer", scorer.name)),
    )


def _state(offer: Offer, rows: int) -> Markup:
    if offer.reason:
        return h("span", offer.reason, cls="sx-faint sx-state")
    if offer.covered is None:
        return h("span", "not computed", cls="sx-faint sx-state")
    if offer.covered >= rows:
        return h("span", "computed", cls="sx-ok sx-state")
    return h("span", f"{compact(offer.covered)} of {compact(rows)} rows", cls="sx-warn sx-state")


def steps(plan: Any) -> Markup:
    """What will run, in order: one line a step."""
    at = {step.fingerprint: number for number, stage in enumerate(plan.stages(), 1) for step in stage}
    body = []
    for step in sorted(plan.steps, key=lambda step: at.get(step.fingerprint, 0)):
        columns = list(step.aliases.values())
        named = ", ".join(columns[:3]) + (f" +{len(columns) - 3}" if len(columns) > 3 else "")
        body.append(
            (
                at.get(step.fingerprint, "–"),
                h("span", step.scorer, None if step.asked else h("span", " needed by others", cls="sx-faint")),
                chip(step.plugin.cost, COST[step.plugin.cost]),
                step.plugin.pattern,
                count(step.missing) if step.missing else h("span", "done", cls="sx-ok"),
                h("span", named, cls="sx-soft", title=", ".join(columns)),
            )
        )
    heads = ["pass", "scorer", "cost", "pattern", "rows missing", "columns"]
    return table(heads, body, numeric=(0, 4), nowrap=(1, 2, 3))


def total(plan: Any) -> str:
    """The plan in one sentence."""
    if not plan.todo:
        return "Nothing is missing: every row has its value under this recipe."
    values = sum(step.missing for step in plan.todo)
    costs = sorted({step.plugin.cost for step in plan.todo}, key=("cpu", "gpu", "api").index)
    passes = len(plan.stages())
    over = "one pass over the rows" if passes == 1 else f"{passes} passes over the rows"
    return f"{count(values)} values in {over}, cost class {' and '.join(costs)}"


def costs(estimates: Sequence[Any]) -> Markup:
    """Time of each missing step, and what the figure rests on."""
    body = [
        (
            item.scorer,
            duration(item.seconds) if item.seconds is not None else "unknown",
            item.device,
            compact(item.tokens),
            h("span", item.basis, cls="sx-faint"),
        )
        for item in estimates
        if item.missing
    ]
    return table(["scorer", "time", "device", "tokens", "basis"], body, numeric=(1, 3), nowrap=(0,))
