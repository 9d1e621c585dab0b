"""What a grader is shown of an item, and whether what they say of it can be stored."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlmodel import Session, col, select

from catalog.access import check
from catalog.errors import BadInput, NotFound, Refused
from catalog.grades.campaigns import checked, dataset_of, questions
from catalog.grades.edits import EDIT, response_of
from catalog.grades.places import check_open
from catalog.grades.queue import row_ids_at
from catalog.grades.suggestions import suggestions_of
from catalog.meta.models import Campaign, Dataset, Grade, GradeGold, GradeSlot

if TYPE_CHECKING:
    from catalog.catalog import Catalog

TARGET = re.compile(r"turn:\d{1,6}|span:\d{1,9}-\d{1,9}")


def ready(cat: Catalog, campaign: Campaign) -> Dataset:
    check(cat, "write", f"grade {campaign.name}")
    check_open(campaign)
    return dataset_of(cat, campaign)


def slot_of(cat: Catalog, item: str) -> tuple[GradeSlot, Campaign]:
    with cat.session() as session:
        slot = session.get(GradeSlot, item)
        if slot is None:
            raise NotFound("item", item, [], "`strata grade next` gives one, and its handle")
        return slot, session.get_one(Campaign, slot.campaign_id)


def check_mine(slot: GradeSlot, grader: str) -> None:
    if slot.grader == grader and slot.status in ("taken", "graded"):
        return
    if slot.grader and slot.grader != grader:
        raise Refused(
            f"item {slot.id[:8]} is with {slot.grader}: an item that expired goes to the next who asks; ask for another",
            missing=[slot.id],
        )
    raise Refused(f"item {slot.id[:8]} is not with {grader}: skipped, retracted or free; ask for the next one",
                  missing=[slot.id])  # fmt: skip


def check_not_own(session: Session, slot: GradeSlot, grader: str) -> None:
    gold = session.get(GradeGold, (slot.campaign_id, slot.item)) if slot.item < 0 else None
    if gold is not None and gold.actor == grader:
        raise Refused(f"item {slot.id[:8]} was planted by {grader}, who knows its answer; skip it", missing=[slot.id])


def grades_at(session: Session, item: str, grader: str, *acts: str) -> list[Grade]:
    query = select(Grade).where(Grade.slot_id == item, Grade.grader == grader, col(Grade.act).in_(acts or ("grade",)))
    return list(session.exec(query))


def same_again(
    mine: list[Grade], live: list[Grade], said: dict, note: str, revision: int | None, item: str
) -> int | None:
    """The revision that holds this very grade; `BadInput` when a given revision holds another."""
    among = live if revision is None else [grade for grade in mine if grade.revision == revision]
    if not among:
        return None
    same = {(grade.target, grade.name): grade.value for grade in among} == {key: str(v) for key, v in said.items()}
    if same and among[0].note == note:
        return among[0].revision
    if revision is not None:
        raise BadInput(f"revision {revision} of item {item[:8]} is stored with other values; put the next revision")
    return None


def said_of(
    campaign: Campaign, values: dict[str, Any], shown: list[dict[str, Any]]
) -> dict[tuple[str, str], int | str]:
    """(target, name) -> value, complete and checked."""
    asked = questions(campaign.rubric)
    whole = {name: value for name, value in values.items() if not isinstance(value, dict)}
    parts = {target: body for target, body in values.items() if isinstance(body, dict)}
    said: dict[tuple[str, str], int | str] = {}
    if campaign.target == "turn":
        if whole or not parts:
            raise BadInput(f'campaign {campaign.name} grades turns: say for which, as {{"turn:1": {{...}}}}')
    else:
        said |= {("", name): checked(campaign.rubric, name, value) for name, value in whole.items()}
        if lacking := [name for name in asked if name not in whole]:
            raise BadInput(f"the grade lacks {', '.join(lacking)}")
    for target, body in parts.items():
        _known_target(campaign, target, shown[0])
        said |= {(target, name): checked(campaign.rubric, name, value) for name, value in body.items()}
        if campaign.target == "turn" and (lacking := [name for name in asked if name not in body]):
            raise BadInput(f"the grade of {target} lacks {', '.join(lacking)}")
    return said


def _known_target(campaign: Campaign, target: str, sample: dict[str, Any]) -> None:
    kind = target.partition(":")[0]
    if not TARGET.fullmatch(target) or kind != campaign.target:
        wants = {"turn": "turn:NUMBER", "span": "span:FROM-TO"}.get(campaign.target, "no part, only whole samples")
        raise BadInput(f"campaign {campaign.name} takes {wants}, not {target!r}")
    if kind == "turn" and int(target[5:]) >= len(sample["messages"] or []):
        raise BadInput(f"{target} is not there: the sample has turns 0 to {len(sample['messages'] or []) - 1}")
    if kind == "span":
        begin, end = map(int, target[5:].split("-"))
        if not begin < end <= len(sample["text"] or ""):
            raise BadInput(f"{target} is no stretch of the text's {len(sample['text'] or ''):,} characters")


def seconds_of(slot: GradeSlot, given: float | None) -> float | None:
    if given is not None:
        if not 0 <= given < 1e7:
            raise BadInput(f"seconds taken must be 0 or more, not {given:g}")
        return given
    if slot.taken is None or slot.status != "taken":
        return None
    return round((datetime.now(UTC) - datetime.fromisoformat(slot.taken)).total_seconds(), 3)


def grade_row(campaign: Campaign, slot: GradeSlot, shown: list[dict[str, Any]], grader: str, act: str, revision: int, *,
           value: int | str = "", **more: Any) -> Grade:  # fmt: skip
    return Grade(
        sample_id=shown[0]["sample_id"], content_id=shown[0]["content_id"], dataset=campaign.ref,
        rubric=campaign.rubric["name"], grader=grader, value=str(value), campaign_id=campaign.id, slot_id=slot.id,
        item=slot.item, act=act, other=shown[1]["sample_id"] if len(shown) > 1 else None,
        number=float(value) if isinstance(value, int) else None, revision=revision, **more,
    )  # fmt: skip


def rows_of(session: Session, campaign: Campaign, slot: GradeSlot) -> list[int]:
    if slot.item < 0:
        return [session.get_one(GradeGold, (campaign.id, slot.item)).row_id]
    return row_ids_at(session, campaign.id, campaign.kind, slot.item)


def read_samples(cat: Catalog, dataset: Dataset, row_ids: list[int]) -> list[dict[str, Any]] | None:
    """The samples as a grader sees them, in order; None when one was retracted or collected."""
    from catalog.schema import OWN
    from catalog.store import open_table

    own = [field.name for field in OWN[dataset.kind]]
    table = open_table(cat.table_uri(dataset), dataset.lance_version, cat.settings.storage)
    names = ["sample_id", "content_id", "text", "source", "url", "removed", *own]
    found = []
    for row in row_ids:
        held = table._take_rows([row], columns=names).to_pylist()
        if not held or held[0]["removed"] == 0:
            return None
        found.append({name: value for name, value in held[0].items() if name != "removed"})
    return found


def view_of(
    cat: Catalog, campaign: Campaign, dataset: Dataset, slot: GradeSlot, shown: list[dict[str, Any]], row: int
) -> dict[str, Any]:
    """What a grader is shown: never another's grade, nor whether the item is planted, nor too early what a model said."""
    with cat.session() as session:
        held = grades_at(session, slot.id, slot.grader or "", "grade", EDIT)
    mine = [g for g in held if g.superseded is None and g.act != EDIT]
    said = suggestions_of(cat, campaign, dataset, row, bool(mine))
    return {
        "item": slot.id, "campaign": campaign.name, "grader": slot.grader, "expires": slot.expires,
        "kind": campaign.kind, "target": campaign.target, "sample_kind": dataset.kind, "samples": shown, "about": campaign.rubric.get("about", ""),
        "questions": questions(campaign.rubric), "mine": [{"target": g.target, "name": g.name, "value": g.value} for g in mine],
        "suggestions": said, "reveal": campaign.recipe.get("reveal"), "response": _response(campaign, dataset, shown),
        "edit": next((g.value for g in held if g.superseded is None and g.act == EDIT), None),
    }  # fmt: skip


def _response(campaign: Campaign, dataset: Dataset, shown: list[dict[str, Any]]) -> str | None:
    """Where the response stands that a grader may write anew: "" is the text, "turn:3" a turn; None: there is none."""
    try:
        return response_of(campaign, dataset.kind, shown)[0]
    except BadInput:
        return None
