"""Beside the map: what the colours mean, what is chosen, and one sample."""

from __future__ import annotations

from typing import Any

from catalog import Catalog
from catalog.catalog import Resolved
from catalog.samples import sample_id_of
from ui.web.components import samples
from ui.web.components.figures import compact, count, number, share
from ui.web.components.map_canvas import Colour
from ui.web.components.markup import Markup, act, h, link
from ui.web.components.parts import caps, pairs, panel, ranked
from ui.web.queries import rows


def legend(colour: Colour, titles: dict[str, str], clusters: bool) -> Markup:
    """Values with their colours, or the ends of a scale."""
    if not colour.column:
        return h("div")
    if colour.ends:
        low, high = colour.ends
        words = h("div", h("span", number(low)), h("span", number(high)), cls="sx-between sx-faint")
        bar = h("div", cls="sx-steps-bar")
        return h(
            "div",
            caps(f"{colour.column}, 5th to 95th percentile; grey has no value"),
            bar,
            words,
            style="max-width:420px",
        )
    dots = [
        h(
            "span",
            h("i", style=f"background:var(--sx-c{at})"),
            f"{value}: {titles.get(value, 'no words')}" if clusters and value != "other" else value,
            h("span", f" {compact(held)}", cls="sx-faint"),
        )
        for at, (value, held) in enumerate(colour.names)
    ]
    return h("div", dots, cls="sx-dots sx-dots-wide", aria_label=f"colours of {colour.column}")


def held_rows(found: Resolved, held: dict[str, Any], where: str, words: str, whole: int) -> Markup:
    """Figures of the rows inside, counted on all rows."""
    look = link("dataset", ref=found.ref, tab="samples", where=where, missing="drop")
    head = h(
        "div",
        caps("Chosen"),
        h("span", "Clear", cls="sx-step", **act("clear")),
        cls="sx-between",
    )
    facts = [
        ("rows", f"{count(held['rows'])}, {share(held['rows'], whole)} of all"),
        (held["weight"], compact(held["total"])),
        ("samples", h("a", "look at them", cls="sx-link", **look) if held["rows"] else "none inside"),
    ]
    spreads = [
        h("div", caps(name), ranked({str(v): n for v, n in values.items()}, held["rows"]), style="margin-top:10px")
        for name, values in held["labels"].items()
        if len(values) > 1
    ]
    return h(
        "section",
        head,
        h("div", words, cls="sx-faint", style="margin:4px 0 8px;font-size:12.5px"),
        pairs(facts),
        spreads,
        cls="sx-panel",
    )


def picked(cat: Catalog, found: Resolved, start: str) -> Markup:
    """The sample that was clicked: its beginning, and the way to all that is known of it."""
    sample = sample_id_of(cat, start, found.ref)
    view = rows.view(cat, found.ref, where=f"sample_id = '{sample}'")
    ids = rows.table_ids(cat, view, 0, 1)
    got = rows.take(cat, view, ids, [*samples.fields(found.dataset.kind), "source", "licence", "chars"])
    row = got[0]
    look = link("dataset", ref=found.ref, tab="samples", where=view.where, row=row["_rowid"])
    head = h("div", caps("Sample"), h("span", "Close", cls="sx-step", **act("close")), cls="sx-between")
    about = pairs(
        [
            ("id", h("a", sample[:12], cls="sx-link sx-mono", title=sample, **look)),
            ("source", row["source"]),
            ("licence", row["licence"]),
            ("characters", count(row["chars"])),
        ]
    )
    text = h("div", samples.preview(row, found.dataset.kind, 900), cls="sx-doc", style="margin-top:8px;font-size:13px")
    return panel(None, head, about, text)
