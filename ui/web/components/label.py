"""The nutrition label of a dataset as markup: one compact block, the same wherever a dataset is chosen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ui.web.components.figures import compact, count, number, share
from ui.web.components.markup import Markup, h, link
from ui.web.components.parts import caps, chip, licence_chips

LANGUAGES = 4


def label(held: Mapping[str, Any], title: Any = "Label", *, wide: bool = False) -> Markup:
    """What `catalog.nutrition` says of a dataset version: amounts, licences, checks, medians, what is missing."""
    checks = h("div", [_check(item, held["ref"]) for item in held["checks"]], cls="sx-label-rows")
    medians = [_quality(item, held["ref"]) for item in held["qualities"]]
    first = [
        _line("licence", licence_chips(held["licences"], 3) or chip("unknown", "warn")),
        _line("language", _languages(held)),
        _missing(held["missing"]),
    ]
    second = [checks, h("div", medians, cls="sx-label-rows") if medians else None]
    return h(
        "section",
        h("div", title, cls="sx-label-head"),
        _amounts(held),
        h("div", h("div", first), h("div", second), cls="sx-label-body"),
        cls="sx-label wide" if wide else "sx-label",
        aria_label=f"label of {held['ref']}",
    )


def _amounts(held: Mapping[str, Any]) -> Markup:
    part = held["tokens"] is not None and held["tokens_rows"] < held["rows"]
    told = f"counted on {count(held['tokens_rows'])} of {count(held['rows'])} rows" if part else None
    cells = [
        _amount(held.get("unit", "rows"), compact(held["rows"]), count(held["rows"])),
        _amount("tokens", compact(held["tokens"]) + ("+" if part else ""), told or count(held["tokens"])),
    ]
    if held["chars"] is not None:
        cells.append(_amount("characters", compact(held["chars"]), count(held["chars"])))
    return h("div", cells, cls="sx-label-amounts")


def _amount(name: str, value: str, title: str) -> Markup:
    return h("div", h("b", value), h("span", name), title=title)


def _line(name: str, body: Any) -> Markup:
    return h("div", h("span", name, cls="sx-soft"), h("span", body, cls="sx-wrap"), cls="sx-label-line")


def _languages(held: Mapping[str, Any]) -> Any:
    known = {name: rows for name, rows in held["languages"].items() if name != "unknown"}
    if not known:
        return chip("not measured", "warn")
    total = sum(held["languages"].values())
    ranked = sorted(known.items(), key=lambda item: (-item[1], item[0]))
    made = [chip(f"{name} {share(rows, total)}", title=f"{count(rows)} rows") for name, rows in ranked[:LANGUAGES]]
    return [*made, chip(f"+{len(ranked) - LANGUAGES}", "plain")] if len(ranked) > LANGUAGES else made


def _check(item: Mapping[str, Any], ref: str) -> Markup:
    """Over how many rows a check was made, and what it found; a check that was not made is said to be none."""
    coverage, found = item["coverage"] or 0.0, item["found"]
    if not coverage:
        said, tone = "not checked", "sx-warn"
        title = f"strata score {ref.partition('@')[0]} {item['scorer']}"
    else:
        said = "not stored" if found is None else "none" if not found else f"{share(item['share'])} of rows"
        tone = "sx-ok" if found == 0 and coverage == 1 else "sx-soft" if found == 0 or found is None else "sx-warn"
        title = f"{'–' if found is None else count(found)} found; {share(coverage)} of the rows were checked"
    width = f"width:{100 * coverage:.1f}%"
    return h(
        "div",
        h("span", item["check"]),
        h("span", h("i", style=width), cls="sx-label-bar", title=f"{share(coverage)} of the rows were checked"),
        h("span", said, cls=f"sx-num {tone}"),
        cls="sx-label-row",
        title=title,
    )


def _quality(item: Mapping[str, Any], ref: str) -> Markup:
    arrow = "↑" if item["better"] == "higher" else "↓"
    name = h("a", item["column"], cls="sx-cut", **link("dataset", ref=ref, tab="columns", column=item["column"]))
    title = (
        f"median {number(item['median'])}, 5 to 95 %: {number(item['low'])} to {number(item['high'])}, "
        f"on {share(item['coverage'])} of the rows; {item['better']} is better"
    )
    middle = f"{number(item['low'])} – {number(item['high'])}"
    return h(
        "div",
        name,
        h("span", middle, cls="sx-faint sx-num"),
        h("span", f"{number(item['median'])} {arrow}", cls="sx-num"),
        cls="sx-label-row",
        title=title,
    )


def _missing(held: Mapping[str, float | None]) -> Markup:
    """The share of rows without a fact; what is nowhere stands out."""
    parts = [
        h("span", name, " ", h("b", share(part), cls="sx-warn" if part == 1 else None))
        for name, part in held.items()
        if part is not None
    ]
    return h("div", caps("missing"), h("div", parts or "no rows", cls="sx-label-missing"), cls="sx-label-foot")
