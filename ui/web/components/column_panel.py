"""Everything known about one computed column: how its values are spread, coverage, length, recipe, cost."""

from __future__ import annotations

from typing import Any

import orjson
from sqlmodel import select

from catalog import Catalog
from catalog.catalog import Resolved
from catalog.meta.models import ColumnRecord, Recipe, Run
from catalog.plugins import plugins
from ui.web.charts import ecdf
from ui.web.charts.coverage import states
from ui.web.charts.histogram import figure
from ui.web.components import address
from ui.web.components.figures import count, duration, number, plural, stamp
from ui.web.components.markup import Markup, act, h, link
from ui.web.components.parts import caps, chip, pairs, panel, ranked

STRONG = 0.5
"""From this absolute rank correlation with length on, a score is called out."""
BETTER = {"higher": ("↑", "higher is better"), "lower": ("↓", "lower is better")}
QUANTILES = ("1", "5", "25", "50", "75", "95", "99")


def rho_of(column: ColumnRecord) -> float | None:
    return (column.statistics.get("length_correlation") or {}).get("spearman")


def signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def short_ref(found: Resolved) -> str:
    return found.dataset.name if found.number == found.dataset.head else found.ref


def column_panel(
    cat: Catalog, found: Resolved, column: ColumnRecord, spread: dict[str, Any] | None, stale: list[str]
) -> Markup:
    with cat.session() as session:
        recipe = session.get(Recipe, column.fingerprint)
        run = session.get(Run, column.run_id) if column.run_id else None
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
        h("h2", column.alias, cls="sx-h1", style="font-size:18px"),
        chip(column.type),
        chip(column.scope if column.scope != "population" else f"for {column.population}"),
        chip(f"{arrow[0]} {arrow[1]}", "accent") if arrow else None,
        [chip(f"stale: {why}", "warn") for why in stale],
        h("span", out.doc if out else "", cls="sx-sub"),
        h(
            "a",
            "Try a threshold",
            cls="sx-link",
            style="margin-left:auto",
            **link("dataset", ref=short_ref(found), tab="explore", where=_median(column), **{"with": column.alias}),
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
        h("div", _distribution(column), _curves(spread), cls="sx-split sx-even") if spread else _distribution(column),
        panel("Coverage", states(column.states, found.dataset.rows, legend=True)),
        _length(column),
        cls="sx-stack",
        style="min-width:0",
    )
    right = h(
        "div",
        _summary(column),
        _report(column),
        _origin(column, recipe, run, len(shared)),
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
            figure(held, log=log, width=440, height=230),
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
    rho = rho_of(column)
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


def _cost(run: Run | None) -> str | None:
    """What the run that made the column took, its other columns included."""
    if run is None or not run.cost:
        return None
    words = {"cpu_s": "CPU", "gpu_s": "GPU"}
    said = [f"{duration(run.cost[name])} {word}" for name, word in words.items() if run.cost.get(name)]
    said += [f"{count(run.cost[name])} {name}" for name in ("tokens",) if run.cost.get(name)]
    said += [f"{number(run.cost['money'])} money"] if run.cost.get("money") else []
    values = run.counts.get("computed")
    return ", ".join(said) + (f" for {count(values)} values" if values else "") if said else None


def _curves(spread: dict[str, Any]) -> Markup:
    """The distribution function of all rows, and of the commonest values of a label."""
    groups = spread["groups"]
    if not groups:
        return panel("Share of rows up to a value", h("span", "no value", cls="sx-faint"))
    part = f"from {count(spread['sampled'])} rows" if spread["sampled"] < spread["rows"] else "all rows"
    head = h(
        "div",
        caps("Share of rows up to a value"),
        h("span", f"{part}{', by ' + spread['by'] if spread['by'] else ''}", cls="sx-faint", style="font-size:12px"),
        cls="sx-row",
    )
    return h("section", head, ecdf.figure(groups, 440, 230), ecdf.key(groups) if spread["by"] else None, cls="sx-panel")


def _origin(column: ColumnRecord, recipe: Recipe | None, run: Run | None, shared: int) -> Markup:
    known = plugins("scorer").get(column.scorer)
    rows = [
        ("scorer", f"{column.scorer} {known.version}" if known else column.scorer),
        ("citation", known.citation if known else None),
        ("fingerprint", h("span", column.fingerprint, cls="sx-mono")),
        ("stored as", h("span", column.physical, cls="sx-mono")),
        ("digest", h("span", column.digest[:16], cls="sx-mono", title=column.digest)),
        ("computed", stamp(column.created)),
        ("cost of its run", _cost(run)),
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
