"""Computed columns: a grid of distributions, and everything known about one."""

from __future__ import annotations

from typing import Any

import orjson
from sqlmodel import select

from catalog import Catalog
from catalog.catalog import Resolved
from catalog.meta.models import ColumnRecord, Recipe
from catalog.plugins import plugins
from ui.web.charts.coverage import states
from ui.web.charts.histogram import figure, thumbnail
from ui.web.components import address, shell
from ui.web.components.figures import count, number, plural, share, stamp
from ui.web.components.markup import Markup, act, h, link, live
from ui.web.components.parts import caps, chip, pairs, panel, ranked

STRONG = 0.5
"""From this absolute rank correlation with length on, a score is called out."""
BETTER = {"higher": ("↑", "higher is better"), "lower": ("↓", "lower is better")}
QUANTILES = ("1", "5", "25", "50", "75", "95", "99")


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
    chosen = next((column for column in columns if column.alias == address.get("column")), None)
    if chosen is not None:
        live(_one(cat, found, chosen), "column", _handle)
    live(_grid(found, columns, chosen), "columns", _handle)


def _handle(name: str, value: str) -> None:
    address.put(**{name: value})


def _grid(found: Resolved, columns: list[ColumnRecord], chosen: ColumnRecord | None) -> Markup:
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
        blocks.append(h("section", head, h("div", [_tile(found, column, chosen) for column in held], cls="sx-grid")))
    return h("div", blocks, cls="sx-groups")


def _tile(found: Resolved, column: ColumnRecord, chosen: ColumnRecord | None) -> Markup:
    held = column.statistics
    arrow = BETTER.get(column.better or "", ("", ""))
    rho = _rho(column)
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
            h("span", arrow[0], cls="sx-faint", title=arrow[1]),
            cls="sx-between",
        ),
        thumbnail(held),
        states(column.states, found.dataset.rows),
        h("div", h("span", facts, cls="sx-cut"), corner, cls="sx-between sx-meta"),
        cls="sx-col on" if chosen is not None and chosen.alias == column.alias else "sx-col",
        **link("dataset", ref=_ref(found), tab="columns", column=column.alias),
    )


def _ref(found: Resolved) -> str:
    return found.dataset.name if found.number == found.dataset.head else found.ref


def _top(statistics: dict[str, Any]) -> str:
    facets = statistics.get("facets") or {}
    if not facets:
        return f"{count(statistics['distinct'])} values" if statistics.get("distinct") else type_note(statistics)
    name, rows = next(iter(facets.items()))
    return f"{name} {share(rows, statistics.get('count'))}"


def type_note(statistics: dict[str, Any]) -> str:
    return f"{count(statistics.get('count'))} values"


def _rho(column: ColumnRecord) -> float | None:
    return (column.statistics.get("length_correlation") or {}).get("spearman")


def signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def _one(cat: Catalog, found: Resolved, column: ColumnRecord) -> Markup:
    with cat.session() as session:
        recipe = session.get(Recipe, column.fingerprint)
        shared = list(
            session.exec(
                select(ColumnRecord.dataset_id)
                .where(ColumnRecord.fingerprint == column.fingerprint, ColumnRecord.dataset_id != column.dataset_id)
                .distinct()
            )
        )
    out = next(
        (out for scorer in plugins("scorer").values() for out in scorer.writes if out.name == column.output), None
    )
    arrow = BETTER.get(column.better or "")
    head = h(
        "div",
        h("span", column.alias, cls="sx-h1", style="font-size:18px"),
        chip(column.type),
        chip(column.scope if column.scope != "population" else f"for {column.population}"),
        chip(f"{arrow[0]} {arrow[1]}", "accent") if arrow else None,
        h("span", out.doc if out else "", cls="sx-sub"),
        h(
            "a",
            "Try a threshold",
            cls="sx-link",
            style="margin-left:auto",
            **link("dataset", ref=_ref(found), tab="explore", where=_median(column), **{"with": column.alias}),
        )
        if "histogram" in column.statistics
        else None,
        h(
            "span",
            "Close",
            cls="sx-step",
            style="" if "histogram" in column.statistics else "margin-left:auto",
            **act("column", ""),
        ),
        cls="sx-title",
    )
    left = h(
        "div",
        _distribution(column),
        panel("Coverage", states(column.states, found.dataset.rows, legend=True)),
        _length(column),
        cls="sx-stack",
        style="min-width:0",
    )
    right = h(
        "div",
        _summary(column),
        _report(column),
        _origin(column, recipe, len(shared)),
        cls="sx-stack",
        style="min-width:0",
    )
    return h(
        "div",
        head,
        h("div", left, right, cls="sx-split"),
        cls="sx-stack",
        style="border-bottom:1px solid var(--sx-line);padding-bottom:18px",
    )


def _median(column: ColumnRecord) -> str:
    """A filter that keeps the better half."""
    middle = (column.statistics.get("quantiles") or {}).get("50", 0.0)
    return f"{column.alias} {'<' if column.better == 'lower' else '>'} {middle:.4g}"


def _distribution(column: ColumnRecord) -> Markup:
    held = column.statistics
    if "histogram" in held:
        log = address.get("counts") == "log"
        switch = h(
            "span", "linear counts" if log else "log counts", cls="sx-step", **act("counts", "" if log else "log")
        )
        sampled = (
            f"from every {held['sampled_every']}th row"
            if held.get("sampled_every")
            else plural(held.get("count", 0), "value")
        )
        return h(
            "section",
            h(
                "div",
                caps("Distribution"),
                h(
                    "span",
                    f"{sampled}, {len(held['histogram']['counts'])} bins",
                    cls="sx-faint",
                    style="font-size:12px;margin-right:auto",
                ),
                switch,
                cls="sx-row",
            ),
            figure(held, log=log),
            cls="sx-panel",
        )
    if held.get("facets"):
        return panel(
            f"Values ({count(held.get('distinct'))} different)", ranked(held["facets"], held.get("count", 0), 12)
        )
    return panel(
        "Values",
        h("span", f"{count(held.get('count'))} values of type {column.type}; they have no histogram", cls="sx-soft"),
    )


def _length(column: ColumnRecord) -> Markup | None:
    rho = _rho(column)
    if rho is None:
        return None
    strong = abs(rho) >= STRONG
    words = (
        "follows the length of the text closely: compare it with length alone before you trust it"
        if strong
        else "depends on length a little"
        if abs(rho) >= 0.2
        else "is nearly independent of length"
    )
    return h(
        "div",
        h("b", f"ρ = {signed(rho)}"),
        h("span", f"Rank correlation with characters: {column.alias} {words}."),
        cls="sx-callout warn" if strong else "sx-callout",
    )


def _summary(column: ColumnRecord) -> Markup:
    held = column.statistics
    rows = [("values", count(held.get("count"))), ("distinct", count(held["distinct"]) if "distinct" in held else None)]
    rows += [(name, number(held[name])) for name in ("mean", "std", "min", "max") if name in held]
    rows += [
        (f"p{q}" if q != "50" else "median", number((held.get("quantiles") or {})[q]))
        for q in QUANTILES
        if q in (held.get("quantiles") or {})
    ]
    return panel("Summary", pairs([row for row in rows if row[1] is not None], numbers=True))


def _report(column: ColumnRecord) -> Markup | None:
    """What the fit said of itself: agreement with its interval, counts, divergences."""
    if not column.report:
        return None
    return panel(
        "Report of the fit", pairs((name.replace("_", " "), _told(value)) for name, value in column.report.items())
    )


def _told(value: Any) -> Any:
    if isinstance(value, (dict, list)):
        return h("span", orjson.dumps(value).decode(), cls="sx-mono")
    return number(value)


def _origin(column: ColumnRecord, recipe: Recipe | None, shared: int) -> Markup:
    known = plugins("scorer").get(column.scorer)
    rows = [
        ("scorer", f"{column.scorer} {known.version}" if known else column.scorer),
        ("citation", known.citation if known else None),
        ("fingerprint", h("span", column.fingerprint, cls="sx-mono")),
        ("stored as", h("span", column.physical, cls="sx-mono")),
        ("digest", h("span", column.digest[:16], cls="sx-mono", title=column.digest)),
        ("computed", stamp(column.created)),
        ("also in", f"{shared} other dataset{'s' if shared != 1 else ''} (same fingerprint)" if shared else None),
    ]
    body = (
        orjson.dumps(recipe.body, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode()
        if recipe
        else "no recipe is recorded"
    )
    return h(
        "section",
        caps("Recipe"),
        pairs([row for row in rows if row[1]]),
        h(
            "details",
            h("summary", "recipe as hashed"),
            h("pre", body, cls="sx-pre", style="margin-top:6px"),
            style="margin-top:8px",
        ),
        cls="sx-panel",
    )
