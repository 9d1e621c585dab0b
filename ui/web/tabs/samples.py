"""Sample browser: filter, sort, search, page, and one sample with everything known about it."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from catalog import Catalog
from catalog.catalog import Resolved
from catalog.errors import NotFound
from catalog.meta.models import ColumnRecord
from catalog.trace import trace_sample
from ui.web.components import address, sample_views, samples, shell
from ui.web.components.browse import PAGE, Page, listing
from ui.web.components.figures import count
from ui.web.components.markup import Markup, h, live
from ui.web.components.sample_panel import Extras, panel
from ui.web.components.trace import traced
from ui.web.components.values import VERDICT
from ui.web.components.why import why
from ui.web.queries import hits, rows
from ui.web.queries.reasons import reasons

MODES = {"text": "words", "vector": "meaning", "hybrid": "both"}
MISSING = {"error": "refuse", "drop": "drop row", "keep": "keep row"}
DIRECTIONS = {"down": "high first", "up": "low first"}
SORTABLE = ("chars", "line", "added", "licence", "source")
NEAR = 5_000
"""Rows of an order that its first pages need; the whole order is made when somebody goes further."""
RESET = ("at", "row", "like", "trace")


@st.cache_data(show_spinner=False, max_entries=64)
def _count(_cat: Catalog, home: str, held: rows.View) -> int:
    return rows.count(_cat, held)


@st.cache_data(show_spinner="sorting …", max_entries=12)
def _ordered(_cat: Catalog, home: str, held: rows.View, keep: int) -> np.ndarray:
    return rows.ordered_ids(_cat, held, keep)


@st.cache_data(show_spinner="searching …", max_entries=32)
def _hits(_cat: Catalog, home: str, held: rows.View) -> hits.Hits:
    return hits.found(_cat, held)


def draw(cat: Catalog, found: Resolved) -> None:
    columns = cat.columns(found.dataset.name)
    held, shown = _toolbar(cat, found, columns)
    page, notes = _page(cat, found, held, shown)
    for line in notes:
        shell.show(shell.note(line))
    if not page.rows:
        shell.show(shell.note(_nothing(held, page)))
        return
    if address.get("maths"):
        with shell.guarded():
            sample_views.drawn_formulas(rows.one(cat, held, page.chosen), found.dataset.kind)
    live(h("div", listing(page, held), _side(cat, found, held, page, columns), cls="sx-browse"), "samples", _handle)


def _page(cat: Catalog, found: Resolved, held: rows.View, shown: list[str]) -> tuple[Page, tuple[str, ...]]:
    """The page that the address names, and what a search does not cover."""
    home, relevance, notes = str(cat.settings.home), {}, ()
    if held.words or held.like:
        relevance, notes = _hits(cat, home, held)
        total = len(relevance)
    else:
        total = _count(cat, home, held)
    at = min(address.get_int("at"), max(0, (total - 1) // PAGE * PAGE))
    if held.words or held.like:
        ids = np.array(list(relevance)[at : at + PAGE], np.uint64)
    elif held.sort:
        keep = NEAR if at + PAGE <= NEAR else rows.ORDERED
        ids = _ordered(cat, home, held, keep)[at : at + PAGE]
    else:
        ids = rows.table_ids(cat, held, at, PAGE)
    got = rows.take(cat, held, ids, [*samples.fields(found.dataset.kind), *shown])
    chosen = address.get_int("row", got[0]["_rowid"] if got else 0)
    whole = found.version.rows if found.version else 0
    return Page(got, shown, found.dataset.kind, at, total, whole, chosen, relevance), notes


def _nothing(held: rows.View, page: Page) -> str:
    if page.at and page.total:
        return f"an order by a column reaches {count(rows.ORDERED)} rows; narrow it with a filter or turn it round"
    if held.where or held.words or held.like:
        return "No sample matches. Loosen the filter or the search."
    return "This version has no rows."


def _toolbar(cat: Catalog, found: Resolved, columns: list[ColumnRecord]) -> tuple[rows.View, list[str]]:
    """Search, filter, order and columns; returns the view they ask for and the columns to list."""
    like = address.get("like")
    names = [*(c.alias for c in columns if not c.type.startswith(("fixed_size_list", "list"))), *SORTABLE]
    boxes = st.columns([1.5, 0.75, 2.1, 0.75, 1.15, 0.8, 1.5, 0.75], gap="small", vertical_alignment="bottom")
    with boxes[0]:
        words = address.text_box("Search", "q", RESET, placeholder="words or a sentence")
    with boxes[1]:
        mode = address.choice("By", "mode", list(MODES), "text", RESET, format_func=MODES.get)
    with boxes[2]:
        where = address.text_box("Filter", "where", RESET, placeholder="SQL, e.g. language = 'en' and chars > 500")
    with boxes[3]:
        missing = address.choice("Missing", "missing", list(MISSING), "error", RESET, format_func=MISSING.get)
    searching = bool(words or like)
    with boxes[4]:
        sort = address.choice("Sort", "sort", ["", *names], "", RESET, format_func=_order_name, disabled=searching)
    with boxes[5]:
        idle = searching or not sort
        way = address.choice(
            "Order", "order", list(DIRECTIONS), "down", RESET, format_func=DIRECTIONS.get, disabled=idle
        )
    with boxes[6]:
        asked = address.choices("Columns", "show", names, placeholder="automatic", max_selections=5)
    with boxes[7]:
        _jump()
    options: dict[str, Any] = {"where": where, "missing": missing}
    if like:
        options["like"] = like
    elif words:
        options |= {"words": words, "mode": mode}
    else:
        options |= {"sort": sort, "descending": way == "down"}
    return rows.view(cat, found.ref, **options), asked or _usual(columns, "" if searching else sort)


def _order_name(name: str) -> str:
    return name or "table order"


def _jump() -> None:
    def go() -> None:
        wanted = st.session_state.get("in_jump")
        address.put(at=(int(wanted) - 1) // PAGE * PAGE if wanted else None, row=None)

    st.session_state["in_jump"] = None
    st.number_input("Go to row", key="in_jump", min_value=1, step=None, placeholder="number", on_change=go)


def _usual(columns: list[ColumnRecord], sort: str) -> list[str]:
    """Columns of the list when nobody chose: the sort key, language, tokens or length, a verdict."""
    held = {column.alias for column in columns}
    named = [name for name in (sort, "language" if "language" in held else "") if name]
    verdict = [column.alias for column in columns if column.scorer == VERDICT][:1]
    return list(dict.fromkeys([*named, "tokens" if "tokens" in held else "chars", *verdict]))


def _handle(name: str, value: str) -> None:
    if name == "row":
        address.put(row=value, trace=None)
    elif name == "at":
        address.put(at=value if value != "0" else None, row=None)
    elif name == "trace":
        address.put(trace=None if address.get("trace") == value else value)
    elif name in sample_views.TOGGLES:
        others = dict.fromkeys(sample_views.TOGGLES)
        address.put(**{**others, name: None if address.get(name) else "1"})
    elif name == "like":
        address.put(like=value, q=None, at=None, row=None)
    elif name == "sort":
        flip = address.get("sort") == value and address.get("order", "down") == "down"
        address.put(sort=value, order="up" if flip else None, at=None, row=None)


def _side(cat: Catalog, found: Resolved, held: rows.View, page: Page, columns: list[ColumnRecord]) -> Markup:
    try:
        row = rows.one(cat, held, page.chosen)
    except NotFound as error:
        return h("div", shell.refusal(error), cls="sx-detail")
    everywhere = None
    if address.get("trace") == row["sample_id"]:
        everywhere = traced(trace_sample(cat, row["sample_id"]))
    body, steps = sample_views.body(cat, found, row)
    reasons_ = why(reasons(cat, found, row, columns), row.get("file"))
    extras = Extras(body, (reasons_, everywhere), steps)
    return panel(row, found.dataset.kind, columns, found.dataset.name, extras)
