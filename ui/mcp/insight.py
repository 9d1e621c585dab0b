"""Insight and release notes as MCP tools: counts, queries and names; what quotes a sample stays out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ui.mcp.consent import consents, withheld
from ui.shapes import plain

if TYPE_CHECKING:
    from catalog import Catalog


def register(tool: Callable[..., Any], who: Callable[[], Catalog], texts: bool) -> None:
    """Add the tools to a server. who: the catalog in the hands of the caller."""

    @tool
    def insight(ref: str, checks: list[str] | None = None) -> dict[str, Any]:
        """What is odd about a dataset version or a selection: leaks, copies, empty fields, skews, templates.

        Each finding has a severity, the rows concerned, a query that shows it, sample ids and what to do. It reads every
        row, which takes minutes for millions; `checks` names some, in place of all."""
        from agents.insight import insight as look
        from agents.insight import without_text

        return without_text(plain(look(who(), ref, only=checks or ())))

    @tool
    def notes(a: str, b: str | None = None) -> dict[str, Any]:
        """Release notes as Markdown, and a card draft, from the difference of two dataset versions or two mixes.

        `a` alone: what changed since the version before it. bump: major, minor or patch, as suggested by stated rules."""
        from agents.notes import version_notes

        cat = who()
        held = plain(version_notes(cat, a, b))
        if not (texts or (consents(cat, a) and consents(cat, b or a))):
            held["facts"] = withheld(held["facts"])  # names of sources may be long texts; the Markdown cuts them
        return held
