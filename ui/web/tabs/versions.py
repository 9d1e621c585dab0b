"""Versions: what each added and removed, and the difference between two."""

from __future__ import annotations

from typing import Any

import streamlit as st

from catalog import Catalog
from catalog.catalog import Resolved
from ui.web.components import address, shell
from ui.web.components import difference as changes
from ui.web.components.figures import count, stamp
from ui.web.components.markup import Markup, h, link, live, text
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
    name = found.dataset.name
    told = _notes(cat, str(cat.settings.home), found.dataset.lance_version, f"{name}@{a}", f"{name}@{b}")
    release_notes(told)
    live(changes.difference(told["facts"]["diff"]), "diff")


@st.cache_data(show_spinner="comparing …", max_entries=32)
def _notes(_cat: Catalog, home: str, state: int, a: str, b: str) -> dict[str, Any]:
    from agents.notes import version_notes

    return version_notes(_cat, a, b)


def release_notes(told: dict[str, Any]) -> None:
    """Warnings and the suggested bump; below them the draft of the notes, or of a card, to be copied."""
    lines = [h("li", _plain(line)) for line in told["warnings"]]
    bump = chip(told["bump"], {"major": "bad", "minor": "accent"}.get(told["bump"], ""))
    head = h("div", h("b", "Release notes"), h("span", "suggested bump", cls="sx-soft"), bump,
             h("span", told["why"], cls="sx-soft"), cls="sx-wrap")  # fmt: skip
    warned = h("ul", lines, style="margin:6px 0 0;padding-left:18px") if lines else None
    live(h("div", h("div", head, warned), cls="sx-note warn" if lines else "sx-note"), "notes-head")
    with st.expander("Draft to copy"):
        kind = address.choice("Draft of", "draft", ["", "card"], "", format_func=lambda value: value or "release notes")
        st.code(told["card" if kind else "markdown"], language="markdown", wrap_lines=True)
        shell.show(h("span", "Every number is one of the difference below. ", "; ".join(told["notes"]), cls="sx-faint"))


def _plain(line: str) -> Markup:
    """A sentence of Markdown whose names in backticks become code."""
    parts = line.split("`")
    return text([h("code", part) if at % 2 else part for at, part in enumerate(parts)])
