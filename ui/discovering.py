"""Discovery as every face asks for it: facets, a language model only within a budget and a right, text only with consent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from catalog import Catalog

QUOTING = {"excerpts", "values", "clusters", "labels"}
"""Fields of a card that are made of sample text."""


def discover(
    cat: Catalog,
    need: str,
    facets: Mapping[str, Sequence[str]],
    *,
    top: int = 5,
    mode: str = "hybrid",
    endpoint: str | None = None,
    budget: str | None = None,
) -> dict[str, Any]:
    """`agents.discover.discover` among the datasets that facets leave. Whoever may only read spends no budget."""
    from agents.card_facets import among
    from agents.discover import discover as find
    from catalog.access import check

    if endpoint or budget:
        check(cat, "propose", f"budget {budget}")
    return find(cat, need, top=top, mode=mode, endpoint=endpoint, budget=budget, among=among(cat, facets))


def without_text(item: dict[str, Any]) -> dict[str, Any]:
    """A found dataset without what its sample text would tell: which excerpts match, labels made of text, and filters
    that quote it."""
    from ui.mcp.consent import withheld

    kept = {name: words for name, words in item["matched"].items() if name not in QUOTING}
    said = [f"words in {name}: {', '.join(words)}" for name, words in kept.items()]
    said += [f"{name}: place {held['place']}, {held['score']:.3f}" for name, held in item["ranks"].items()]
    slices = [part for part in item["slices"] if withheld(part["where"]) == part["where"]]
    return {**item, "matched": kept, "why": said, "samples": [], "slices": slices, "note": withheld(item["note"])}
