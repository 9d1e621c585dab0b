"""Campaigns as a list: how far each is, how far its graders agree, and what waits for the person who looks."""

from __future__ import annotations

from typing import Any

from catalog import Catalog
from ui.web.components.figures import ago, count, number
from ui.web.components.markup import Markup, h, link
from ui.web.components.parts import bar, chip, joined
from ui.web.queries.campaigns import alphas

EXAMPLE = """strata grade create clarity web --rubric clarity.yaml --graders 2 --order random --items 200
strata grade work clarity --as ann"""


def listing(cat: Catalog, lines: list[dict[str, Any]]) -> Markup:
    """One row a campaign; those that wait for this person first."""
    order = sorted(lines, key=lambda line: (bool(line["closed"]), not line["waiting"], not line["held"]))
    return h("div", [_row(cat, line) for line in order], cls="sx-campaigns")


def _row(cat: Catalog, line: dict[str, Any]) -> Markup:
    name = line["campaign"]
    waits = bool(line["waiting"]) and not line["closed"]
    return h(
        "a",
        h("div", h("div", h("span", name, cls="sx-name"), _state(line), cls="sx-row"),
          h("div", _about(line), cls="sx-soft sx-cut"), style="min-width:0"),
        h("div", progress(line), style="min-width:0"),
        h("div", _agreement(cat, line), cls="sx-campaign-agree"),
        h("div", _waits(line), cls="sx-campaign-waits"),
        cls="sx-campaign", **link("grade", campaign=name, tab="queue" if waits else "results"),
    )  # fmt: skip


def _state(line: dict[str, Any]) -> Markup | None:
    if line["closed"]:
        return chip("closed", title=line["closed"])
    if line["complete"] + line["in_bulk"] >= line["items"]:
        return chip("complete", "ok")
    return None


def _about(line: dict[str, Any]) -> Markup:
    order = None if line["order"] == "given" else line["order"]
    what = "pairs" if line["kind"] == "pair" else {"turn": "turns", "span": "samples and stretches"}.get(line["target"])
    graders = "one grader" if line["graders"] == 1 else f"{line['graders']} graders, blind"
    return joined([h("span", line["ref"], cls="sx-mono"), line["rubric"], what, order, graders])


def progress(line: dict[str, Any]) -> Markup:
    done = line["complete"] + line["in_bulk"]
    words = f"{count(done)} of {count(line['items'])} items"
    bulk = f", {count(line['in_bulk'])} in bulk" if line["in_bulk"] else ""
    return h("div", h("div", words, bulk, cls="sx-soft sx-num", style="text-align:left;margin-bottom:5px"),
             bar(done / line["items"] if line["items"] else 0))  # fmt: skip


def _agreement(cat: Catalog, line: dict[str, Any]) -> Any:
    found = alphas(cat, line)
    if not found:
        return h("span", "one grader each" if line["graders"] < 2 else "no item is shared yet", cls="sx-faint")
    lowest = min(found, key=lambda one: one[1]["value"])
    more = f", lowest of {len(found)}" if len(found) > 1 else ""
    title = "Krippendorff's alpha: 1 is perfect, 0 is chance"
    return h("span", h("b", f"α {number(round(lowest[1]['value'], 3))}"),
             h("span", f" {lowest[0].replace('_', ' ')}{more}, n {count(lowest[2])}", cls="sx-soft"), title=title)  # fmt: skip


def _waits(line: dict[str, Any]) -> Any:
    if line["closed"]:
        return h("span", f"closed {ago(line['closed'])}", cls="sx-faint")
    if not line["waiting"]:
        return h("span", "nothing waits for you", cls="sx-faint")
    return h("span", f"{count(line['waiting'])} wait for you", cls="sx-chip accent")
