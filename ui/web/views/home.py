"""Catalog home: what runs, what waits for a decision, what is new, and the tiers as lanes with what flows between them."""

from __future__ import annotations

import streamlit as st

from ui.web.components import address, shell
from ui.web.components.cards import lanes
from ui.web.components.figures import compact
from ui.web.components.markup import h, live
from ui.web.components.runs import ACTIVE, strip
from ui.web.components.today import today
from ui.web.queries import flow, overview, waiting

FIRST = """strata ingest pages.jsonl --as web          # or Parquet, CSV, text, WARC, a hub id
strata score web langid gopher_quality      # columns with recipes
strata promote web --to L1                  # what the contract lets through"""


def filters(cards: list[overview.Card]) -> tuple[list[overview.Card], bool]:
    """Search box and facets; returns the cards that match and whether anything was asked."""
    facets = overview.facets(cards)
    boxes = st.columns([2.2, 1, 1, 1, 1.2], gap="small")
    with boxes[0]:
        words = address.text_box("Search", "q", placeholder="name, note, owner, licence, column …")
    picked = []
    for box, name in zip(boxes[1:], ("kind", "language", "licence", "score"), strict=True):
        with box:
            counted = facets[name]
            picked.append(
                address.choices(
                    {"score": "Has column"}.get(name, name.capitalize()),
                    name,
                    list(counted),
                    placeholder="any",
                    format_func=lambda value, counted=counted: f"{value} ({counted.get(value, 0)})",
                )
            )
    kinds, languages, licences, scores = picked
    found = overview.matching(cards, words, kinds=kinds, languages=languages, licences=licences, scores=scores)
    return found, bool(words or any(picked))


def activity() -> None:
    with shell.guarded():
        live(strip(shell.catalog().runs(limit=12)), "activity")


def page() -> None:
    cat = shell.catalog()
    cards = overview.cards(cat)
    runs = cat.runs(limit=12)
    if not cards and not runs:
        shell.show(
            shell.empty(
                "This catalog is empty",
                [
                    "A dataset is a table in a tier. Ingest a file, score its rows, promote what is good. The catalog lives in ",
                    h("code", shell.place(cat)),
                    ".",
                ],
                FIRST,
                [h("code", "make demo"), " builds a small catalog of real data in a few minutes."],
                whole=True,
            )
        )
        return
    rows, chars = sum(c.version.rows for c in cards), sum(c.version.statistics.get("chars", 0) for c in cards)
    shell.show(
        shell.title(
            "Catalog",
            f"{len(cards)} datasets · {compact(rows)} rows · {compact(chars)} characters · {shell.place(cat)}",
        )
    )
    busy = any(run.status in ACTIVE for run in runs)
    st.fragment(activity, run_every=1.0 if busy else 10.0)()
    with shell.guarded():
        live(today(waiting.waiting(cat, cards), waiting.news(cat)), "today")
    found, filtered = filters(cards)
    live(lanes(found, filtered, flow.flows(cat, cards)), "lanes")


page()
