"""Make a query a selection: its filter, which follows the dataset, or exactly the rows that it gives."""

from __future__ import annotations

import streamlit as st

from catalog import Catalog
from catalog.queries import Filter
from catalog.selections import count_selection
from flows.query_selections import select_query
from ui.web.components import shell
from ui.web.components.figures import count
from ui.web.components.markup import h, link, live

MISSING = {"error": "refuse", "drop": "drop row", "keep": "keep row"}
WAYS = {"filter": "its filter", "rows": "exactly these rows"}


def make_selection(cat: Catalog, query: str, held: Filter | None, why: str, columns: list[str]) -> None:
    """A small form under a result. held: the filter of the query; why: what keeps it from having one."""
    ways = [*(["filter"] if held else []), *(["rows"] if "sample_id" in columns else [])]
    with st.expander("Make this a selection"):
        if not ways:
            shell.show(h("div", h("div", _sentence(why)), h("div", ADVICE, cls="sx-soft"), style="font-size:13.5px"))
            return
        one, two, three, four, go = st.columns([1.2, 1.1, 0.9, 1.7, 0.6], gap="small", vertical_alignment="bottom")
        label = one.text_input("Name", key="selection_name", placeholder="good-pages")
        way = two.selectbox("Keep", ways, format_func=WAYS.get, key="selection_way")
        rule = three.selectbox("Missing values", list(MISSING), format_func=MISSING.get, key="selection_missing",
                               disabled=way == "rows")  # fmt: skip
        about = four.text_input("Note", key="selection_note", placeholder="why these rows")
        asked = go.button("Save", key="selection_save", width="stretch", **shell.writes(disabled=not label.strip()))
        shell.show(h("div", _meant(way, held), cls="sx-soft", style="font-size:13px"))
        if asked:
            with shell.guarded(), st.spinner("saving …"):
                _save(cat, label.strip(), query, way, rule, about)


ADVICE = (
    "SELECT … FROM one dataset WHERE … has a filter; a query whose result has the sample_id of one dataset has rows."
)


def _sentence(why: str) -> str:
    return f"{why[:1].upper()}{why[1:]}." if why else "This query says nothing of single rows."


def _meant(way: str, held: Filter | None) -> list[object]:
    """What would be saved, in words."""
    if way == "rows" or held is None:
        return [
            "The rows of the whole result by sample_id, frozen as ranks beside the dataset; the recipe is this SQL."
        ]
    said: list[object] = [h("span", held.ref, cls="sx-mono"), " where ", h("span", held.where, cls="sx-mono")]
    return [*said, "; every row for which it holds, not only those shown"] if held.cut else said


def _save(cat: Catalog, name: str, query: str, way: str, missing: str, note: str) -> None:
    made = select_query(cat, name, query, freeze=way == "rows", missing=missing, note=note)
    rows = count_selection(cat, f"{made.name}@v{made.version}")
    ref = made.dataset.partition("@")[0]
    rule = made.missing if made.missing != "error" else None
    look = h(
        "a", "Look at them", cls="sx-link", **link("dataset", ref=ref, tab="samples", where=made.where, missing=rule)
    )
    all_ = h("a", "All selections", cls="sx-link", **link("dataset", ref=ref, tab="select"))
    said = h("span", f"Saved {made.name}@v{made.version}: {count(rows)} rows today. ", look, " · ", all_)
    live(shell.note(said), "saved")
