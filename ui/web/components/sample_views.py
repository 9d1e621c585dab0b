"""Other views of a sample: what changed since its parent, and its formulas drawn."""

from __future__ import annotations

from typing import Any

import streamlit as st

from catalog import Catalog
from catalog.catalog import Resolved
from ui.web.components import address, maths, samples, shell, words
from ui.web.components.figures import count
from ui.web.components.markup import Markup, h, link
from ui.web.components.parts import caps, short
from ui.web.queries.parents import Parent, parents_of

TOGGLES = ("parent", "maths")


def body(cat: Catalog, found: Resolved, row: dict[str, Any]) -> tuple[Markup | None, tuple[tuple[str, str, bool], ...]]:
    """What stands in place of the content, and the toggles that this sample has."""
    steps, made = [], None
    if found.dataset.parent or row.get("parents"):
        on = bool(address.get("parent"))
        steps.append(("parent", "Changes to the parent", on))
        made = _changes(row, parents_of(cat, found, row)) if on else None
    if any(maths.has_formulas(text) for _, text in samples.formulas(row, found.dataset.kind)):
        steps.append(("maths", "Formulas", bool(address.get("maths"))))
    return made, tuple(steps)


def _changes(row: dict[str, Any], parents: list[Parent]) -> Markup:
    if not parents:
        return h("div", "It is as its parent was: no dataset above holds other content under this id.", cls="sx-soft")
    return h("div", [_change(row, parent) for parent in parents], cls="sx-stack")


def _change(row: dict[str, Any], parent: Parent) -> Markup:
    text = row.get("text") or ""
    look = link("dataset", ref=parent.dataset, tab="samples", where=f"sample_id = '{parent.sample_id}'")
    head = h("div", caps("from"), h("a", parent.dataset, cls="sx-link", **look), short(parent.sample_id),
             h("span", f"{count(len(parent.text))} to {count(len(text))} characters", cls="sx-faint"), cls="sx-row")  # fmt: skip
    whole = max(len(text), len(parent.text)) <= samples.LONGEST
    merged = words.merged(parent.text, text) if whole else None
    if merged is None:
        return h("div", head, h("div", "The texts are too long to be compared word by word.", cls="sx-faint"))
    if parent.text == text:
        return h("div", head, h("div", "The text is the same; other fields differ.", cls="sx-faint"))
    return h("div", head, h("div", merged, cls="sx-doc"))


def drawn_formulas(row: dict[str, Any], kind: str) -> None:
    """Every part of the sample with its formulas drawn; nothing else of it is Markdown."""
    shell.show(h("div", caps("formulas of"), short(row["sample_id"]), cls="sx-row"))
    with st.container(border=True):
        for whose, text in samples.formulas(row, kind):
            if whose:
                shell.show(caps(whose))
            st.markdown(maths.markdown(text))
