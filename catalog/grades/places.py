"""Places at items, and which one a grader gets next. All of it runs inside a transaction that holds the campaign.

A grader's cursor says below which item nothing is open that they have not seen, so that finding a place costs the same
after a million items as after ten; a place that comes free moves every cursor back to it.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from sqlalchemy import exists, update
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from catalog.errors import Refused
from catalog.grades.queue import row_ids_at
from catalog.meta.models import Campaign, Grade, GradeCursor, GradeGold, GradeSlot, new_id, now


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
    by_item = (col(GradeSlot.item), col(GradeSlot.place))
    free = here.where(GradeSlot.status == "open", GradeSlot.item >= cursor.item)
    first = session.exec(free.order_by(*by_item).limit(1)).first()
    cursor.item = first.item if first else campaign.frontier
    late = here.where(GradeSlot.status == "taken", GradeSlot.item >= 0, col(GradeSlot.expires) < now())
    lost = session.exec(late.order_by(*by_item).limit(1)).first()
    found = [slot for slot in (first, lost) if slot is not None]
    return min(found, key=lambda slot: slot.item) if found else None


def _fresh(session: Session, campaign: Campaign) -> GradeSlot | None:
    """The first item nobody has touched, with its places; planted samples are not asked a second time."""
    query = select(GradeGold.row_id).where(GradeGold.campaign_id == campaign.id)
    planted = set(session.exec(query)) if campaign.kind == "single" else set()
    while campaign.frontier < campaign.items:
        item = campaign.frontier
        campaign.frontier += 1
        session.add(campaign)
        if planted and row_ids_at(session, campaign.id, campaign.kind, item)[0] in planted:
            continue
        made = [GradeSlot(campaign_id=campaign.id, item=item, place=place) for place in range(campaign.graders)]
        session.add_all(made)
        return made[0]
    return None


def _gold(session: Session, campaign: Campaign, grader: str, cursor: GradeCursor) -> GradeSlot | None:
    """A planted item when one is due, in an order of the grader's own, never one the grader planted."""
    if not campaign.gold_every or cursor.served // campaign.gold_every <= cursor.golds:
        return None
    query = select(GradeSlot.item).where(GradeSlot.campaign_id == campaign.id, GradeSlot.grader == grader)
    given = set(session.exec(query.where(GradeSlot.item < 0)))
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
    """A place came free: whoever is past it looks again from there."""
    late = update(GradeCursor).where(col(GradeCursor.campaign_id) == campaign_id, col(GradeCursor.item) > item)
    session.execute(late.values(item=item))


def check_open(campaign: Campaign) -> None:
    if campaign.closed:
        raise Refused(f"campaign {campaign.name} was closed at {campaign.closed[:16]}", missing=[campaign.name])
