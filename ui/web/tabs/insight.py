"""What is odd about the version: findings of every check, worst first, each with the query that shows it."""

from __future__ import annotations

from typing import Any

import streamlit as st

from catalog import Catalog
from catalog.catalog import Resolved
from ui.web.components import address, shell
from ui.web.components.figures import count, plural, share
from ui.web.components.markup import Markup, h, link, live
from ui.web.components.parts import bar, chip, panel

ATONCE = 100_000
"""Rows up to which the checks run when the tab is opened; above, when they are asked for."""
TONES = {"high": "bad", "medium": "warn", "low": ""}
LEVELS = {"": "all findings", "high": "high", "medium": "medium", "low": "low"}


@st.cache_data(show_spinner="looking at every row …", max_entries=32)
def _found(_cat: Catalog, home: str, state: int, ref: str) -> dict[str, Any]:
    from agents.insight import insight

    return insight(_cat, ref)


def draw(cat: Catalog, found: Resolved) -> None:
    rows = found.version.rows if found.version else 0
    if rows > ATONCE and not address.get("look"):
        _ask(rows)
        return
    held = _found(cat, str(cat.settings.home), found.dataset.lance_version, found.ref)
    if not held["rows"]:
        shell.show(shell.empty("No rows", "Nothing can be odd where there is nothing."))
        return
    left, right = st.columns([1, 3], gap="small", vertical_alignment="bottom")
    with left:
        level = address.choice("Severity", "level", list(LEVELS), "", format_func=LEVELS.get)
    with right:
        live(summary(held), "insight-summary")
    shown = [item for item in held["findings"] if not level or item["severity"] == level]
    live(h("div", [finding(item, held["ref"]) for item in shown], cls="sx-stack"), "insight-findings")
    if not shown:
        words = "No check found anything." if not held["findings"] else f"No finding is {level}."
        shell.show(shell.note(words))
    live(quiet(held), "insight-quiet")


def _ask(rows: int) -> None:
    """A button before a long look: every check reads every row."""
    shell.show(
        shell.note(
            f"The checks read all {count(rows)} rows, about a minute for each million. Nothing is written; the result is kept "
            "until the dataset changes."
        )
    )
    st.button("Look at all rows", type="primary", on_click=lambda: address.put(look="1"))


def summary(held: dict[str, Any]) -> Markup:
    levels = [item["severity"] for item in held["findings"]]
    chips = [chip(f"{levels.count(one)} {one}", tone) for one, tone in TONES.items() if one in levels]
    words = f"{plural(len(levels), 'finding')} by {len(held['checked'])} checks over {count(held['rows'])} rows"
    return h("div", h("b", words), chips, cls="sx-wrap")


def finding(item: dict[str, Any], ref: str) -> Markup:
    """One finding: what, how many, what to do, and the way to the rows."""
    head = h("h2", item["title"][:1].upper() + item["title"][1:], cls="sx-name", style="margin:0;font-size:14.5px")
    name = h("div", chip(item["severity"], TONES[item["severity"]]), head, chip(item["check"], "plain"), cls="sx-wrap")
    amount = h(
        "div",
        h("span", f"{count(item['count'])} · {share(item['count'], item['rows'])}", cls="sx-num sx-soft"),
        bar(item["count"] / item["rows"] if item["rows"] else 0, title="share of the rows"),
        style="display:grid;gap:3px;width:150px;flex:none;font-size:13px",
    )
    top = h("div", name, amount, cls="sx-between")
    quote = h("pre", item["quote"], cls="sx-pre", style="white-space:pre-wrap;margin:0") if item["quote"] else None
    ways = [h("a", "Open in SQL", cls="sx-step", **link("sql", q=item["query"]))]
    ways += [
        h("a", sample[:8], cls="sx-step sx-mono", title=f"sample {sample}", **_sample(ref, sample))
        for sample in item["samples"]
    ]
    advice = h(
        "div", _sentence(item["advice"]), h("code", item["command"]) if item["command"] else None, cls="sx-wrap sx-soft"
    )
    body = (top, quote, advice, h("div", ways, cls="sx-wrap"))
    return h("article", h("div", body, style="display:grid;gap:8px"), cls="sx-panel", aria_label=item["title"])


def _sample(ref: str, sample: str) -> dict[str, str]:
    return link("dataset", ref=ref, tab="samples", where=f"sample_id = '{sample}'")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def quiet(held: dict[str, Any]) -> Markup:
    """Checks without a finding, what was not looked at, and the command that says the same."""
    names = h("div", [chip(name) for name in held["quiet"]], cls="sx-wrap")
    notes = [h("li", line) for line in held["notes"]]
    command = h("code", f"strata insight {held['ref']} --queries")
    return h(
        "div",
        panel(f"{len(held['quiet'])} checks found nothing", names),
        panel("Notes", h("ul", notes, style="margin:6px 0;padding-left:18px"), h("div", command)),
        cls="sx-split",
        style="margin-top:14px",
    )
