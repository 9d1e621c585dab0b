"""Save the filter of a query as a selection: a named recipe for a row set, with no copied rows."""

from __future__ import annotations

import streamlit as st

from catalog import Catalog
from catalog.catalog import Resolved
from catalog.selections import save
from ui.web.components import shell
from ui.web.components.figures import count
from ui.web.components.markup import h, link, live

MISSING = {"error": "refuse", "drop": "drop row", "keep": "keep row"}


def save_form(cat: Catalog, ref: str, where: str) -> None:
    """A small form under the result of a simple SELECT ... WHERE."""
    with st.expander("Save this filter as a selection"):
        name, missing, note, go = st.columns([1.2, 0.8, 2, 0.6], gap="small", vertical_alignment="bottom")
        label = name.text_input("Name", key="selection_name", placeholder="good-pages")
        rule = missing.selectbox("Missing values", list(MISSING), format_func=MISSING.get, key="selection_missing")
        about = note.text_input("Note", key="selection_note", placeholder="why these rows")
        asked = go.button("Save", width="stretch", **shell.writes(disabled=not label.strip()))
        shell.show(
            h(
                "div",
                h("span", ref, cls="sx-mono"),
                " where ",
                h("span", where, cls="sx-mono"),
                cls="sx-soft",
                style="font-size:13px",
            )
        )
        if asked:
            with shell.guarded():
                made = save(cat, label.strip(), ref, where, missing=rule, note=about)
                rows = cat.lance(made.dataset).count_rows(cat.predicate(made.dataset, made.where, made.missing))
                said = f"Saved {made.name}@v{made.version}: {count(rows)} rows today. "
                look = h(
                    "a",
                    "Look at them",
                    cls="sx-link",
                    **link("dataset", ref=ref, tab="samples", where=where, missing=rule if rule != "error" else None),
                )
                live(shell.note(h("span", said, look)), "saved")


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
