"""Save what was chosen on a page as a selection: a named recipe for a row set, with no copied rows."""

from __future__ import annotations

import streamlit as st

from catalog import Catalog
from catalog.catalog import Resolved
from catalog.selections import save
from ui.web.components import shell
from ui.web.components.markup import h, link, live


def save_chosen(cat: Catalog, found: Resolved, where: str, words: str, *, missing: str = "drop") -> None:
    """Name what was chosen on a map or by rules. The selection keeps the WHERE alone, which says the same at any time."""
    label = st.text_input("Name of the selection", key="chosen_name", placeholder="odd-corner")
    about = st.text_input("Note", key="chosen_note", placeholder="why these rows")
    if st.button("Save as a selection", type="primary", width="stretch", **shell.writes(disabled=not label.strip())):
        with shell.guarded():
            made = save(cat, label.strip(), found.dataset.name if found.number == found.dataset.head else found.ref, where,
                        missing=missing, note=f"{about.strip()} ({words})".strip())  # fmt: skip
            look = link("dataset", ref=found.dataset.name, tab="select", selection=f"{made.name}@v{made.version}")
            said = h("span", f"Saved {made.name}@v{made.version}. ", h("a", "Open it", cls="sx-link", **look))
            live(shell.note(said, "ok"), "outline_saved")
