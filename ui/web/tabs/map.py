"""The map: every row at its place, counted in tiles, with a sample of points; what is drawn around becomes a selection."""

from __future__ import annotations

from typing import Any

import streamlit as st

from catalog import Catalog
from catalog.catalog import Resolved
from catalog.errors import StrataError
from catalog.maps import POINTS, Box, Grid, Places, centres, extent, gathered, grid, maps, points
from catalog.meta.models import ColumnRecord
from catalog.polygons import parse_polygon, polygon_where, rectangle, write_polygon
from ui.web.components import address, shell
from ui.web.components.figures import compact, count
from ui.web.components.map_canvas import Colour, coloured, facts, map_canvas, payload
from ui.web.components.map_panel import held_rows, legend, picked
from ui.web.components.markup import h, live
from ui.web.components.selections import save_chosen

ACROSS, DOWN = 168, 104
SIZES = ("0", "5000", "20000", str(POINTS))
TEXTS = 20_000
"""Texts that titles are made from, about."""
TITLE_WORDS = 3
FACTS = ("source", "language", "licence", "chars")


@st.cache_data(show_spinner="counting …", max_entries=64)
def _grid(_cat: Catalog, home: str, state: int, ref: str, places: Places, box: Box) -> Grid:
    return grid(_cat, ref, places, box, ACROSS, DOWN)


@st.cache_data(show_spinner="sampling …", max_entries=32)
def _drawn(_cat: Catalog, home: str, state: int, ref: str, places: Places, box: Box, colour: str, cluster: str,
           limit: int) -> tuple[dict[str, Any], Colour, int]:  # fmt: skip
    """What the canvas draws; how points are coloured; how many there are."""
    counted = _grid(_cat, home, state, ref, places, box)
    columns = {column.alias: column for column in _cat.columns(ref.split("@")[0])}
    wanted = list(dict.fromkeys([*(name for name in (cluster, colour) if name), *_facts(columns)]))
    table = points(_cat, ref, places, box, counted.inside, wanted, limit)
    titles = _titles(_cat, home, state, ref, places, cluster) if cluster else []
    words = {cluster: {str(item["cluster"]): f"{item['cluster']}: {item['title']}" for item in titles}}
    known, ends = _scale(_cat, ref, columns, colour)
    codes, legend_ = coloured(table.column(colour) if colour else None, colour, known, ends)
    return payload(places, counted, table, codes, legend_, facts(table, wanted, words)), legend_, table.num_rows


@st.cache_data(show_spinner="reading clusters …", max_entries=32)
def _titles(_cat: Catalog, home: str, state: int, ref: str, places: Places, cluster: str) -> list[dict[str, Any]]:
    """Clusters, largest first, with the words that tell them apart and their centres."""
    from flows.cluster_titles import cluster_titles

    middles = centres(_cat, ref, places, cluster)
    made = cluster_titles(_cat, ref, column=cluster, words=TITLE_WORDS, texts=TEXTS)
    return [
        {"cluster": item["cluster"], "title": item["title"] or "no words", "rows": item["rows"],
         "x": middles[item["cluster"]][0], "y": middles[item["cluster"]][1]}
        for item in made if item["cluster"] in middles
    ]  # fmt: skip


@st.cache_data(show_spinner="counting …", max_entries=32)
def _gathered(_cat: Catalog, home: str, state: int, ref: str, where: str, labels: tuple[str, ...], weight: str) -> Any:
    return gathered(_cat, ref, where, labels, weight)


def _facts(columns: dict[str, ColumnRecord]) -> list[str]:
    return [name for name in FACTS if name in columns or name in ("source", "licence", "chars")]


def _scale(cat: Catalog, ref: str, columns: dict[str, ColumnRecord], name: str) -> tuple[dict[str, int], Any]:
    """Of a label its values by rows, commonest first; of a number the ends of its scale, which leave out the extremes."""
    if name in columns and columns[name].type.startswith(("float", "double", "halffloat")):
        held = columns[name].statistics.get("quantiles") or {"5": 0.0, "95": 1.0}
        return {}, (held["5"], held["95"])
    if name in columns and not _cluster(columns[name]) and columns[name].type.startswith(("int", "uint")):
        held = columns[name].statistics.get("quantiles") or {}
        if columns[name].statistics.get("distinct", 0) > 12 and held:
            return {}, (held["5"], held["95"])
    if name == "chars":
        version = cat.resolve(ref).version
        held = version.statistics.get("chars_quantiles", {}) if version else {}
        return {}, (held.get("5", 0), held.get("95", 1))
    if name in columns:
        return columns[name].statistics.get("facets") or {}, None
    version = cat.resolve(ref).version
    held = (version.statistics.get("facets") or {}).get(name, {}) if version else {}
    return {value: rows for value, rows in held.items() if value != "unknown"}, None


def _cluster(column: ColumnRecord) -> bool:
    return column.output.startswith("cluster") and column.type.startswith(("int", "uint"))


def draw(cat: Catalog, found: Resolved) -> None:
    columns = cat.columns(found.dataset.name)
    held = maps(columns)
    if not held:
        shell.show(_none(found, columns))
        return
    places, cluster, colour, limit = _toolbar(columns, held)
    whole = extent(columns, places)
    with shell.guarded():
        box = _view(whole)
        home, state = str(cat.settings.home), found.dataset.lance_version
        counted = _grid(cat, home, state, found.ref, places, box)
        data, scale, drawn = _drawn(cat, home, state, found.ref, places, box, colour, cluster, limit)
        titles = _titles(cat, home, state, found.ref, places, cluster) if cluster else []
        left, right = st.columns([2.7, 1], gap="medium")
        with left:
            _canvas(found, places, data, titles, counted, drawn)
            shell.show(legend(scale, {str(item["cluster"]): item["title"] for item in titles}, colour == cluster))
        with right:
            _side(cat, found, columns, places, cluster, titles, whole)


def _none(found: Resolved, columns: list[ColumnRecord]) -> Any:
    vectors = [column.alias for column in columns if column.type.startswith("fixed_size_list<")]
    name = found.dataset.name
    if not vectors:
        return shell.empty(
            "No map yet",
            "A map needs vectors and a place for each: this scores both, the bundled encoder first.",
            f"strata score {name} map_pca kmeans",
            "For a map of vectors that came with the rows see imported_vector.",
        )
    other = f" --param vectors={vectors[0]}" if "embedding" not in vectors else ""
    return shell.empty(
        "No map yet",
        f"This dataset has vectors ({', '.join(vectors[:3])}) but no places for its rows.",
        f"strata score {name} map_pca kmeans{other}",
        "or start map_pca on the Flows page.",
    )


def _toolbar(columns: list[ColumnRecord], held: list[Places]) -> tuple[Places, str, str, int]:
    """Which map, which clusters, how points are coloured, how many."""
    names = {places.label: places for places in held}
    clusters = [column.alias for column in columns if _cluster(column)]
    scores = [column.alias for column in columns
              if column.type.startswith(("float", "double", "int", "uint", "string", "bool"))
              and not column.alias.startswith(("exact_dup_group", "minhash_cluster"))
              and column.alias not in {name for places in held for name in (places.x, places.y)}
              and column.alias not in clusters]  # fmt: skip
    boxes = st.columns([1, 1, 1.3, 0.8], gap="small", vertical_alignment="bottom")
    with boxes[0]:
        label = address.choice("Map", "map", list(names), held[-1].label)
    with boxes[1]:
        first = next(iter(clusters), "")
        cluster = address.choice("Clusters", "by", ["", *clusters], first, format_func=lambda name: name or "none")
    with boxes[2]:
        options = ["", *clusters, "source", "licence", "chars", *scores]
        colour = address.choice("Colour", "colour", options, first or "source", format_func=lambda n: n or "one colour")
    with boxes[3]:
        size = address.choice("Points", "points", SIZES, "20000", format_func=lambda n: f"{int(n):,} at most")
    return names[label], cluster, colour, int(size)


def _view(whole: Box) -> Box:
    """The part of the map in the address; the whole where it says nothing that can be read."""
    try:
        left, right, low, high = (float(value) for value in address.get("view").split(","))
    except ValueError:
        return whole
    return Box(left, right, low, high) if left < right and low < high else whole


def _canvas(found: Resolved, places: Places, data: dict[str, Any], titles: list[dict[str, Any]], counted: Grid,
            drawn: int) -> None:  # fmt: skip
    try:
        polygon = parse_polygon(address.get("poly"))
    except StrataError:
        polygon = []
    words = f"{count(counted.inside)} rows in view, {count(drawn)} of them drawn as points"
    label = f"Map {places.label} of {found.ref}: {words}. Arrow keys move it, plus and minus zoom, 0 shows all of it."
    stamp = f"{found.ref}.{found.dataset.lance_version}.{places.label}.{address.get('view')}.{address.get('colour')}.{address.get('points')}.{address.get('by')}"
    sent = {**data, "titles": [{k: item[k] for k in ("x", "y", "title")} for item in titles], "polygon": polygon,
            "label": label, "stamp": stamp, "view": address.get("view")}  # fmt: skip
    map_canvas(sent, f"map_{found.dataset.id}", _handle)
    beyond = f"; {count(counted.outside)} lie outside or have no place" if counted.outside else ""
    tiles = "every row is a point" if drawn >= counted.inside else "tiles count all rows"
    said = f"{words}{beyond}; {tiles}. Drag to move, scroll after a click to zoom, Shift and drag for the lasso."
    shell.show(h("div", said, cls="sx-faint", style="font-size:12.5px"))


def _handle(name: str, value: str) -> None:
    if name == "view":
        address.put(view=None if value == "whole" else value)
    elif name == "lasso":
        address.put(poly=value, cluster=None)
    elif name == "pick":
        address.put(sample=value)


def _side(cat: Catalog, found: Resolved, columns: list[ColumnRecord], places: Places, cluster: str,
          titles: list[dict[str, Any]], whole: Box) -> None:  # fmt: skip
    with shell.guarded():
        where, words = _chosen(places, cluster, titles)
        if where:
            _selection(cat, found, columns, places, where, words)
    with st.expander("Choose without drawing", expanded=not address.get("poly") and not address.get("cluster")):
        _by_keyboard(cluster, titles, whole)
    if address.get("sample"):
        with shell.guarded():
            live(picked(cat, found, address.get("sample")), "picked", lambda name, value: address.put(sample=None))


def _chosen(places: Places, cluster: str, titles: list[dict[str, Any]]) -> tuple[str, str]:
    """The WHERE of what is chosen, and what it is in words."""
    if corners := parse_polygon(address.get("poly")):
        words = (
            f"an outline of {len(corners)} corners on {places.x} and {places.y}, columns of {places.fingerprint[:12]}"
        )
        return polygon_where(places.x, places.y, corners), words
    if cluster and address.get("cluster").isdigit():
        asked = int(address.get("cluster"))
        title = next((item["title"] for item in titles if item["cluster"] == asked), "no rows")
        return f"{cluster} = {asked}", f"cluster {asked}: {title}"
    return "", ""


def _selection(
    cat: Catalog, found: Resolved, columns: list[ColumnRecord], places: Places, where: str, words: str
) -> None:
    labels = tuple(_labels(columns))
    tokens = next((c for c in columns if c.alias == "tokens" and c.covered >= (found.dataset.rows or 0) > 0), None)
    home, state = str(cat.settings.home), found.dataset.lance_version
    held = _gathered(cat, home, state, found.ref, where, labels, "tokens" if tokens else "chars")
    rows = found.version.rows if found.version else 0
    live(held_rows(found, held, where, words, rows), "held", lambda name, value: address.put(poly=None, cluster=None))
    if held["rows"]:
        save_chosen(cat, found, where, words)


def _labels(columns: list[ColumnRecord]) -> list[str]:
    return ["source", *(column.alias for column in columns if column.output == "language")]


def _by_keyboard(cluster: str, titles: list[dict[str, Any]], whole: Box) -> None:
    """Bounds, and a cluster: the same choice as with the lasso."""
    if titles:
        options = {"": "choose a cluster"} | {
            str(item["cluster"]): f"{item['cluster']}: {item['title']} ({compact(item['rows'])})" for item in titles
        }
        asked = address.choice("Cluster", "cluster", list(options), "", clears=("poly",), format_func=options.get)
        del asked
    ends = {"left": whole.left, "right": whole.right, "bottom": whole.low, "top": whole.high}
    boxes = [*st.columns(2, gap="small"), *st.columns(2, gap="small")]
    got = [
        box.number_input(f"{name.capitalize()}", value=float(f"{value:.4g}"), key=f"map_{name}", format="%.4g")
        for box, (name, value) in zip(boxes, ends.items())
    ]
    left, right, low, high = got
    if st.button("Choose these bounds", width="stretch", disabled=not (left < right and low < high)):
        address.put(poly=write_polygon(rectangle(left, right, low, high)), cluster=None)
        st.rerun()
