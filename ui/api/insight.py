"""Insight and release notes over HTTP, as the rules have them; a language model is asked at the command line."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from ui.api.auth import Asked
from ui.shapes import plain

router = APIRouter(tags=["insight"])


@router.get("/datasets/{ref}/insight")
def insight(
    ref: str,
    cat: Asked,
    check: Annotated[list[str] | None, Query(description="names of checks, in place of all")] = None,
) -> dict[str, Any]:
    """What is odd about a dataset version or a selection, worst first, each with the query that shows it."""
    from agents.insight import insight as look

    return plain(look(cat, ref, only=check or ()))


@router.get("/notes")
def notes(a: str, cat: Asked, b: str | None = None) -> dict[str, Any]:
    """Release notes and a card draft from the difference of two versions, or of two mixes; `a` alone: since the one before."""
    from agents.notes import version_notes

    return plain(version_notes(cat, a, b))
