"""Steps through pages that are held in the address by their offset."""

from __future__ import annotations

from typing import Any

from ui.web.components.markup import Markup, act, h


def pager(words: Any, at: int, page: int, total: int) -> Markup:
    """What is shown, in words, and the steps to the first, the previous and the next page."""
    last = max(0, (total - 1) // page * page)
    steps = [
        _step("First", 0, at > 0),
        _step("Previous", max(0, at - page), at > 0),
        _step("Next", at + page, at < last),
    ]
    return h("div", words, h("span", steps, cls="sx-steps"), cls="sx-pager")


def _step(label: str, to: int, on: bool) -> Markup:
    if not on:
        return h("span", label, cls="sx-step off", role="button", aria_disabled="true")
    return h("span", label, cls="sx-step", **act("at", to))
