"""One grade for every row of a filter: one recorded act of one person, taken back as one.

An act covers the items of the queue that match and that nobody has touched: whoever holds or graded an item keeps it, and
what people say of single items stands before what was said of many. Which items it covers is frozen, a bit an item. They
are asked no more; their grade is in no agreement and in no figure of a grader, and it counts as one grader's when columns
are published. Taken back, they are asked again.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import func, update
from sqlmodel import Session, col, select

from catalog.access import check
from catalog.errors import BadInput, NotFound
from catalog.grades.campaigns import checked, dataset_of, find, questions
from catalog.grades.places import check_open, locked
from catalog.meta.grading import GradeBulk
from catalog.meta.models import Campaign, GradeCursor, GradeGold, GradeQueue, GradeSlot, now

if TYPE_CHECKING:
    from catalog.catalog import Catalog

CHUNK = 8192
"""Samples whose ids are read at a time when an act is spelled out."""


def bulk(
    cat: Catalog,
    name: str,
    values: dict[str, Any],
    *,
    where: str,
    missing: str = "error",
    grader: str | None = None,
    note: str = "",
    dry_run: bool = False,
) -> dict[str, Any]:
    """Give the items that match `where` and that nobody has touched the same grade. The same act again changes nothing.

    {"act": its id, "items": covered, "left": matched but with people, "covered": matched but covered by another act}
    """
    campaign, grader = find(cat, name), grader or cat.settings.actor
    check(cat, "read" if dry_run else "write", f"campaign {name}")
    said = _said(campaign, values)
    if not where.strip():
        raise BadInput("say which rows get the grade: a filter, such as chars < 40")
    dataset = dataset_of(cat, campaign)
    ref = f"{dataset.name}@{campaign.ref.partition('@')[2]}"
    found = [
        b.column("_rowid").to_numpy() for b in cat.scan(ref, ["added"], where=where, missing=missing, with_row_id=True)
    ]
    rows = np.concatenate(found).astype(np.uint64) if found else np.empty(0, np.uint64)
    with cat.session() as session:
        if not dry_run:
            check_open(locked(session, campaign.id))
        hit, free, held = _reach(session, campaign, rows)
        new = hit & free & ~held
        facts = {"campaign": name, "grader": grader, "where": where, "values": said, "rows": len(rows),
                 "items": int(new.sum()), "left": int((hit & ~free).sum()), "covered": int((hit & free & held).sum())}  # fmt: skip
        if dry_run:
            return {**facts, "act": None, "repeated": False}
        live = [act for act in _live(session, campaign.id) if act.where == where and act.answer == said]
        if not facts["items"] and (same := next((act for act in live if act.grader == grader), None)):
            return {**facts, "act": same.id, "items": same.items, "repeated": True}
        if not facts["items"]:
            raise BadInput(_nothing(name, where, facts))
        act = GradeBulk(
            campaign_id=campaign.id, grader=grader, where=where, missing=missing, answer=said, items=facts["items"],
            left=facts["left"], lowest=int(np.flatnonzero(new)[0]), body=zlib.compress(np.packbits(new).tobytes()), note=note,
        )  # fmt: skip
        session.add(act)
        session.commit()
        return {**facts, "act": act.id, "repeated": False}


def _said(campaign: Campaign, values: dict[str, Any]) -> dict[str, int | str]:
    if campaign.kind == "pair" or campaign.target == "turn":
        what = "pairs" if campaign.kind == "pair" else "turns"
        raise BadInput(f"campaign {campaign.name} grades {what}: only whole samples take one grade for many")
    if lacking := [name for name in questions(campaign.rubric) if name not in values]:
        raise BadInput(f"the grade lacks {', '.join(lacking)}")
    return {name: checked(campaign.rubric, name, value) for name, value in values.items()}


def _nothing(name: str, where: str, facts: dict[str, Any]) -> str:
    if not facts["rows"]:
        return f"no row of campaign {name}'s dataset matches {where}; look at the filter"
    if facts["left"] or facts["covered"]:
        many = f"{facts['left']:,} with people, {facts['covered']:,} with another act"
        return f"every item of {name} that matches {where} has a grader already ({many}); nothing is left to grade"
    return f"no item of {name}'s queue matches {where}: the {facts['rows']:,} rows are not in the queue"


def _reach(session: Session, campaign: Campaign, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Items that match, items that nobody has touched, items that a live act covers: a flag an item each."""
    hit = np.isin(queue_rows(session, campaign.id), rows)
    free = np.ones(len(hit), bool)
    here = select(GradeSlot.item).where(GradeSlot.campaign_id == campaign.id, GradeSlot.item >= 0).distinct()
    free[np.fromiter(session.exec(here), np.int64)] = False
    planted = list(session.exec(select(GradeGold.row_id).where(GradeGold.campaign_id == campaign.id)))
    if planted:
        free &= ~np.isin(queue_rows(session, campaign.id), np.array(planted, np.uint64))
    return hit, free, covered(session, campaign)


def queue_rows(session: Session, campaign_id: str) -> np.ndarray:
    """Row id of each item."""
    query = select(GradeQueue.body).where(GradeQueue.campaign_id == campaign_id).order_by(col(GradeQueue.piece))
    held = [np.frombuffer(body, "<u8") for body in session.exec(query)]
    return np.concatenate(held) if held else np.empty(0, np.uint64)


def _live(session: Session, campaign_id: str) -> list[GradeBulk]:
    query = select(GradeBulk).where(GradeBulk.campaign_id == campaign_id, col(GradeBulk.superseded).is_(None))
    return list(session.exec(query.order_by(col(GradeBulk.created))))


def flags(act: GradeBulk, items: int) -> np.ndarray:
    """Which items an act covers."""
    return np.unpackbits(np.frombuffer(zlib.decompress(act.body), np.uint8), count=items).astype(bool)


def covered(session: Session, campaign: Campaign) -> np.ndarray:
    """Items that live acts cover."""
    out = np.zeros(campaign.items, bool)
    for act in _live(session, campaign.id):
        out |= flags(act, campaign.items)
    return out


def covered_items(session: Session, campaign_id: str) -> int:
    """How many items live acts cover; no item is in two."""
    query = select(func.sum(GradeBulk.items)).where(
        GradeBulk.campaign_id == campaign_id, col(GradeBulk.superseded).is_(None)
    )
    return int(session.exec(query).one() or 0)


def bulk_acts(cat: Catalog, name: str, *, history: bool = False) -> list[dict[str, Any]]:
    """Acts of a campaign, newest first. history: those taken back as well."""
    campaign = find(cat, name)
    query = select(GradeBulk).where(GradeBulk.campaign_id == campaign.id).order_by(col(GradeBulk.created).desc())
    if not history:
        query = query.where(col(GradeBulk.superseded).is_(None))
    with cat.session() as session:
        return [
            {"act": a.id, "grader": a.grader, "where": a.where, "values": a.answer, "items": a.items, "left": a.left,
             "note": a.note, "created": a.created, "undone": a.superseded, "undone_by": a.undone_by}
            for a in session.exec(query)
        ]  # fmt: skip


def bulk_undo(cat: Catalog, name: str, act: str, *, by: str | None = None) -> dict[str, Any]:
    """Take an act back, by its id or the beginning of it: its items are asked again. It stays on record."""
    campaign = find(cat, name)
    check(cat, "write", f"campaign {name}")
    with cat.session() as session:
        check_open(locked(session, campaign.id))
        held = session.exec(select(GradeBulk).where(GradeBulk.campaign_id == campaign.id)).all()
        found = [one for one in held if act and one.id.startswith(act)]
        if len(found) != 1:
            raise NotFound("act", act, [one.id[:8] for one in held], "see `strata grade bulk CAMPAIGN --list`")
        done = found[0]
        if done.superseded is None:
            done.superseded, done.undone_by = now(), by or cat.settings.actor
            session.add(done)
            _asked_again(session, campaign.id, done.lowest)
            session.commit()
        return {"campaign": name, "act": done.id, "items": done.items, "undone": done.superseded}


def _asked_again(session: Session, campaign_id: str, lowest: int) -> None:
    """The queue is read again from there, past what has places, by everybody."""
    queue = update(Campaign).where(col(Campaign.id) == campaign_id, col(Campaign.frontier) > lowest)
    session.execute(queue.values(frontier=lowest))
    cursors = update(GradeCursor).where(col(GradeCursor.campaign_id) == campaign_id, col(GradeCursor.item) > lowest)
    session.execute(cursors.values(item=lowest))


def bulk_grades(cat: Catalog, campaign: Campaign) -> Iterator[tuple[GradeBulk, int, str, str]]:
    """(act, item, sample id, content id) of everything that live acts cover; retracted samples are left out."""
    from catalog.store import open_table

    with cat.session() as session:
        acts = _live(session, campaign.id)
        if not acts:
            return
        queue = queue_rows(session, campaign.id)
    dataset = dataset_of(cat, campaign)
    table = open_table(cat.table_uri(dataset), dataset.lance_version, cat.settings.storage)
    for act in acts:
        items = np.flatnonzero(flags(act, campaign.items))
        for at in range(0, len(items), CHUNK):
            part = items[at : at + CHUNK]
            held = table._take_rows(queue[part].tolist(), columns=["_rowid", "sample_id", "content_id", "removed"])
            place = dict(zip(queue[part].tolist(), part.tolist(), strict=True))
            for row in held.to_pylist():
                if row["removed"] != 0:
                    yield act, place[row["_rowid"]], row["sample_id"], row["content_id"]
