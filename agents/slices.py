"""Filters that follow from a need's words: values of stored facets, such as a source or the label of a classifier."""

from __future__ import annotations

from agents.catalog_cards import Card
from agents.need_checks import quoted
from catalog.card_index import words_of

MOST = 5
"""Values of one column that go into a filter."""


def label_conditions(card: Card, topic: set[str]) -> list[tuple[str, str]]:
    """(condition, values) for every facet with values that share a word with the topic, and others that do not."""
    columns = {"source": "source"} | {
        c.alias: c.alias for c in card.columns if c.type in ("string", "large_string") and c.output != "language"
    }
    out = []
    for name in columns:
        held = card.facet(name) or {}
        own = [value for value in held if value != "unknown" and len(value) <= 200 and topic & set(words_of(value))]
        if own and len(own) < len(held):
            best = sorted(own, key=lambda value: (-held[value], value))[:MOST]
            out.append((f"{name} IN ({quoted(best)})", ", ".join(best)))
    return out
