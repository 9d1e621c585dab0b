"""Try rules or a filter on all rows: what they keep by facet, rows on either side of each line; compare two selections."""

from __future__ import annotations

from typing import Any

import streamlit as st

from catalog import Catalog
from catalog.catalog import Resolved
from catalog.meta.models import ColumnRecord
from ui.web.components import address, rule_board, set_board, shell
from ui.web.components.figures import compact, count, number, share
from ui.web.components.markup import Markup, h, link, live
from ui.web.components.parts import facts, panel, table, tabs

EXAMPLES = 20
MISSING = {"error": "refuse", "drop": "drop row", "keep": "keep row"}
SHOWN = 12
WAYS = {"rules": "Rules", "filter": "Filter and confounds",
        "sets": "Two selections"}  # fmt: skip


@st.cache_data(show_spinner="counting …", max_entries=64)
def _explored(_cat: Catalog, home: str, state: int, ref: str, where: str, missing: str) -> dict[str, Any]:
    return _cat.explore(ref, where, examples=EXAMPLES, missing=missing)


@st.cache_data(show_spinner="comparing …", max_entries=64)
def _confounds(_cat: Catalog, home: str, state: int, ref: str, column: str) -> dict[str, Any]:
    return _cat.confounds(ref, column)


def draw(cat: Catalog, found: Resolved) -> None:
    columns = cat.columns(found.dataset.name)
    numbers = [column for column in columns if _is_number(column)]
    way = _way()
    live(tabs("dataset", way, WAYS, name="way", ref=found.ref, tab="explore"), "ways")
    with shell.guarded():
        if way == "rules":
            rule_board.draw(cat, found, columns, numbers, kept_panel)
        elif way == "sets":
            set_board.draw(cat, found)
        else:
            _filter(cat, found, numbers)


def _way() -> str:
    """Rules, unless the address names another way or holds a filter."""
    held = address.get("way")
    return held if held in WAYS else "filter" if address.get("where") or address.get("with") else "rules"


def _filter(cat: Catalog, found: Resolved, numbers: list[ColumnRecord]) -> None:
    boxes = st.columns([4, 1, 1.6], gap="small", vertical_alignment="bottom")
    with boxes[0]:
        where = address.text_box("Filter", "where", placeholder=f"SQL, e.g. {_example(numbers)}")
    with boxes[1]:
        missing = address.choice("Missing", "missing", list(MISSING), "error", format_func=MISSING.get)
    with boxes[2]:
        names = ["", *(column.alias for column in numbers)]
        column = address.choice("Goes along with", "with", names, "", format_func=lambda name: name or "choose a score")
    state, home = found.dataset.lance_version, str(cat.settings.home)
    if where:
        live(kept_panel(found, _explored(cat, home, state, found.ref, where, missing)), "explored")
    if column:
        live(_related(_confounds(cat, home, state, found.ref, column)), "confounds")
    elif not where:
        shell.show(
            shell.note(
                "Write a filter to see what it would keep of all rows, by language and source, with the rows just on either "
                "side of each line. Nothing is changed; save it as a selection to use it."
            )
        )


def _is_number(column: ColumnRecord) -> bool:
    return column.type.startswith(("int", "uint", "float", "double", "halffloat"))


def _example(numbers: list[ColumnRecord]) -> str:
    for column in numbers:
        middle = (column.statistics.get("quantiles") or {}).get("50")
        if column.better and middle is not None:
            return f"{column.alias} {'>' if column.better == 'higher' else '<'} {number(middle)}"
    return "chars > 500"


def kept_panel(found: Resolved, held: dict[str, Any]) -> Markup:
    weight = held["weight"]
    head = facts(
        [
            ("keeps", h("span", share(held["kept"], held["rows"]), style="font-size:22px")),
            ("rows", f"{count(held['kept'])} of {count(held['rows'])}"),
            (weight, f"{compact(held['kept_total'])} of {compact(held['total'])}"),
            ("share of " + weight, share(held["kept_total"], held["total"])),
            ("in the samples", h("a", "open the kept rows", cls="sx-link", **_samples(found, held))),
        ],
        large=4,
    )
    panels = [_facet(name, rows, weight) for name, rows in held["facets"].items()]
    edges = [_edge(found, edge) for edge in held["edges"]]
    steps = _steps(held) if len(held.get("steps", ())) > 1 else None
    return h("div", head, steps, h("div", panels, cls="sx-split") if panels else None, edges, cls="sx-stack")


def _steps(held: dict[str, Any]) -> Markup:
    """What each rule keeps alone, and what is left after it and those before it."""
    lines, before = [], held["rows"]
    for step in held["steps"]:
        lines.append([
            h("span", step["rule"], cls="sx-mono"),
            f"{count(step['alone'])} · {share(step['alone'], held['rows'])}",
            f"−{count(before - step['left'])}",
            f"{count(step['left'])} · {share(step['left'], held['rows'])}",
        ])  # fmt: skip
        before = step["left"]
    return table(["rule", "keeps alone", "takes away in turn", "left"], lines, numeric=(1, 2, 3))


def _samples(found: Resolved, held: dict[str, Any]) -> dict[str, str]:
    return link("dataset", ref=found.ref, tab="samples", where=held["where"], missing=held["missing"])


def _facet(name: str, rows: list[dict[str, Any]], weight: str) -> Markup:
    lines = [
        [
            row["value"] if row["value"] is not None else h("span", "unknown", cls="sx-faint"),
            count(row["rows"]),
            count(row["kept"]),
            share(row["kept"], row["rows"]),
            compact(row["kept_total"]),
        ]
        for row in rows
    ]
    return panel(f"By {name}", table([name, "rows", "kept", "share", f"{weight} kept"], lines, numeric=(1, 2, 3, 4)))


def _edge(found: Resolved, edge: dict[str, Any]) -> Markup:
    line = f"{edge['column']} {edge['operator']} {number(edge['threshold'])}"
    sides = [
        panel(f"{word} {line}", _examples(found, edge["column"], edge[side]))
        for side, word in (("kept", "Kept, nearest to"), ("dropped", "Not kept, nearest to"))
    ]
    return h("div", sides, cls="sx-split", style="grid-template-columns:minmax(0,1fr) minmax(0,1fr)")


def _examples(found: Resolved, column: str, rows: list[dict[str, Any]]) -> Markup:
    if not rows:
        return h("span", "no row on this side", cls="sx-faint")
    lines = [
        [
            number(row["value"]),
            h("a", row["sample_id"][:8], cls="sx-link sx-mono",
              **link("dataset", ref=found.ref, tab="samples", trace=row["sample_id"])),
            h("span", " ".join(row["text"].split())[:220], cls="sx-soft"),
        ]
        for row in rows
    ]  # fmt: skip
    return table([column, "sample", "text"], lines, numeric=(0,), nowrap=(1,))


def _related(held: dict[str, Any]) -> Markup:
    lines = [
        [
            entry["column"],
            _signed(entry["spearman"]),
            f"{_signed(entry['low'])} to {_signed(entry['high'])}",
            _signed(entry["length_fixed"]) if entry.get("length_fixed") is not None else "–",
            count(entry["rows"]),
        ]
        for entry in held["numbers"][:SHOWN]
    ]
    labels = [
        [
            group["column"],
            number(group["eta_squared"]),
            ", ".join(f"{v['value'] or 'unknown'} {number(v['median'])}" for v in group["top"][:5]),
        ]
        for group in held["labels"]
    ]
    sampled = "" if held["sampled"] >= held["rows"] else f", from a sample of {count(held['sampled'])} rows"
    heads = ["column", "correlation", "95 % interval", "length held fixed", "rows"]
    return h(
        "div",
        panel(f"{held['column']}: rank correlation{sampled}", table(heads, lines, numeric=(1, 3, 4))),
        panel(
            "Share of the rank variance between labels",
            table(["label", "share", "medians"], labels, numeric=(1,))
            if labels
            else h("span", "no label to compare", cls="sx-faint"),
        ),
        cls="sx-split",
    )


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")
