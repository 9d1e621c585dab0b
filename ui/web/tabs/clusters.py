"""What a dataset is about, how good, diverse and complex it is, and how far another set is from it."""

from __future__ import annotations

from typing import Any

import streamlit as st

from catalog import Catalog
from catalog.catalog import Resolved
from catalog.selections import selections
from ui.web.components import address, shell
from ui.web.components.figures import count, number, plural, share
from ui.web.components.markup import Markup, h, link, live
from ui.web.components.parts import bar, panel, table

TEXTS = 20_000
"""Texts that titles are made from, about; rows are always all counted."""
ROWS = 2_000
"""Rows a side whose vectors are compared on the page."""
SHOWN = 60
MEASURES = ["mmd", "vendi", "clusters", "qdc"]


@st.cache_data(show_spinner="reading clusters …", max_entries=32)
def _titles(_cat: Catalog, home: str, state: int, ref: str, column: str) -> list[dict[str, Any]]:
    from flows.cluster_titles import cluster_titles

    return cluster_titles(_cat, ref, column=column, texts=TEXTS)


@st.cache_data(show_spinner="measuring …", max_entries=32)
def _panel(_cat: Catalog, home: str, state: int, ref: str) -> dict[str, Any]:
    from flows.panel import panel

    return panel(_cat, ref, rows=ROWS)


@st.cache_data(show_spinner="comparing …", max_entries=32)
def _compared(_cat: Catalog, home: str, state: tuple[int, ...], a: str, b: str) -> dict[str, Any]:
    from flows.compare import compare

    return compare(_cat, a, b, MEASURES, rows=ROWS)


def draw(cat: Catalog, found: Resolved) -> None:
    columns = [c.alias for c in cat.columns(found.dataset.name) if c.output.startswith("cluster") and _whole(c.type)]
    home, state = str(cat.settings.home), found.dataset.lance_version
    left, right = st.columns(2, gap="small")
    with left:
        column = address.choice("Clusters", "by", columns, columns[0]) if columns else ""
    with right:
        other = address.choice(
            "Compare with",
            "other",
            ["", *_others(cat, found)],
            "",
            format_func=lambda name: name or "choose another set",
        )
    if other:
        with shell.guarded():
            states = (state, *(held.lance_version for held in cat.datasets()))
            live(comparison(_compared(cat, home, states, found.ref, other)), "compared")
    live(axes(_panel(cat, home, state, found.ref)), "panel")
    if column:
        live(clusters(found, column, _titles(cat, home, state, found.ref, column)), "clusters")
    else:
        name = found.dataset.name
        shell.show(
            shell.empty("No clusters yet", "k-means of the embedding makes them.", f"strata score {name} kmeans")
        )


def _whole(kind: str) -> bool:
    return kind.startswith(("int", "uint"))


def _others(cat: Catalog, found: Resolved) -> list[str]:
    """Earlier versions first, then other datasets, then selections."""
    own = [f"{found.dataset.name}@v{n}" for n in range(found.dataset.head, 0, -1) if n != found.number]
    names = [dataset.name for dataset in cat.datasets() if dataset.name != found.dataset.name]
    return [*own, *names, *(f"{held.name}@v{held.version}" for held in selections(cat))]


def clusters(found: Resolved, column: str, held: list[dict[str, Any]]) -> Markup:
    rows = []
    for item in held[:SHOWN]:
        where = f"{column} = {item['cluster']}"
        rows.append(
            (
                str(item["cluster"]),
                h("a", item["title"] or "no words", cls="sx-link",
                  **link("dataset", ref=found.ref, tab="samples", where=where, missing="drop")),
                count(item["rows"]),
                share(item["share"]),
                h("div", bar(item["share"] / held[0]["share"]), style="min-width:140px;padding-top:7px"),
            )
        )  # fmt: skip
    total = sum(item["rows"] for item in held)
    left = found.version.rows - total if found.version else 0
    said = [f"{plural(len(held), 'cluster')} of {count(total)} rows"]
    said += [f"{plural(left, 'row')} without one"] if left else []
    said += [f"the {SHOWN} largest are shown"] if len(held) > SHOWN else []
    words = "Titles are the words that tell a cluster from the others (c-TF-IDF)."
    return panel(
        "Clusters",
        h("div", f"{', '.join(said)}. {words}", cls="sx-faint"),
        table(["cluster", "title", "rows", "share", ""], rows, numeric=(0, 2, 3)),
    )


def axes(held: dict[str, Any]) -> Markup:
    """Quality, diversity and complexity side by side."""
    parts = [_scores(axis, held[axis]) for axis in ("quality", "complexity")]
    figures = [
        (name, number(held["diversity"][key])) for key, name in DIVERSITY if held["diversity"].get(key) is not None
    ]
    middle = table(["diversity", ""], figures, numeric=(1,)) if figures else _none("diversity", "score minilm to know")
    said = f"diversity of at most {count(ROWS)} rows; quality and complexity of every row that has a value"
    body = h("div", parts[0], middle, parts[1], cls="sx-thirds")
    return panel("Quality, diversity, complexity", body, h("div", said, cls="sx-faint"))


DIVERSITY = (
    ("vendi", "effective different texts"),
    ("vendi_share", "of the rows measured"),
    ("mean_distance", "mean cosine distance"),
    ("effective_clusters", "effective clusters"),
    ("clusters", "clusters used"),
    ("measured_rows", "rows measured"),
)


def _scores(axis: str, held: dict[str, Any]) -> Markup:
    if not held:
        return _none(axis, "no column of this kind")
    rows = [(name, number(item["median"]), f"{number(item['low'])} to {number(item['high'])}", count(item["covered"]))
            for name, item in held.items()]  # fmt: skip
    return table([axis, "median", "10 to 90 %", "rows"], rows, numeric=(1, 2, 3), nowrap=(0,))


def _none(axis: str, why: str) -> Markup:
    return table([axis, ""], [(h("span", why, cls="sx-faint"), "")])


def comparison(held: dict[str, Any]) -> Markup:
    """How far the other set is: by vectors, clusters, and on the three axes."""
    a, b = held["a"], held["b"]
    joint = held["clusters"]
    far = [
        ("MMD squared (0: alike)", number(held["mmd"]["squared"])),
        ("Jensen-Shannon distance of clusters (0 to 1)", number(joint["jensen_shannon"])),
        (f"of {plural(joint['clusters'], 'joint cluster')}, only in {a}", count(joint["only_a"])),
        (f"only in {b}", count(joint["only_b"])),
    ]
    rows = [("effective different texts", number(held["vendi"]["a"]), number(held["vendi"]["b"]))]
    for axis in ("quality", "complexity"):
        sides = [held["qdc"][side][axis] for side in ("a", "b")]
        rows += [
            (f"{name}, median", number(sides[0][name]["median"]), number(sides[1][name]["median"]))
            for name in sides[0]
            if name in sides[1]
        ]
    said = f"vectors of {count(held['rows']['a'])} and {count(held['rows']['b'])} rows, drawn alike"
    return panel(
        f"{a} and {b}",
        h(
            "div",
            table(["distance", ""], far, numeric=(1,)),
            table(["", a, b], rows, numeric=(1, 2)),
            cls="sx-even sx-split",
        ),
        h("div", said, cls="sx-faint"),
    )
