"""Places at items, and which one a grader gets next. All of it runs inside a transaction that holds the campaign.

A grader's cursor says below which item nothing is open that they have not seen, so that finding a place costs the same
after a million items as after ten. Places that come free again are marked, few, and looked for apart.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import exists, update
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from catalog.errors import Refused
from catalog.grades.queue import row_ids_at
from catalog.meta.models import Campaign, Grade, GradeCursor, GradeGold, GradeSlot, new_id, now

AHEAD = 4096
"""Items that are looked at together for one that nobody has."""


def locked(session: Session, campaign_id: str) -> Campaign:
    """The campaign, locked until the transaction ends: an update first takes the write lock on SQLite, the row's on
    PostgreSQL."""
    session.execute(update(Campaign).where(col(Campaign.id) == campaign_id).values(frontier=Campaign.frontier))
    return session.get_one(Campaign, campaign_id, populate_existing=True)


def take(session: Session, campaign: Campaign, grader: str) -> GradeSlot | None:
    check_open(campaign)
    mine = select(GradeSlot).where(GradeSlot.campaign_id == campaign.id, GradeSlot.grader == grader)
    held = session.exec(mine.where(GradeSlot.status == "taken").order_by(col(GradeSlot.taken).desc()).limit(1)).first()
    if held is None:
        cursor = session.get(GradeCursor, (campaign.id, grader)) or GradeCursor(campaign_id=campaign.id, grader=grader)
        held = _gold(session, campaign, grader, cursor)
        if held is None:
            held = _hole(session, campaign, grader, cursor) or _fresh(session, campaign)
            cursor.served += held is not None
        session.add(cursor)
    if held is not None:
        hold(held, campaign, grader)
        session.add(held)
    return held


def hold(slot: GradeSlot, campaign: Campaign, grader: str) -> None:
    until = datetime.now(UTC) + timedelta(seconds=campaign.hold)
    slot.taken = slot.taken if slot.grader == grader and slot.status == "taken" else now()
    slot.status, slot.grader, slot.expires = "taken", grader, until.isoformat(timespec="microseconds")


def _hole(session: Session, campaign: Campaign, grader: str, cursor: GradeCursor) -> GradeSlot | None:
    """The first place that is open or whose time ran out, at an item this grader has not seen."""
    seen = aliased(Grade)
    unseen = ~exists().where(
        seen.campaign_id == campaign.id, seen.item == GradeSlot.item, seen.grader == grader, seen.superseded.is_(None)
    )
    here = select(GradeSlot).where(GradeSlot.campaign_id == campaign.id, unseen)

    def first(*conditions: Any) -> GradeSlot | None:
        return session.exec(here.where(*conditions).order_by(col(GradeSlot.item)).limit(1)).first()

    free = first(GradeSlot.status == "open", GradeSlot.item >= cursor.item)
    cursor.item = min(free.item, campaign.frontier) if free else campaign.frontier
    back = first(GradeSlot.status == "reopened")
    late = first(GradeSlot.status == "taken", GradeSlot.item >= 0, col(GradeSlot.expires) < now())
    found = [slot for slot in (free, back, late) if slot is not None]
    return min(found, key=lambda slot: slot.item) if found else None


def _fresh(session: Session, campaign: Campaign) -> GradeSlot | None:
    """The first item nobody has touched, with its places; planted samples are not asked a second time."""
    query = select(GradeGold.row_id).where(GradeGold.campaign_id == campaign.id)
    planted = set(session.exec(query)) if campaign.kind == "single" else set()
    while campaign.frontier < campaign.items:
        start = campaign.frontier
        end = min(start + AHEAD, campaign.items)
        busy = _busy(session, campaign, start, end)
        for item in range(start, end):
            campaign.frontier = item + 1
            session.add(campaign)
            if item in busy or (planted and row_ids_at(session, campaign.id, campaign.kind, item)[0] in planted):
                continue
            made = [GradeSlot(campaign_id=campaign.id, item=item, place=place) for place in range(campaign.graders)]
            session.add_all(made)
            return made[0]
    return None


def _busy(session: Session, campaign: Campaign, start: int, end: int) -> set[int]:
    """Items of a stretch that have places, where the queue is read again, or that one grade for many covers."""
    from catalog.grades.bulk import covered, covered_items

    here = select(GradeSlot.item).where(GradeSlot.campaign_id == campaign.id, GradeSlot.item >= start)
    busy = set(session.exec(here.where(GradeSlot.item < end).distinct()))
    if covered_items(session, campaign.id):
        busy |= {start + int(at) for at in covered(session, campaign)[start:end].nonzero()[0]}
    return busy


def _gold(session: Session, campaign: Campaign, grader: str, cursor: GradeCursor) -> GradeSlot | None:
    """A planted item when one is due, in an order of the grader's own, never one the grader planted."""
    if not campaign.gold_every or cursor.served // campaign.gold_every <= cursor.golds:
        return None
    query = select(GradeSlot.item).where(GradeSlot.campaign_id == campaign.id, GradeSlot.grader == grader)
    had = col(GradeSlot.status).in_(["taken", "graded", "gone"])
    given = set(session.exec(query.where(had, GradeSlot.item < 0)))
    held = session.exec(select(GradeGold).where(GradeGold.campaign_id == campaign.id, GradeGold.actor != grader))
    left = [gold for gold in held if gold.item not in given]
    if not left:
        return None
    gold = min(left, key=lambda one: hashlib.sha256(f"{grader} {one.sample_id}".encode()).digest())
    places = session.exec(
        select(GradeSlot.place).where(GradeSlot.campaign_id == campaign.id, GradeSlot.item == gold.item)
    )
    cursor.golds += 1
    return GradeSlot(id=new_id(), campaign_id=campaign.id, item=gold.item, place=max(places, default=-1) + 1)


def reopened(session: Session, campaign_id: str, item: int) -> None:
    """Places of an item that somebody may be past are looked for apart, so that no cursor ever goes back."""
    here = update(GradeSlot).where(col(GradeSlot.campaign_id) == campaign_id, col(GradeSlot.item) == item)
    session.execute(here.where(col(GradeSlot.status) == "open").values(status="reopened"))


def check_open(campaign: Campaign) -> None:
    if campaign.closed:
        raise Refused(f"campaign {campaign.name} was closed at {campaign.closed[:16]}", missing=[campaign.name])
