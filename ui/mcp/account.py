"""What language models the catalog may ask, and what may be spent on them, as MCP tools that only read. No key, no secret."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from catalog import Catalog


def register(tool: Callable[..., Any], who: Callable[[], Catalog], texts: bool) -> None:
    """Add the tools to a server. who: the catalog in the hands of the caller."""

    @tool
    def endpoints() -> list[dict[str, Any]]:
        """The language models that judges and agents may ask: model, revision or unpinned, host, what was paid."""
        from ui.spending import endpoint_rows

        return endpoint_rows(who())

    @tool
    def budgets() -> list[dict[str, Any]]:
        """What may be spent on endpoints: limits, what is spent, what requests under way hold."""
        from ui.spending import budget_rows

        return budget_rows(who())
