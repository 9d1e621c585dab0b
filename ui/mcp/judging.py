"""What a judge's column is worth, as an MCP tool: figures alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from catalog import Catalog


def register(tool: Callable[..., Any], who: Callable[[], Catalog], texts: bool) -> None:
    """Add the tool to a server. who: the catalog in the hands of the caller."""

    @tool
    def judge_report(ref: str, column: str) -> dict[str, Any]:
        """What a language model's column is worth: answers read, what the order of two texts did, agreement with people
        (kappa, alpha, Spearman with intervals), and the mean that people would give all rows."""
        from catalog.access import check
        from flows.judge_report import judge_report as measure

        check(who(), "read", ref)
        return measure(who(), ref, column)
