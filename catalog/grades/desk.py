"""The grader's desk: take the next item, grade it, skip it, take the last one back.

An item that somebody touches has as many places as graders are wanted. A place is taken, with a time until which it is
held, and then graded; an open place, or one whose time has run out, goes to the next who asks and has not seen the item.
Every step is one transaction that begins by locking the campaign, so two people at once never share a place, and a
process that is killed has done all of a step or nothing. A grade is found by (place, grader, revision): the same put
again stores nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import update
from sqlmodel import col, select

from catalog.errors import BadInput, Refused
from catalog.grades.answers import (
    check_mine,
    check_not_own,
    grade_row,
    grades_at,
    read_samples,
    ready,
    rows_of,
    said_of,
    same_again,
    seconds_of,
    slot_of,
    view_of,
)  # fmt: skip
from catalog.grades.campaigns import dataset_of, find
from catalog.grades.edits import EDIT, act_of, edit_said
from catalog.grades.places import check_open, hold, locked, reopened, take
from catalog.meta.models import Grade, GradeSlot, now

if TYPE_CHECKING:
    from catalog.catalog import Catalog


def next_item(cat: Catalog, name: str, grader: str | None = None) -> dict[str, Any] | None:
    """The next item for this grader (default: the actor), held for them; None when nothing is left that they may grade.

    Asking again before grading gives the same item. {"item": its handle, "samples": [...], "questions", "expires" ...}
    """
    campaign, grader = find(cat, name), grader or cat.settings.actor
    dataset = ready(cat, campaign)
    while True:
        with cat.session() as session:
            slot = take(session, locked(session, campaign.id), grader)
            session.commit()
            if slot is None:
                return None
            rows = rows_of(session, campaign, slot)
        shown = read_samples(cat, dataset, rows)
        if shown is not None:
            return view_of(cat, campaign, dataset, slot, shown, rows[0])
        with cat.session() as session:  # retracted since the queue was frozen
            locked(session, campaign.id)
            gone = update(GradeSlot).where(col(GradeSlot.campaign_id) == campaign.id, col(GradeSlot.item) == slot.item)
            session.execute(gone.values(status="gone", grader=None, expires=None))
            session.commit()


def look(cat: Catalog, item: str, grader: str | None = None) -> dict[str, Any]:
    """An item again by its handle: only for the grader who holds it or graded it."""
    slot, campaign = slot_of(cat, item)
    grader = grader or cat.settings.actor
    check_mine(slot, grader)
    with cat.session() as session:
        rows = rows_of(session, campaign, slot)
    dataset = dataset_of(cat, campaign)
    shown = read_samples(cat, dataset, rows)
    if shown is None:
        raise Refused(f"a sample of item {item[:8]} was retracted; ask for the next one", missing=[item])
    return view_of(cat, campaign, dataset, slot, shown, rows[0])


def put(
    cat: Catalog,
    item: str,
    values: dict[str, Any],
    *,
    grader: str | None = None,
    note: str = "",
    seconds: float | None = None,
    revision: int | None = None,
    edit: str | None = None,
) -> dict[str, Any]:
    """Store a grade. values: {scale or label: value}, or {"turn:2": {...}} and {"span:0-40": {...}} beside it.

    The same values again change nothing ("repeated"); others are the next revision and supersede the ones before. With a
    revision given, that revision is stored once: a script that does not know whether its last put arrived sends it again.
    seconds: time it took; without it, the time since the item was taken. edit: a better response, of the same revision:
    a later put without one takes it back (see `catalog.grades.edits`).
    """
    slot, campaign = slot_of(cat, item)
    grader = grader or cat.settings.actor
    dataset = ready(cat, campaign)
    with cat.session() as session:
        rows = rows_of(session, campaign, slot)
    shown = read_samples(cat, dataset, rows)
    if shown is None:
        raise Refused(f"a sample of item {item[:8]} was retracted; ask for the next one", missing=[item])
    said = said_of(campaign, values, shown) | edit_said(campaign, dataset.kind, shown, edit)
    with cat.session() as session:
        check_open(locked(session, campaign.id))
        slot = session.get_one(GradeSlot, item)
        check_mine(slot, grader)
        check_not_own(session, slot, grader)
        mine = grades_at(session, item, grader, "grade", EDIT)
        live = [grade for grade in mine if grade.superseded is None]
        again = same_again(mine, live, said, note, revision, item)
        if again is not None:
            return {"item": item, "campaign": campaign.name, "revision": again, "repeated": True}
        made = max((grade.revision for grade in mine), default=0) + 1
        if revision is not None and revision != made:
            raise BadInput(f"the next revision of item {item[:8]} is {made}, not {revision}")
        moment = now()
        for grade in live:
            grade.superseded = moment
            session.add(grade)
        taken = seconds_of(slot, seconds)
        for (target, name), value in said.items():
            session.add(grade_row(campaign, slot, shown, grader, act_of(name), made, note=note, seconds=taken, target=target,
                               name=name, value=value, created=moment))  # fmt: skip
        slot.status, slot.expires = "graded", None
        session.add(slot)
        session.commit()
    return {"item": item, "campaign": campaign.name, "revision": made, "repeated": False}


def skip(cat: Catalog, item: str, *, grader: str | None = None, note: str = "") -> dict[str, Any]:
    """Leave an item to others; it is not given to this grader again."""
    slot, campaign = slot_of(cat, item)
    grader = grader or cat.settings.actor
    dataset = ready(cat, campaign)
    with cat.session() as session:
        shown = read_samples(cat, dataset, rows_of(session, campaign, slot)) or [{"sample_id": "", "content_id": ""}]
    with cat.session() as session:
        check_open(locked(session, campaign.id))
        slot = session.get_one(GradeSlot, item)
        past = [grade for grade in grades_at(session, item, grader, "skip") if grade.superseded is None]
        if past:
            return {"item": item, "campaign": campaign.name, "skipped": True, "repeated": True}
        check_mine(slot, grader)
        if slot.status == "graded":
            raise BadInput(f"item {item[:8]} is graded already; undo it first, or put another grade")
        revision = len(grades_at(session, item, grader, "skip")) + 1
        session.add(grade_row(campaign, slot, shown, grader, "skip", revision, note=note, created=now(),
                           seconds=seconds_of(slot, None)))  # fmt: skip
        if slot.item < 0:
            slot.status = "gone"
        else:
            slot.status, slot.grader, slot.expires = "reopened", None, None
        session.add(slot)
        session.commit()
    return {"item": item, "campaign": campaign.name, "skipped": True, "repeated": False}


def undo(cat: Catalog, name: str, grader: str | None = None) -> dict[str, Any]:
    """Take back this grader's last grade or skip: it stays on record, superseded, and the item is theirs again,
    unless somebody else has taken a skipped one meanwhile."""
    campaign, grader = find(cat, name), grader or cat.settings.actor
    ready(cat, campaign)
    with cat.session() as session:
        check_open(locked(session, campaign.id))
        query = select(Grade).where(
            Grade.campaign_id == campaign.id,
            Grade.grader == grader,
            Grade.act != "final",
            col(Grade.superseded).is_(None),
        )
        last = session.exec(query.order_by(col(Grade.created).desc()).limit(1)).first()
        if last is None:
            raise BadInput(f"{grader} has no grade in {name} to take back")
        moment = now()
        acts = ("skip",) if last.act == "skip" else ("grade", EDIT)
        for grade in grades_at(session, last.slot_id or "", grader, *acts):
            grade.superseded = grade.superseded or moment
            session.add(grade)
        slot = session.get_one(GradeSlot, last.slot_id)
        if last.act == "skip" and slot.item >= 0 and slot.status not in ("open", "reopened"):
            reopened(session, campaign.id, slot.item)  # somebody has the place meanwhile; another may be free
        else:
            hold(slot, campaign, grader)
            session.add(slot)
        session.commit()
    return {"item": slot.id, "campaign": name, "undone": "skip" if last.act == "skip" else "grade"}
