"""One dataset: its head, and tabs for the card, samples, columns, clusters, the map, filters to try, what is odd,
selections, promotion, versions and lineage."""

from __future__ import annotations

from importlib import import_module

import streamlit as st
from sqlmodel import select

from catalog import Catalog
from catalog.catalog import Resolved
from catalog.meta.models import Tag
from ui.web.components import address, shell
from ui.web.components.figures import compact, count, size, stamp
from ui.web.components.markup import Markup, h, link, live
from ui.web.components.parts import chip, facts, licence_chips, tabs, tier
from ui.web.queries.overview import UNKNOWN, token_total

TABS = (
    "card",
    "samples",
    "columns",
    "clusters",
    "map",
    "explore",
    "insight",
    "select",
    "promote",
    "versions",
    "lineage",
)


def named(cat: Catalog) -> Resolved | None:
    """The dataset version in the address, else the first dataset; None while there is none."""
    names = [dataset.name for dataset in cat.datasets()]
    if not names:
        shell.show(
            shell.empty("No dataset yet", "Ingest files to make one.", "strata ingest FILE --as NAME", whole=True)
        )
        return None
    return cat.resolve(address.get("ref", names[0]))


def picker(cat: Catalog, found: Resolved) -> None:
    """Boxes that open another dataset or version."""
    names, held = [dataset.name for dataset in cat.datasets()], _versions(cat, found)
    left, right = st.columns([1.2, 1], gap="small")

    def moved() -> None:
        chosen, number = st.session_state.in_dataset, st.session_state.in_version
        newest = chosen != found.dataset.name or number == f"v{found.dataset.head}"
        address.put(ref=chosen if newest else f"{chosen}@{number}", at=None, row=None, column=None)

    st.session_state.in_dataset, st.session_state.in_version = found.dataset.name, f"v{found.number}"
    left.selectbox("Dataset", names, key="in_dataset", on_change=moved, label_visibility="collapsed")
    right.selectbox(
        "Version", list(held), key="in_version", format_func=held.get, on_change=moved, label_visibility="collapsed"
    )


def _versions(cat: Catalog, found: Resolved) -> dict[str, str]:
    """Version -> label, newest first, tagged ones with their tags."""
    made = {f"v{number}": f"v{number}" for number in range(found.dataset.head, 0, -1)}
    for version, names in _tags(cat, found).items():
        made[f"v{version}"] += f" ({', '.join(names)})"
    if found.dataset.head > 1:
        made[f"v{found.dataset.head}"] += ", newest"
    return made


def _tags(cat: Catalog, found: Resolved) -> dict[int, list[str]]:
    with cat.session() as session:
        tags = session.exec(select(Tag).where(Tag.dataset_id == found.dataset.id).order_by(Tag.name)).all()
    held: dict[int, list[str]] = {}
    for tag in tags:
        held.setdefault(tag.version, []).append(tag.name)
    return held


def heading(cat: Catalog, found: Resolved) -> Markup:
    dataset = found.dataset
    parent = (
        h("span", "from ", h("a", dataset.parent, cls="sx-link", **link("dataset", ref=dataset.parent)), cls="sx-sub")
        if dataset.parent
        else None
    )
    return shell.title(
        dataset.name,
        dataset.note or None,
        tier(dataset.tier),
        h("span", f"v{found.number}", cls="sx-mono sx-soft"),
        chip(dataset.kind),
        chip(dataset.role, "accent", "protected: never part of training" if dataset.role == "eval" else None)
        if dataset.role
        else None,
        [chip(name, "plain", "tag of this version") for name in _tags(cat, found).get(found.number, [])],
        parent,
    )


def strip(cat: Catalog, found: Resolved) -> Markup:
    dataset, version = found.dataset, found.version
    assert version is not None
    held = version.statistics
    licences = held.get("facets", {}).get("licence") or {dataset.licence or UNKNOWN: version.rows}
    tokens = token_total(cat.columns(dataset.name), dataset.rows) if found.number == dataset.head else None
    verified = (
        h("span", chip(dataset.licence_verified, "ok"), f" by {dataset.licence_verified_by or 'unknown'}")
        if dataset.licence_verified
        else chip("not verified", "warn")
    )
    return facts(
        [
            ("rows", count(version.rows)),
            (
                "tokens",
                h("span", compact(tokens), title=count(tokens) if tokens is not None else "score token_count to know"),
            ),
            ("characters", h("span", compact(held.get("chars")), title=count(held.get("chars")))),
            ("text", size(held.get("bytes"))),
            ("licence declared", h("div", licence_chips(licences, 3), cls="sx-wrap")),
            ("licence verified", verified),
            ("use", chip(dataset.use_class) if dataset.use_class else h("span", "unspecified", cls="sx-faint")),
            ("owner", dataset.owner or h("span", "none", cls="sx-faint")),
            ("published", h("span", stamp(version.created), title=f"by {version.actor}" if version.actor else None)),
        ],
        large=4,
    )


def page() -> None:
    cat = shell.catalog()
    found = named(cat)
    if found is None:
        return
    left, right = st.columns([2.4, 1], gap="medium")
    with left:
        live(heading(cat, found), "heading")
    with right:
        picker(cat, found)
    live(strip(cat, found), "strip")
    held = address.get("tab", "card")
    held = held if held in TABS else "card"
    labels = {
        "card": "Card",
        "samples": "Samples",
        "columns": ("Columns", len(cat.columns(found.dataset.name))),
        "clusters": "Clusters",
        "map": "Map",
        "explore": "Explore",
        "insight": "Insight",
        "select": "Select",
        "promote": "Promote",
        "versions": ("Versions", found.dataset.head),
        "lineage": "Lineage",
    }
    short = found.dataset.name if found.number == found.dataset.head else found.ref
    live(tabs("dataset", held, labels, ref=short), "tabs")
    with shell.guarded():
        import_module(f"ui.web.tabs.{held}").draw(cat, found)


page()
