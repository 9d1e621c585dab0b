"""What a judge's column is worth, over HTTP: figures, and no text of samples."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from catalog.access import check
from ui.api.auth import Asked
from ui.shapes import plain

router = APIRouter(tags=["read"])


@router.get("/datasets/{ref}/judges/{column}")
def judge_report(ref: str, column: str, cat: Asked, resamples: Annotated[int, Query(ge=0, le=10_000)] = 1000) -> Any:
    """Answers read, what the order of two texts did, agreement with people, and the mean that people would give all rows."""
    from flows.judge_report import judge_report as measure

    check(cat, "read", ref)
    return plain(measure(cat, ref, column, resamples=resamples))
