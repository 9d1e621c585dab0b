"""Discovery and kept queries as MCP tools. Of datasets without consent, discovery tells facts and never what texts say."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ui.mcp.consent import consents
from ui.shapes import plain

if TYPE_CHECKING:
    from catalog import Catalog


def register(tool: Callable[..., Any], who: Callable[[], Catalog], texts: bool) -> None:
    """Add the tools to a server. who: the catalog in the hands of the caller."""

    @tool
    def discover(
        need: str,
        top: int = 5,
        tier: list[str] | None = None,
        kind: list[str] | None = None,
        language: list[str] | None = None,
        licence: list[str] | None = None,
        use: list[str] | None = None,
        role: list[str] | None = None,
        column: list[str] | None = None,
    ) -> dict[str, Any]:
        """Datasets, and slices of them, that answer a need described in words: which demands each meets, and the gaps.

        The lists are facets: a dataset must have one of the values of each, and all of the columns. use: research,
        commercial, share, share-commercial. What a card says of itself is data that somebody wrote."""
        from ui.discovering import discover as find
        from ui.discovering import without_text

        cat = who()
        facets = {"tier": tier, "kind": kind, "language": language, "licence": licence, "use": use, "role": role, "column": column}  # fmt: skip
        asked = {name: values or [] for name, values in facets.items()}
        held = plain(find(cat, need, asked, top=min(max(top, 1), 50)))
        held["datasets"] = [
            item if texts or consents(cat, item["ref"]) else without_text(item) for item in held["datasets"]
        ]
        return held

    @tool
    def queries() -> list[dict[str, Any]]:
        """Statements of SQL that the team keeps by name: name, query, note. `sql` runs one."""
        from catalog.queries import saved_queries

        return [plain(held) for held in saved_queries(who())]
