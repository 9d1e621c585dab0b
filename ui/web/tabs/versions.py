"""Versions: what each added and removed, and the difference between two."""

from __future__ import annotations

from typing import Any

import streamlit as st

from catalog import Catalog
from catalog.catalog import Resolved
from ui.web.components import address
from ui.web.components import difference as changes
from ui.web.components.figures import count, stamp
from ui.web.components.markup import Markup, h, link, live
from ui.web.components.parts import chip, short, table


def draw(cat: Catalog, found: Resolved) -> None:
    versions = cat.versions(found.dataset.name)[::-1]
    live(history(found, versions), "versions")
    if len(versions) > 1:
        difference(cat, found, [f"v{version.number}" for version in versions])


def history(found: Resolved, versions: list[Any]) -> Markup:
    rows = []
    for version in versions:
        ref = f"{found.dataset.name}@v{version.number}"
        here = chip("shown", "accent") if version.number == found.number else None
        gone = (
            h("span", f"−{count(version.removed)}", cls="sx-delta minus")
            if version.removed
            else h("span", "–", cls="sx-faint")
        )
        retracted = (
            h("span", count(version.retracted), cls="sx-warn") if version.retracted else h("span", "–", cls="sx-faint")
        )
        rows.append(
            (
                h(
                    "span",
                    h("a", f"v{version.number}", cls="sx-link sx-mono", **link("dataset", ref=ref, tab="versions")),
                    here,
                    cls="sx-row",
                ),
                count(version.rows),
                h("span", f"+{count(version.added)}", cls="sx-delta plus")
                if version.added
                else h("span", "–", cls="sx-faint"),
                gone,
                retracted,
                version.note or "–",
                version.actor or "–",
                stamp(version.created),
                short(version.digest, 12),
            )
        )
    heads = ["version", "rows", "added", "removed", "retracted", "note", "actor", "published", "digest"]
    return table(heads, rows, numeric=(1, 2, 3, 4), nowrap=(0, 6, 7, 8))


def difference(cat: Catalog, found: Resolved, names: list[str]) -> None:
    left, right, _ = st.columns([1, 1, 4], gap="small")
    newest, before = names[0], names[1]
    with left:
        a = address.choice("Compare", "a", names, before)
    with right:
        b = address.choice("with", "b", names, newest)
    if a == b:
        return
    with st.spinner("comparing …"):
        held = cat.diff(f"{found.dataset.name}@{a}", f"{found.dataset.name}@{b}")
    live(changes.difference(held), "diff")
