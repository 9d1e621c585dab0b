"""Facets over the cards of a catalog: which values there are, how many datasets have each, and which datasets are left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from agents.catalog_cards import Card, cards_of
from catalog.errors import NotFound
from catalog.licences import USES, blocks

if TYPE_CHECKING:
    from catalog.catalog import Catalog

FACETS = ("tier", "kind", "language", "licence", "use", "role", "column")
NO_ROLE = "training"
"""What a dataset without a role is for."""


def values_of(card: Card, facet: str) -> set[str]:
    """Values of a facet that a card has. use: uses that the licence of a row, at least, allows."""
    if facet == "language":
        return set(card.facet("language") or {})
    if facet == "licence":
        return set(card.licences())
    if facet == "use":
        return _uses(card)
    if facet == "column":
        return {column.alias for column in card.columns}
    return {"tier": {card.dataset.tier}, "kind": {card.dataset.kind}, "role": {card.dataset.role or NO_ROLE}}[facet]


def _uses(card: Card) -> set[str]:
    dataset = card.dataset
    named = [dataset.licence_verified] if dataset.licence_verified else list(card.licences())
    real = [dataset.licence if name == "unknown" else name for name in named]
    known = {use for use in USES if any(not blocks(name, use) for name in real)}
    return {use for use in known if "commercial" not in use} if dataset.use_class == "research" else known


def counted(cards: Sequence[Card]) -> dict[str, dict[str, int]]:
    """Facet -> value -> datasets that have it, the most frequent first."""
    found: dict[str, Counter[str]] = {name: Counter() for name in FACETS}
    for card in cards:
        for name in FACETS:
            found[name].update(values_of(card, name))
    return {name: dict(sorted(held.items(), key=lambda item: (-item[1], item[0]))) for name, held in found.items()}


def narrowed(cards: Sequence[Card], asked: Mapping[str, Sequence[str]]) -> list[Card]:
    """Cards that have, for each facet asked for, one of its values; of columns, all of them."""
    wanted = {name: set(values) for name, values in asked.items() if values}
    for name in wanted.keys() - set(FACETS):
        raise NotFound("facet", name, FACETS)
    return [card for card in cards if all(_has(values_of(card, name), name, held) for name, held in wanted.items())]


def _has(own: set[str], facet: str, asked: set[str]) -> bool:
    return asked <= own if facet == "column" else bool(asked & own)


def among(cat: Catalog, asked: Mapping[str, Sequence[str]]) -> list[str] | None:
    """Names of the datasets that facets leave; None where none was asked for. An unknown value is `NotFound`."""
    if not any(asked.values()):
        return None
    cards = cards_of(cat)
    known = counted(cards)
    for name, values in asked.items():
        for value in values:
            if name in known and value not in known[name]:
                raise NotFound(name, value, list(known[name]), "facets are values that a dataset of this catalog has")
    return [card.dataset.name for card in narrowed(cards, asked)]
