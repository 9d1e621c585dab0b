"""Campaigns as MCP tools, all of which read: progress, agreement, conflicts, a model beside people. Grading stays with people."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ui.grading import agreement
from ui.mcp.consent import withheld
from ui.shapes import plain

if TYPE_CHECKING:
    from catalog import Catalog


def register(tool: Callable[..., Any], who: Callable[[], Catalog], texts: bool) -> None:
    """Add the tools to a server. who: the catalog in the hands of the caller."""

    @tool
    def grade_campaigns() -> list[dict[str, Any]]:
        """Campaigns in which people grade samples: what, under which rubric, how far each is."""
        from catalog import grades

        return plain(grades.overview(who()))

    @tool
    def grade_status(campaign: str) -> dict[str, Any]:
        """How far a campaign is, and each grader's count, speed and share of planted items right."""
        from catalog import grades

        return grades.status(who(), campaign)

    @tool
    def grade_agreement(campaign: str, resamples: int = 200) -> dict[str, Any]:
        """How far people agree beyond chance: Krippendorff's alpha, Fleiss' and Cohen's kappa with 95 % intervals."""
        return agreement(who(), campaign, min(max(resamples, 0), 2000))

    @tool
    def grade_conflicts(campaign: str, apart: int = 1, settled: bool = False) -> list[dict[str, Any]]:
        """Items with all their grades on which people differ, by sample id, widest first."""
        from catalog import grades

        return grades.conflicts(who(), campaign, apart=max(apart, 1), settled=settled)[:500]

    @tool
    def grade_compare(campaign: str, column: str, question: str | None = None, rule: str = "mean") -> dict[str, Any]:
        """A column, such as a judge's, beside people's grades, and beside how far people agree with each other."""
        from catalog import grades

        held = plain(grades.compare_column(who(), campaign, column, question=question, rule=rule, resamples=200))
        return held if texts else withheld(held)
