"""What flows from tier to tier: of each promoted dataset the rows and tokens that went in, and what was kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import select

from catalog import Catalog
from catalog.meta.models import Edge
from catalog.refs import parse_ref
from ui.web.queries.overview import Card


@dataclass
class Flow:
    """Between two tiers, summed over the datasets of the second as they are now."""

    rows_in: int = 0
    rows_kept: int = 0
    tokens_in: int = 0
    tokens_kept: int = 0
    datasets: int = 0
    counted: int = 0  # datasets whose waterfall counted tokens


def flows(cat: Catalog, cards: Sequence[Card]) -> dict[tuple[str, str], Flow]:
    """(tier from, tier to) -> what went through. One query; the waterfall's sums are taken out of its JSON by the store."""
    held = {card.name: card for card in cards}
    newest: dict[str, tuple[int, Any]] = {}
    waterfall = Edge.details["waterfall"]  # type: ignore[index]
    query = select(Edge.source, Edge.target, Edge.counts, waterfall["unit"], waterfall["total"], waterfall["kept"])
    with cat.session() as session:
        for row in session.exec(query.where(Edge.verb == "promote")):  # type: ignore[call-overload]
            target = _version(row[1])
            card = held.get(target[0])
            if card is not None and newest.get(card.name, (0,))[0] <= target[1] <= card.version.number:
                newest[card.name] = (target[1], row)
    found: dict[tuple[str, str], Flow] = {}
    for name, (_, row) in newest.items():
        parent = held.get(_version(row[0])[0])
        if parent is not None and parent.dataset.tier != held[name].dataset.tier:
            _add(found.setdefault((parent.dataset.tier, held[name].dataset.tier), Flow()), *row[2:])
    return found


def _version(ref: str) -> tuple[str, int]:
    name, number = parse_ref(ref)
    return name, number if isinstance(number, int) else 0


def _add(flow: Flow, counts: dict[str, int], unit: Any, total: Any, kept: Any) -> None:
    flow.datasets += 1
    flow.rows_in += counts.get("in", 0)
    flow.rows_kept += counts.get("kept", 0)
    if unit == "tokens" and isinstance(total, list) and isinstance(kept, list) and None not in (total[1], kept[1]):
        flow.counted += 1
        flow.tokens_in += total[1]
        flow.tokens_kept += kept[1]
