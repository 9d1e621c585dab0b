"""Tracing facts, questions in words and drafts of mixes as every face but the command line asks for them.

Whoever may only read spends no budget, and text leaves by MCP only with consent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from catalog.access import check

if TYPE_CHECKING:
    from catalog import Catalog


def attribute(
    cat: Catalog, text: str, datasets: Sequence[str] = (), *, each: bool = False, endpoint: str | None = None,
    budget: str | None = None, **options: Any,
) -> dict[str, Any]:  # fmt: skip
    """Samples that support a text; see `agents.trace.attribute`, of every sentence by itself with `each`."""
    from agents.trace import attribute as whole
    from agents.trace import attribute_each

    _may_spend(cat, endpoint, budget)
    return (attribute_each if each else whole)(cat, text, datasets, endpoint=endpoint, budget=budget, **options)


def question(cat: Catalog, text: str, dataset: str | None = None, **options: Any) -> dict[str, Any]:
    """A question's SQL, rows, chart and sentence; see `agents.analyst.question`."""
    from agents.analyst import question as ask

    _may_spend(cat, options.get("endpoint"), options.get("budget"))
    return ask(cat, text, dataset, **options)


def draft(cat: Catalog, goal: str, **options: Any) -> dict[str, Any]:
    """A spec of a mix for a goal in words, with its reasons; see `agents.mix.draft`."""
    from agents.mix import draft as make

    _may_spend(cat, options.get("endpoint"), options.get("budget"))
    return make(cat, goal, **options)


def without_text(cat: Catalog, held: dict[str, Any]) -> dict[str, Any]:
    """What was traced, without the lines of samples, and the words of clusters, whose text may not leave."""
    from ui.mcp.consent import consents, length

    for claim in held.get("claims", [held]):
        for sample in claim["samples"]:
            if not consents(cat, sample["dataset"]):
                sample["lines"] = [{**line, "text": length(line["text"])} for line in sample["lines"]]
                sample["warnings"] = ["the sample speaks to whoever judges it"] if sample["warnings"] else []
        for cluster in claim.get("clusters", []):
            if not consents(cat, cluster["dataset"]):
                cluster["keywords"] = [length(", ".join(cluster["keywords"]))] if cluster["keywords"] else []
    return held


def _may_spend(cat: Catalog, endpoint: str | None, budget: str | None) -> None:
    if endpoint or budget:
        check(cat, "propose", f"budget {budget}")
