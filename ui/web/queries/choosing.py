"""Scorers as somebody chooses them: by family, with what this dataset has of each already."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from catalog import Catalog
from catalog.catalog import Resolved
from catalog.plugins import Scorer, plugins

FAMILIES = {
    "text": "Text rules",
    "dedup": "Duplicates",
    "ngram": "N-grams and targets",
    "embedding": "Embeddings and clusters",
    "forward": "Language model",
}


@dataclass(frozen=True)
class Offer:
    """A scorer for one dataset. reason: why it cannot run there, else ""."""

    scorer: Scorer
    covered: int | None  # rows of its best covered run, None while it has not run
    reason: str = ""


def offers(cat: Catalog, found: Resolved, *, experimental: bool = False) -> dict[str, list[Offer]]:
    """Family -> scorers in it, the known families first."""
    held: dict[str, int] = {}
    for column in cat.columns(found.dataset.name):
        held[column.scorer] = max(held.get(column.scorer, 0), column.covered)
    grouped: dict[str, list[Offer]] = defaultdict(list)
    for scorer in plugins("scorer").values():
        if scorer.experimental and not experimental:
            continue
        kind = found.dataset.kind
        reason = f"works on {', '.join(scorer.kinds)}" if scorer.kinds and kind not in scorer.kinds else ""
        grouped[family(scorer)].append(Offer(scorer, held.get(scorer.name), reason))
    order = [*FAMILIES.values(), *sorted(set(grouped) - set(FAMILIES.values()))]
    return {name: grouped[name] for name in order if name in grouped}


def family(scorer: Scorer) -> str:
    """The folder of the plug-in, in words; a plug-in from elsewhere counts by its package."""
    parts = scorer.module.split(".")
    if parts[:2] == ["flows", "scorers"] and len(parts) > 3:
        return FAMILIES.get(parts[2], parts[2].capitalize())
    return parts[0]


def upstream(scorers: list[Scorer]) -> list[Scorer]:
    """The scorers and, before them, those that write what they read."""
    known = plugins("scorer")
    writers = {out.name: scorer for scorer in known.values() for out in scorer.writes}
    found: dict[str, Scorer] = {}

    def add(scorer: Scorer) -> None:
        for name in scorer.reads:
            if name in writers and writers[name].name not in found:
                add(writers[name])
        found.setdefault(scorer.name, scorer)

    for scorer in scorers:
        add(scorer)
    return list(found.values())
