"""Two selections of a dataset beside each other: rows that only the one holds, only the other, and both."""

from __future__ import annotations

from typing import Any

import streamlit as st

from catalog import Catalog
from catalog.catalog import Resolved
from catalog.overlap import Side, overlap
from catalog.refs import parse_ref
from catalog.selections import find_selection, selections, versions
from ui.web.components import address, shell
from ui.web.components.figures import compact, count, share
from ui.web.components.markup import Markup, h, link, live
from ui.web.components.parts import bar, panel

EXAMPLES = 8


@st.cache_data(show_spinner="comparing …", max_entries=32)
def _overlap(_cat: Catalog, home: str, state: int, a: Side, b: Side) -> dict[str, Any]:
    return overlap(_cat, a, b, examples=EXAMPLES)


def draw(cat: Catalog, found: Resolved) -> None:
    options = _options(cat, found)
    names = list(options)
    if len(options) < 2:
        shell.show(shell.note("Two sets are needed. Save a selection of this dataset, by rules, on the map or on SQL."))
        return
    left, right = st.columns(2, gap="small")
    with left:
        a = address.choice("First", "a", names, names[1])
    with right:
        b = address.choice("Second", "b", names, names[2] if len(names) > 2 else names[0])
    home, state = str(cat.settings.home), found.dataset.lance_version
    live(_shown(found, a, b, _overlap(cat, home, state, options[a], options[b])), "sets")


def _options(cat: Catalog, found: Resolved) -> dict[str, Side]:
    """All rows of the version, and every version of every selection of the dataset."""
    made: dict[str, Side] = {f"all rows of {found.ref}": (found.ref, None, "error")}
    for newest in selections(cat):
        if parse_ref(newest.dataset).name != found.dataset.name:
            continue
        for number in sorted((held.version for held in versions(cat, newest.name)), reverse=True):
            held = find_selection(cat, f"{newest.name}@v{number}")
            made[f"{held.name}@v{held.version}"] = (held.dataset, held.where, held.missing)
    return made


def _shown(found: Resolved, a: str, b: str, held: dict[str, Any]) -> Markup:
    parts = {"only_a": f"Only {a}", "both": "Both", "only_b": f"Only {b}"}
    union = sum(held[part]["rows"] for part in parts)
    panels = [_part(found, title, held[part], held["weight"], union) for part, title in parts.items()]
    said = (
        f"{share(held['jaccard'])} of the rows of either are in both (Jaccard)" if held["jaccard"] is not None else ""
    )
    return h("div", h("div", panels, cls="sx-three"), h("div", said, cls="sx-faint"), cls="sx-stack")


def _part(found: Resolved, title: str, part: dict[str, Any], weight: str, union: int) -> Markup:
    figures = h(
        "div",
        h("span", count(part["rows"]), cls="sx-big"),
        h("span", f" rows, {compact(part['total'])} {weight}, {share(part['rows'], union)} of either", cls="sx-soft"),
    )
    rows = [
        h(
            "li",
            h("a", row["sample_id"][:8], cls="sx-link sx-mono",
              **link("dataset", ref=found.ref, tab="samples", where=f"sample_id = '{row['sample_id']}'")),
            h("div", " ".join(row["text"].split())[:200], cls="sx-soft"),
        )
        for row in part["examples"]
    ]  # fmt: skip
    body = h("ul", rows, cls="sx-examples") if rows else h("div", "no row", cls="sx-faint")
    return panel(title, figures, bar(part["rows"] / union if union else 0), body)
