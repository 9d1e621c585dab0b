"""Queries that a team keeps: the list that opens them, and the form that keeps one more."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import streamlit as st

from catalog import Catalog
from catalog.errors import NotFound
from catalog.meta.proposals import SavedQuery
from catalog.queries import delete_query, save_query
from ui.web.components import address, shell
from ui.web.components.markup import Markup, act, h, link
from ui.web.components.parts import caps


def listed(held: Sequence[SavedQuery], opened: str, words: str, erasable: bool) -> Markup:
    """Kept queries by name; a click opens one, the cross forgets it."""
    rows = [
        h(
            "div",
            h("a", one.name, cls="sx-cut sx-mono", title=_about(one), style="flex:1", **link("sql", saved=one.name)),
            h("span", "×", cls="sx-faint", title=f"forget {one.name}", aria_label=f"forget {one.name}", **act("forget", one.name))
            if erasable and one.name == opened
            else None,
            cls="sx-tree-row on" if one.name == opened else "sx-tree-row",
        )
        for one in held
        if words.casefold() in f"{one.name} {one.note}".casefold()
    ]  # fmt: skip
    none = h("div", "none kept yet", cls="sx-faint", style="padding:2px 12px 4px;font-size:13px")
    return h("div", h("div", caps("kept queries"), cls="sx-tree-head"), rows or none)


def _about(one: SavedQuery) -> str:
    return " · ".join(part for part in (one.note, f"by {one.actor}", " ".join(one.query.split())[:200]) if part)


def forget(cat: Catalog, name: str) -> None:
    """Forget a query; one that somebody else forgot in between is gone either way."""
    with suppress(NotFound):
        delete_query(cat, name)
    address.put(saved=None)


def keep_form(cat: Catalog, opened: str) -> None:
    """Keep what stands in the editor."""
    with st.popover("Keep", width="stretch", help="keep this query by name"):
        name = st.text_input("Name", value=opened, key="kept_name", placeholder="rows-by-licence")
        note = st.text_input("Note", key="kept_note", placeholder="what it is for")
        replace = st.checkbox("Replace a query of that name", key="kept_replace")
        if st.button("Keep this query", key="kept_go", type="primary", **shell.writes(disabled=not name.strip())):
            with shell.guarded():
                made = save_query(
                    cat, name.strip(), st.session_state.get("sql_text", ""), note=note.strip(), replace=replace
                )
                address.put(saved=made.name, q=None)
                st.session_state["sql_kept"] = made.name
                st.rerun()
