"""Every campaign at a glance: how far it is, and what waits for one grader. Counts over indexes: no grade is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import distinct, exists, func, or_
from sqlmodel import Session, col, select

from catalog.grades.bulk import covered, covered_items, queue_rows
from catalog.grades.campaigns import campaigns
from catalog.meta.models import Campaign, Grade, GradeGold, GradeSlot, now

if TYPE_CHECKING:
    from catalog.catalog import Catalog


def overview(cat: Catalog, grader: str | None = None) -> list[dict[str, Any]]:
    """A line for each campaign, newest first.

    items, complete (all grades are in), in_bulk, graded (grades and skips that stand, and when the last was made: what a
    cache may go by), mine (items this grader graded), waiting (items this grader may still get), held (whether one is
    theirs now), out (items that others hold and that may come back).
    """
    grader = grader or cat.settings.actor
    held = campaigns(cat)
    with cat.session() as session:
        return [_line(session, campaign, grader) for campaign in held]


def _line(session: Session, campaign: Campaign, grader: str) -> dict[str, Any]:
    many = covered_items(session, campaign.id)
    stands = select(func.count(), func.max(Grade.created)).where(
        Grade.campaign_id == campaign.id, col(Grade.superseded).is_(None)
    )
    grades, last = session.exec(stands).one()
    return {
        "campaign": campaign.name, "ref": campaign.ref, "kind": campaign.kind, "target": campaign.target,
        "rubric": campaign.rubric["name"], "order": campaign.recipe["order"], "graders": campaign.graders,
        "items": campaign.items, "complete": _complete(session, campaign), "in_bulk": many, "closed": campaign.closed,
        "grades": int(grades), "last": last, "created": campaign.created, "actor": campaign.actor, "note": campaign.note,
        "mine": graded_by(session, campaign.id, grader), **_waiting(session, campaign, grader, many),
    }  # fmt: skip


def graded_by(session: Session, campaign_id: str, grader: str) -> int:
    """Items a grader graded."""
    here = select(func.count()).where(GradeSlot.campaign_id == campaign_id, GradeSlot.grader == grader)
    return int(session.exec(here.where(GradeSlot.status == "graded")).one())


def _complete(session: Session, campaign: Campaign) -> int:
    """Items with all the grades they want: those that have places, less those with a place that is not graded."""
    here = select(func.count(distinct(GradeSlot.item))).where(GradeSlot.campaign_id == campaign.id, GradeSlot.item >= 0)
    return int(session.exec(here).one()) - int(session.exec(here.where(GradeSlot.status != "graded")).one())


def _waiting(session: Session, campaign: Campaign, grader: str, many: int) -> dict[str, Any]:
    if campaign.closed:
        return {"waiting": 0, "held": False, "out": 0}
    places = select(func.count(distinct(GradeSlot.item))).where(
        GradeSlot.campaign_id == campaign.id, GradeSlot.item >= 0
    )
    seen = exists().where(
        col(Grade.campaign_id) == campaign.id, col(Grade.item) == GradeSlot.item, col(Grade.grader) == grader,
        col(Grade.superseded).is_(None),
    )  # fmt: skip
    late = (col(GradeSlot.status) == "taken") & (col(GradeSlot.expires) < now())
    theirs = (col(GradeSlot.status) == "taken") & (col(GradeSlot.grader) == grader)
    free = or_(col(GradeSlot.status).in_(["open", "reopened"]), late, theirs)
    out = (col(GradeSlot.status) == "taken") & (col(GradeSlot.grader) != grader) & ~late
    return {
        "waiting": int(session.exec(places.where(free, ~seen)).one()) + _untouched(session, campaign, many),
        "held": bool(session.exec(places.where(theirs)).one()),
        "out": int(session.exec(places.where(out, ~seen)).one()),
    }


def _untouched(session: Session, campaign: Campaign, many: int) -> int:
    """Items of the queue that nobody has been given, no act covers and that are not asked as planted ones."""
    fresh = campaign.items - campaign.frontier
    here = select(func.count(distinct(GradeSlot.item))).where(GradeSlot.campaign_id == campaign.id)
    fresh -= int(session.exec(here.where(GradeSlot.item >= campaign.frontier)).one())
    if many and fresh > 0:
        fresh -= int(covered(session, campaign)[campaign.frontier :].sum())
    if campaign.kind == "single" and fresh > 0:
        planted = list(session.exec(select(GradeGold.row_id).where(GradeGold.campaign_id == campaign.id)))
        if planted:
            left = queue_rows(session, campaign.id)[campaign.frontier :]
            fresh -= int(np.isin(left, np.array(planted, np.uint64)).sum())
    return max(fresh, 0)
