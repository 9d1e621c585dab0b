"""Blindness outside a campaign's own doors: SQL and traces show a grader no other's grades while the campaign runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import or_, true
from sqlmodel import col, select

from catalog.access import may
from catalog.meta.models import Campaign, Grade

if TYPE_CHECKING:
    from catalog.catalog import Catalog


def readable(cat: Catalog) -> Any:
    """Which grades whoever asks may read, as a condition: of campaigns that run their own alone; administrators all."""
    if may(cat, "admin"):
        return true()
    closed = select(Campaign.id).where(col(Campaign.closed).is_not(None))
    return or_(
        col(Grade.campaign_id).is_(None), col(Grade.grader) == cat.settings.actor, col(Grade.campaign_id).in_(closed)
    )
