"""A page of samples as a list: preview, chosen columns, steps to other pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ui.web.components import samples
from ui.web.components.figures import count, number
from ui.web.components.markup import Markup, act, around, h
from ui.web.components.pager import pager
from ui.web.queries.rows import View

PAGE = 25


@dataclass(frozen=True)
class Page:
    """Rows of a view from `at` on. whole: rows of the version; relevance: row id -> (score, why) of a search."""

    rows: list[dict[str, Any]]
    shown: list[str]
    kind: str
    at: int
    total: int
    whole: int
    chosen: int
    relevance: dict[int, tuple[float, str]] = field(default_factory=dict)


def listing(page: Page, held: View) -> Markup:
    """Rows as a table; a click on a row picks it, one on a heading sorts by it."""
    heads = [h("th", "#", cls="sx-num"), h("th", "sample")]
    heads += [h("th", "relevance", cls="sx-num")] if page.relevance else []
    heads += [_heading(page, held, name) for name in page.shown]
    body = [_row(page, row, place) for place, row in enumerate(page.rows, page.at + 1)]
    grid = h("table", h("thead", h("tr", heads)), h("tbody", body), cls="sx-table sx-rows")
    return h("div", _pager(page, held), h("div", h("div", grid, cls="sx-scroll"), cls="sx-frame"))


def _heading(page: Page, held: View, name: str) -> Markup:
    sorted_ = held.sort == name
    arrow = (" ↓" if held.descending else " ↑") if sorted_ else ""
    order = ("descending" if held.descending else "ascending") if sorted_ else None
    kind = f"{_align(page, name)} asis{' on' if sorted_ else ''}"
    if page.relevance:
        return h("th", name + arrow, cls=kind, aria_sort=order)
    asks = h("span", name + arrow, title=f"sort by {name}", **act("sort", name))
    return h("th", asks, cls=kind, aria_sort=order, **around("sort", name))


def _row(page: Page, row: dict[str, Any], place: int) -> Markup:
    on = row["_rowid"] == page.chosen
    words = h(
        "div", samples.preview(row, page.kind) or "(empty)", cls="sx-two", aria_current="true" if on else None,
        **act("row", row["_rowid"]),
    )  # fmt: skip
    name = h("span", row["sample_id"][:8], cls="sx-mono sx-faint", title=row["sample_id"])
    cells = [h("td", count(place), cls="sx-num sx-faint"), h("td", words, name)]
    if page.relevance:
        score, why = page.relevance[row["_rowid"]]
        cells.append(h("td", number(score), cls="sx-num", title=why))
    cells += [h("td", number(row[name]), cls=_align(page, name)) for name in page.shown]
    return h("tr", cells, cls="on" if on else None, **around("row", row["_rowid"]))


def _align(page: Page, name: str) -> str:
    kinds = {type(row[name]) for row in page.rows if row[name] is not None}
    return "sx-num" if kinds and kinds <= {int, float} else "sx-nowrap"


def _pager(page: Page, held: View) -> Markup:
    searched = bool(held.words or held.like)
    of = f"of {count(page.total)}"
    if searched:
        of += " best hits"
    elif held.where:
        of += f" matching, {count(page.whole)} in all"
    order = f"by {held.sort}" if held.sort else "by relevance" if searched else "in table order"
    range_ = f"{count(page.at + 1)}–{count(page.at + len(page.rows))}"
    words = h("span", h("b", range_), f" {of}, {order}", cls="sx-soft")
    if held.like:
        back = {**act("like"), "title": "show all samples again"}
        words = h("span", words, " ", h("span", f"like {held.like[:8]} ×", cls="sx-chip accent", **back))
    return pager(words, page.at, PAGE, page.total)
