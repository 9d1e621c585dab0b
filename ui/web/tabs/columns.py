"""Computed columns: a grid of distributions, and everything known about one."""

from __future__ import annotations

from typing import Any

import streamlit as st

from catalog import Catalog
from catalog.catalog import Resolved
from catalog.distributions import correlations, distribution, stale_columns
from catalog.meta.models import ColumnRecord
from catalog.plugins import plugins
from ui.web.charts import matrix
from ui.web.charts.coverage import states
from ui.web.charts.histogram import thumbnail
from ui.web.components import address, judge_report, shell
from ui.web.components.column_panel import BETTER, STRONG, column_panel, rho_of, short_ref, signed
from ui.web.components.figures import count, number, share
from ui.web.components.markup import Markup, h, link, live
from ui.web.components.parts import chip, panel, tabs

LOOKS = {"spread": "One by one", "together": "Together"}
FACETS = ("source", "language", "licence")


def draw(cat: Catalog, found: Resolved) -> None:
    columns = cat.columns(found.dataset.name)
    if not columns:
        scorers = "langid gopher_quality" if found.dataset.kind == "text" else "langid token_count"
        shell.show(
            shell.empty(
                "No computed columns yet",
                "Everything known about rows is a column with a recipe.",
                f"strata score {found.dataset.name} {scorers}",
                "or start one on the Flows page.",
            )
        )
        return
    if found.number != found.dataset.head:
        shell.show(
            shell.note(
                f"Statistics are over the live rows of v{found.dataset.head}, the newest version; columns belong to rows, not to versions."
            )
        )
    look = address.get("look")
    look = look if look in LOOKS else "spread"
    live(tabs("dataset", look, LOOKS, name="look", ref=short_ref(found), tab="columns"), "looks")
    if look == "together":
        with shell.guarded():
            _together(cat, found, columns)
        return
    stale = _stale(cat, str(cat.settings.home), found.dataset.lance_version, found.ref)
    chosen = next((column for column in columns if column.alias == address.get("column")), None)
    if chosen is not None:
        by = _by(columns, chosen)
        with shell.guarded():
            spread = _spread(cat, found, chosen, by)
            live(column_panel(cat, found, chosen, spread, stale.get(chosen.alias, [])), "column", _handle)
        with shell.guarded():
            judge_report.draw(cat, found, chosen)
    live(_grid(found, columns, chosen, stale), "columns", _handle)


@st.cache_data(show_spinner=False, max_entries=64)
def _stale(_cat: Catalog, home: str, state: int, ref: str) -> dict[str, list[str]]:
    return stale_columns(_cat, _cat.resolve(ref))


@st.cache_data(show_spinner="reading values …", max_entries=64)
def _distributed(_cat: Catalog, home: str, state: int, ref: str, column: str, by: str | None) -> dict[str, Any]:
    return distribution(_cat, ref, column, by)


@st.cache_data(show_spinner="comparing columns …", max_entries=16)
def _correlated(_cat: Catalog, home: str, state: int, ref: str, columns: tuple[str, ...]) -> dict[str, Any]:
    return correlations(_cat, ref, list(columns) or None)


def _by(columns: list[ColumnRecord], chosen: ColumnRecord) -> str:
    """The label that the chosen column is broken down by; none for a column that is no number."""
    if "histogram" not in chosen.statistics:
        return ""
    labels = [column.alias for column in columns if column.type == "string" and not column.alias.startswith("verdict_")]
    with st.columns([1, 3])[0]:
        options = ["", *FACETS, *(name for name in labels if name not in FACETS)]
        return address.choice("Broken down by", "facet", options, "", format_func=lambda name: name or "nothing")


def _spread(cat: Catalog, found: Resolved, column: ColumnRecord, by: str) -> dict[str, Any] | None:
    if "histogram" not in column.statistics:
        return None
    home, state = str(cat.settings.home), found.dataset.lance_version
    return _distributed(cat, home, state, found.ref, column.alias, by or None)


def _together(cat: Catalog, found: Resolved, columns: list[ColumnRecord]) -> None:
    """The matrix of rank correlations, length first."""
    numbers = [column.alias for column in columns if "histogram" in column.statistics and not _names(column)]
    asked = address.choices("Columns", "among", numbers, placeholder="the first 40 that vary", max_selections=40)
    if len(numbers) < 2:
        shell.show(shell.note("Two columns of numbers are needed for a correlation."))
        return
    home, state = str(cat.settings.home), found.dataset.lance_version
    held = _correlated(cat, home, state, found.ref, tuple(asked or numbers[:40]))
    live(_matrix(found, columns, held), "matrix")


def _names(column: ColumnRecord) -> bool:
    """Whether its numbers are names of groups, which have no order."""
    return column.output.endswith(("_group", "_cluster")) or column.output.startswith("cluster")


def _matrix(found: Resolved, columns: list[ColumnRecord], held: dict[str, Any]) -> Markup:
    followers = [(column.alias, rho) for column in columns if abs(rho := rho_of(column) or 0.0) >= STRONG]
    followers.sort(key=lambda item: -abs(item[1]))
    part = held["sampled"] < held["rows"]
    sampled = f"a fixed sample of {count(held['sampled'])} of {count(held['rows'])} rows" if part else "all rows"
    said = f"Spearman's rank correlation over {sampled}, of each pair where both have a value; length is in characters."
    left = (
        f" Left out: {', '.join(held['left_out'][:12])}{' …' if len(held['left_out']) > 12 else ''}."
        if held["left_out"]
        else ""
    )
    callout = (
        h(
            "div",
            h("b", f"{len(followers)} follow length"),
            h("span", ", ".join(f"{name} {signed(value)}" for name, value in followers[:10])
              + (" …" if len(followers) > 10 else "") + ": compare them with length alone before you trust them."),
            cls="sx-callout warn",
        )
        if followers
        else h("div", h("span", f"No column follows length (from {STRONG} on)."), cls="sx-callout")
    )  # fmt: skip
    return h(
        "div",
        callout,
        panel("Rank correlations", matrix.figure(short_ref(found), held["columns"], held["matrix"], STRONG)),
        h("div", said + left, cls="sx-faint"),
        cls="sx-stack",
    )


def _handle(name: str, value: str) -> None:
    address.put(**{name: value})


def _grid(
    found: Resolved, columns: list[ColumnRecord], chosen: ColumnRecord | None, stale: dict[str, list[str]]
) -> Markup:
    known = plugins("scorer")
    blocks = []
    grouped: dict[str, list[ColumnRecord]] = {}
    for column in columns:
        grouped.setdefault(column.scorer, []).append(column)
    # The scorers with most columns first, so that the small ones fill the last lines together.
    for scorer, held in sorted(grouped.items(), key=lambda item: (-len(item[1]), item[0])):
        cost = known[scorer].cost if scorer in known else None
        summary = known[scorer].summary if scorer in known else "verdicts of promotions" if scorer == "promote" else ""
        head = h(
            "div",
            h("span", scorer, cls="sx-name"),
            chip(cost, "plain") if cost else None,
            h("span", summary, cls="sx-faint sx-cut", style="font-size:12.5px"),
            cls="sx-group-head",
        )
        blocks.append(
            h(
                "section",
                head,
                h("div", [_tile(found, column, chosen, stale.get(column.alias)) for column in held], cls="sx-grid"),
            )
        )
    return h("div", blocks, cls="sx-groups")


def _tile(found: Resolved, column: ColumnRecord, chosen: ColumnRecord | None, stale: list[str] | None) -> Markup:
    held = column.statistics
    arrow = BETTER.get(column.better or "", ("", ""))
    rho = rho_of(column)
    middle = (held.get("quantiles") or {}).get("50")
    facts = f"median {number(middle)}" if middle is not None else _top(held)
    corner = (
        chip(f"ρ {signed(rho)}", "warn", "rank correlation with length")
        if rho is not None and abs(rho) >= STRONG
        else h("span", share(column.covered, found.dataset.rows), cls="sx-faint", title="rows covered")
    )
    return h(
        "a",
        h(
            "div",
            h("span", column.alias, cls="sx-name sx-cut", title=column.alias),
            chip("stale", "warn", "; ".join(stale)) if stale else h("span", arrow[0], cls="sx-faint", title=arrow[1]),
            cls="sx-between",
        ),
        thumbnail(held),
        states(column.states, found.dataset.rows),
        h("div", h("span", facts, cls="sx-cut"), corner, cls="sx-between sx-meta"),
        cls="sx-col on" if chosen is not None and chosen.alias == column.alias else "sx-col",
        **link("dataset", ref=short_ref(found), tab="columns", column=column.alias),
    )


def _top(statistics: dict[str, Any]) -> str:
    facets = statistics.get("facets") or {}
    if not facets:
        return f"{count(statistics['distinct'])} values" if statistics.get("distinct") else type_note(statistics)
    name, rows = next(iter(facets.items()))
    return f"{name} {share(rows, statistics.get('count'))}"


def type_note(statistics: dict[str, Any]) -> str:
    return f"{count(statistics.get('count'))} values"
