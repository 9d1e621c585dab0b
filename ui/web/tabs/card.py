"""The card: licences, lengths, languages and sources, where the rows came from and what went wrong on the way."""

from __future__ import annotations

from typing import Any

import streamlit as st

from catalog import Catalog
from catalog.cards import markdown
from catalog.catalog import Resolved
from catalog.nutrition import nutrition
from ui.web.charts import lengths
from ui.web.components.figures import compact, count, duration, plural, share, size, stamp
from ui.web.components.label import label
from ui.web.components.markup import Markup, h, link, live
from ui.web.components.parts import caps, chip, pairs, panel, ranked, table

QUANTILES = ("1", "5", "25", "50", "75", "95", "99")


def draw(cat: Catalog, found: Resolved) -> None:
    held = cat.card(found.ref)
    left = [_about(held), _lengths(found, held), _spread("Sources", held["sources"], held), _languages(held)]
    right = [label(nutrition(cat, found.ref)), _licence(held), _provenance(held), _files(held), _columns(held)]
    body = h("div", h("div", left, cls="sx-stack"), h("div", right, cls="sx-stack"), cls="sx-even sx-split")
    live(body, "card")
    st.download_button(
        "Card as Markdown", lambda: markdown(held), f"{found.ref}.md", "text/markdown", on_click="ignore"
    )


def _about(held: dict[str, Any]) -> Markup:
    counts = held["counts"]
    moves = [(name, count(counts[name])) for name in ("added", "removed", "retracted") if counts[name]]
    rows = [
        ("note", held["note"]),
        ("role", held["role"]),
        ("owner", held["owner"]),
        ("created", stamp(held["created"])),
        ("published", stamp(held["published"])),
    ]
    rows += [(f"{name} in v{held['version']}", value) for name, value in moves]
    rows += [
        (
            "tags",
            h("span", [chip(f"{tag} → v{version}", "plain") for tag, version in held["tags"].items()], cls="sx-wrap")
            if held["tags"]
            else None,
        )
    ]
    rows += [("digest", h("span", held["digest"], cls="sx-mono"))]
    return panel("About", pairs([row for row in rows if row[1]]))


def _licence(held: dict[str, Any]) -> Markup:
    """Declared, verified and the class of use are three facts; none stands for another."""
    facts = held["licence"]
    declared = chip(facts["declared"]) if facts["declared"] else chip("unknown", "warn")
    verified = chip(facts["verified"], "ok") if facts["verified"] else chip("not verified", "warn")
    rows = [
        ("declared", declared),
        ("evidence", facts["evidence"] or h("span", "none", cls="sx-warn")),
        ("verified", verified),
        ("verified by", facts["verified_by"]),
        ("use class", facts["use_class"]),
        ("text may be sent to a model", "yes" if facts["consent_to_send_text"] else "no: local models only"),
    ]
    missing = facts["rows_without"]
    note = (
        h(
            "div",
            f"{count(missing)} of {count(held['counts']['rows'])} rows declare no licence",
            cls="sx-warn",
            style="margin-top:8px",
        )
        if missing
        else None
    )
    spread = (
        h("div", ranked(facts["rows"], held["counts"]["rows"]), style="margin-top:12px")
        if len(facts["rows"]) > 1
        else None
    )
    return panel("Licence", pairs([row for row in rows if row[1]]), note, spread)


def _lengths(found: Resolved, held: dict[str, Any]) -> Markup | None:
    drawn = lengths.figure(found.version.statistics if found.version else {})
    if drawn is None:
        return None
    quantiles, counts = held["counts"]["chars_quantiles"], held["counts"]
    mean = counts["chars"] / counts["rows"] if counts["rows"] else 0
    row = [count(round(mean)), *(count(quantiles.get(q)) for q in QUANTILES)]
    heads = ["mean", *("median" if q == "50" else f"p{q}" for q in QUANTILES)]
    return panel(
        "Length in characters", drawn, h("div", table(heads, [row], numeric=range(8)), style="margin-top:10px")
    )


def _spread(name: str, values: dict[str, int], held: dict[str, Any]) -> Markup | None:
    return panel(f"{name} ({count(len(values))})", ranked(values, held["counts"]["rows"])) if values else None


def _languages(held: dict[str, Any]) -> Markup | None:
    if held["languages"]:
        return _spread("Languages", held["languages"], held)
    if held["kind"] == "knowledge":
        return None
    return panel(
        "Languages",
        h("span", "unknown; ", h("code", f"strata score {held['name']} langid"), " finds out", cls="sx-soft"),
    )


def _provenance(held: dict[str, Any]) -> Markup:
    steps = []
    for step in held["provenance"]:
        counts = ", ".join(f"{compact(value)} {name}" for name, value in step["counts"].items() if value)
        cost = (step.get("cost") or {}).get("cpu_s")
        foot = [step["actor"], stamp(step["created"]), f"{duration(cost)} CPU" if cost is not None else None]
        source = h("div", h("b", step["verb"]), h("span", " from ", cls="sx-faint"), _source(step["source"]))
        body = [
            source,
            h("div", counts, cls="sx-soft"),
            h("div", " · ".join(item for item in foot if item), cls="sx-faint", style="font-size:12.5px"),
        ]
        steps.append(h("li", body))
    return panel(
        "Provenance, nearest first",
        h("ol", steps, cls="sx-steps-list") if steps else h("span", "nothing is recorded", cls="sx-faint"),
    )


def _source(name: str) -> Markup:
    if name.startswith("file:"):
        path = name.removeprefix("file:")
        return h("span", path.rsplit("/", 1)[-1], cls="sx-mono", title=path)
    if ":" in name:
        return h("span", name, cls="sx-mono")
    return h("a", name, cls="sx-link", **link("dataset", ref=name))


def _files(held: dict[str, Any]) -> Markup | None:
    files, bad = held["files"], held["quarantine"]
    if not files["files"] and not bad:
        return None
    facts = pairs(
        [
            ("files", f"{count(files['files'])}, {size(files['bytes'])}"),
            ("rows read", count(files["rows"])),
            ("quarantined", count(sum(bad.values()))),
        ]
    )
    reasons = (
        h("div", h("div", caps("quarantined because"), style="margin:12px 0 6px"), ranked(bad, sum(bad.values())))
        if bad
        else None
    )
    return panel("Source files", facts, reasons)


def _columns(held: dict[str, Any]) -> Markup | None:
    if not held["columns"]:
        return None
    grouped: dict[str, list[dict[str, Any]]] = {}
    for column in held["columns"]:
        grouped.setdefault(column["scorer"], []).append(column)
    rows = []
    for scorer, columns in grouped.items():
        least = min(column["coverage"] or 0 for column in columns)
        name = h(
            "a", scorer, cls="sx-link", **link("dataset", ref=held["ref"], tab="columns", column=columns[0]["column"])
        )
        rows.append(
            (
                name,
                len(columns),
                share(least) if least < 1 else "100%",
                ", ".join(column["column"] for column in columns[:4])
                + (f" +{len(columns) - 4}" if len(columns) > 4 else ""),
            )
        )
    return panel(
        f"{plural(len(held['columns']), 'column')} by {plural(len(grouped), 'scorer')}",
        table(["scorer", "columns", "covered", "names"], rows, numeric=(1, 2), nowrap=(0,)),
    )
