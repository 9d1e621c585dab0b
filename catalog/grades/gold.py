"""Planted items: samples whose answer is known, mixed among the others, to see who grades carefully.

A grader cannot tell a planted item from any other, and is never given one that they planted. Grades of planted items say
something of the grader: they are in no agreement and in no column.
"""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from sqlmodel import col, select

from catalog.access import check
from catalog.errors import BadInput, NotFound
from catalog.grades.campaigns import checked, dataset_of, find, questions
from catalog.grades.places import locked
from catalog.meta.models import Grade, GradeGold

if TYPE_CHECKING:
    from catalog.catalog import Catalog


def plant(cat: Catalog, name: str, sample: str, answer: dict[str, Any], *, actor: str | None = None) -> dict[str, Any]:
    """Plant a sample of the campaign's dataset with its answer, all or some of what the rubric asks; once a sample.

    Planted before anybody graded it, a sample that is in the queue too is asked only as a planted one.
    """
    from catalog.samples import sample_id_of

    campaign = find(cat, name)
    dataset = dataset_of(cat, campaign)
    check(cat, "write", f"campaign {name}")
    if campaign.kind == "pair" or campaign.target == "turn":
        raise BadInput(
            f"campaign {name} grades {campaign.target}s in {campaign.kind} form: only whole samples are planted"
        )
    if not answer:
        raise BadInput("a planted item needs an answer")
    said = {key: checked(campaign.rubric, key, value) for key, value in answer.items()}
    sample_id = sample_id_of(cat, sample, f"{dataset.name}@{campaign.ref.partition('@')[2]}")
    rows = list(cat.scan(dataset.name, ["sample_id"], where=f"sample_id = '{sample_id}'", with_row_id=True))
    found = [int(row) for batch in rows for row in batch.column("_rowid").to_pylist()]
    if not found:
        raise NotFound("sample", sample_id, [], f"{dataset.name} has no such sample")
    with cat.session() as session:
        locked(session, campaign.id)
        held = session.exec(select(GradeGold).where(GradeGold.campaign_id == campaign.id)).all()
        same = next((gold for gold in held if gold.sample_id == sample_id), None)
        if same is not None and same.answer != said:
            raise BadInput(f"sample {sample_id[:8]} is planted in {name} with another answer; one answer a sample")
        if same is None:
            item = min((gold.item for gold in held), default=0) - 1
            session.add(GradeGold(campaign_id=campaign.id, item=item, row_id=found[0], sample_id=sample_id, answer=said,
                                  actor=actor or cat.settings.actor))  # fmt: skip
        session.commit()
    return {"campaign": name, "sample_id": sample_id, "answer": said, "planted": len(held) + (same is None)}


def gold_report(cat: Catalog, name: str) -> list[dict[str, Any]]:
    """For each grader: planted items graded, share of answers right with its 95 % Wilson interval, mean distance."""
    campaign = find(cat, name)
    with cat.session() as session:
        gold = {g.item: g.answer for g in session.exec(select(GradeGold).where(GradeGold.campaign_id == campaign.id))}
        query = select(Grade).where(Grade.campaign_id == campaign.id, Grade.act == "grade", col(Grade.item) < 0)
        grades = session.exec(query.where(col(Grade.superseded).is_(None), Grade.target == "")).all()
    scales = {key for key, body in questions(campaign.rubric).items() if "of" not in body}
    out: dict[str, dict[str, list[float]]] = {}
    for grade in grades:
        if grade.name in (answer := gold[grade.item or 0]):
            mine = out.setdefault(grade.grader, {"right": [], "apart": []})
            mine["right"].append(float(grade.value == str(answer[grade.name])))
            if grade.name in scales and grade.number is not None:
                mine["apart"].append(abs(grade.number - answer[grade.name]))
    return [_line(grader, held["right"], held["apart"]) for grader, held in sorted(out.items())]


def _line(grader: str, right: list[float], apart: list[float]) -> dict[str, Any]:
    low, high = wilson(sum(right), len(right))
    return {
        "grader": grader, "answers": len(right), "right": sum(right) / len(right), "low": low, "high": high,
        "mean_distance": sum(apart) / len(apart) if apart else None,
    }  # fmt: skip


def wilson(right: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share (E. B. Wilson 1927)."""
    z = NormalDist().inv_cdf(0.5 + level / 2)
    middle, wide = (right + z * z / 2) / (n + z * z), z * sqrt(right * (n - right) / n + z * z / 4) / (n + z * z)
    return max(0.0, middle - wide), min(1.0, middle + wide)
