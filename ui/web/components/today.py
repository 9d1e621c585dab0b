"""What waits for a decision and what is new, beside one another on the home page."""

from __future__ import annotations

from collections.abc import Sequence

from ui.web.components.figures import ago, count
from ui.web.components.markup import Markup, h, link
from ui.web.components.parts import caps, chip
from ui.web.queries.waiting import DAYS, News, Wait


def today(waits: Sequence[Wait], news: Sequence[News]) -> Markup:
    return h("div", _side("Waits for a decision", [_wait(item) for item in waits], "Nothing waits for a decision."),
             _side("New", [_news(item) for item in news], f"Nothing was published in the last {DAYS} days."),
             cls="sx-today")  # fmt: skip


def _side(heading: str, lines: list[Markup], none: str) -> Markup:
    body = h("div", lines, cls="sx-lines") if lines else h("div", none, cls="sx-faint sx-none")
    return h("section", caps(heading), body, cls="sx-panel")


def _wait(item: Wait) -> Markup:
    rest = item.count - len(item.names)
    names = ", ".join(item.names) + (f" and {rest} more" if rest > 0 and item.names else "")
    return h("a", h("b", count(item.count), cls=f"sx-count {item.tone}".strip()), h("span", item.what),
             h("span", names, cls="sx-faint sx-cut"), cls="sx-line", title=names, **link(item.page, **item.query))  # fmt: skip


def _news(item: News) -> Markup:
    return h("a", chip(item.kind), h("b", item.name, cls="sx-cut"), h("span", item.words, cls="sx-faint sx-cut"),
             h("span", ago(item.when), cls="sx-faint sx-num sx-when"), cls="sx-line", title=f"{item.name} {item.words}",
             **link(item.page, **item.query))  # fmt: skip
