"""What a campaign has come to: progress, agreement, conflicts and their settlement, and the grades as rows.

Everything here is about items that nobody may still grade blindly, or counts and coefficients that give no single grade
away: the grades of an item that still waits for a grader are left out unless `whole` is said.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import case, func
from sqlmodel import Session, col, select

from catalog.access import check
from catalog.agreement import alpha_with_interval, cohen_with_interval, fleiss_with_interval
from catalog.errors import BadInput, Refused
from catalog.grades.answers import read_samples
from catalog.grades.bulk import bulk_grades, covered_items
from catalog.grades.campaigns import checked, dataset_of, find, questions
from catalog.grades.gold import gold_report
from catalog.grades.places import locked
from catalog.grades.queue import row_ids_at
from catalog.meta.models import Campaign, Dataset, Grade, GradeSlot, now

if TYPE_CHECKING:
    from catalog.catalog import Catalog

Unit = tuple[int, str]
"""An item and what of it was graded."""


def status(cat: Catalog, name: str) -> dict[str, Any]:
    """How far a campaign is, and for each grader items graded and skipped, median seconds and the share of gold right."""
    campaign = find(cat, name)
    with cat.session() as session:
        places = select(GradeSlot.status, func.count()).where(GradeSlot.campaign_id == campaign.id, GradeSlot.item >= 0)
        counts = dict(session.exec(places.group_by(GradeSlot.status)).all())  # type: ignore[arg-type]
        done = len(complete_items(session, campaign))
        dataset = session.get(Dataset, campaign.dataset_id)
        grades = session.exec(_live(campaign, "grade", "skip")).all()
        finals = session.exec(_live(campaign, "final")).all()
        many = covered_items(session, campaign.id)
    gold = {line["grader"]: line for line in gold_report(cat, name)}
    people = []
    for grader in sorted({grade.grader for grade in grades}):
        mine = [grade for grade in grades if grade.grader == grader]
        took = {grade.slot_id: grade.seconds for grade in mine if grade.act == "grade" and grade.seconds is not None}
        people.append({
            "grader": grader,
            "graded": len({grade.slot_id for grade in mine if grade.act == "grade"}),
            "skipped": sum(grade.act == "skip" for grade in mine),
            "median_seconds": float(np.median(list(took.values()))) if took else None,
            "gold_right": gold.get(grader, {}).get("right"), "gold_answers": gold.get(grader, {}).get("answers", 0),
            "last": max(grade.created for grade in mine),
        })  # fmt: skip
    return {
        "campaign": name, "kind": campaign.kind, "ref": campaign.ref, "rubric": campaign.rubric["name"],
        "rubric_digest": campaign.rubric_digest, "order": campaign.recipe["order"], "graders_wanted": campaign.graders,
        "items": campaign.items, "touched": campaign.frontier, "complete": done, "held": counts.get("taken", 0),
        "settled": len({final.item for final in finals}), "in_bulk": many, "closed": campaign.closed,
        "dropped": bool(dataset is None or dataset.dropped), "graders": people,
    }  # fmt: skip


def _live(campaign: Campaign, *acts: str) -> Any:
    query = select(Grade).where(Grade.campaign_id == campaign.id, col(Grade.superseded).is_(None))
    return query.where(col(Grade.act).in_(acts)).order_by(col(Grade.created), col(Grade.grader))


def complete_items(session: Session, campaign: Campaign) -> set[int]:
    """Items that have all the grades they want."""
    missing = func.sum(case((col(GradeSlot.status) == "graded", 0), else_=1))
    query = select(GradeSlot.item).where(GradeSlot.campaign_id == campaign.id, GradeSlot.item >= 0)
    return set(session.exec(query.group_by(col(GradeSlot.item)).having(missing == 0)))


def values_of(cat: Catalog, campaign: Campaign) -> dict[str, dict[Unit, dict[str, Grade]]]:
    """Live grades of the queue: scale or label -> (item, target) -> grader -> grade. Spans are no units: left out."""
    out: dict[str, dict[Unit, dict[str, Grade]]] = {name: defaultdict(dict) for name in questions(campaign.rubric)}
    with cat.session() as session:
        for grade in session.exec(_live(campaign, "grade")):
            if (grade.item or 0) >= 0 and not grade.target.startswith("span:"):
                out[grade.name][(grade.item or 0, grade.target)][grade.grader] = grade
    return out


def finals_of(cat: Catalog, campaign: Campaign) -> dict[str, dict[Unit, Grade]]:
    """Values that a named person settled: scale or label -> (item, target) -> grade."""
    out: dict[str, dict[Unit, Grade]] = {name: {} for name in questions(campaign.rubric)}
    with cat.session() as session:
        for grade in session.exec(_live(campaign, "final")):
            out[grade.name][(grade.item or 0, grade.target)] = grade
    return out


def code_of(body: dict[str, Any], grade: Grade) -> float:
    """A grade as a number: the value of a scale, the place of a label among its names."""
    return float(body["of"].index(grade.value)) if "of" in body else float(grade.number or 0)


def matrix(body: dict[str, Any], units: dict[Unit, dict[str, Grade]]) -> tuple[np.ndarray, list[str]]:
    """ratings[grader, unit], NaN where there is none, and the graders."""
    graders = sorted({grader for held in units.values() for grader in held})
    ratings = np.full((len(graders), len(units)), np.nan)
    place = {grader: row for row, grader in enumerate(graders)}
    for at, unit in enumerate(sorted(units)):
        for grader, grade in units[unit].items():
            ratings[place[grader], at] = code_of(body, grade)
    return ratings, graders


def agreement_of(
    cat: Catalog, name: str, *, resamples: int = 1000, level: float = 0.95, seed: int = 0
) -> dict[str, Any]:
    """Agreement of the graders on each scale and label, with intervals over items; all coefficients: higher is better.

    alpha: Krippendorff's, nominal for a label, ordinal and interval for a scale. fleiss: over items with as many graders as
    are wanted. pairs: Cohen's kappa of two graders on what both graded, weights None, and linear and quadratic for a scale.
    graders: how near each one is to the mean, or the majority, of the others.
    """
    campaign = find(cat, name)
    options = {"resamples": resamples, "level": level, "seed": seed}
    out: dict[str, Any] = {"campaign": name, "level": level, "resamples": resamples, "questions": {}}
    for question, units in values_of(cat, campaign).items():
        body = questions(campaign.rubric)[question]
        ratings, graders = matrix(body, units)
        out["questions"][question] = {
            "units": int((~np.isnan(ratings)).any(0).sum()) if len(graders) else 0,
            "shared": int(((~np.isnan(ratings)).sum(0) > 1).sum()) if len(graders) else 0,
            "alpha": {metric: asdict(alpha_with_interval(ratings, metric, **options)) for metric in _metrics(body)}
            if len(graders) > 1 else {},
            "fleiss": _fleiss(ratings, campaign.graders, options),
            "pairs": _pairs(body, ratings, graders, options),
            "graders": _beside_others(body, ratings, graders),
        }  # fmt: skip
    return out


def _metrics(body: dict[str, Any]) -> tuple[str, ...]:
    return ("nominal",) if "of" in body else ("ordinal", "interval")


def _fleiss(ratings: np.ndarray, wanted: int, options: dict[str, Any]) -> dict[str, Any] | None:
    from catalog.agreement import value_counts

    if wanted < 2 or not len(ratings):
        return None
    counts, _ = value_counts(ratings)
    counts = counts[counts.sum(1) == wanted]
    return asdict(fleiss_with_interval(counts, **options)) if len(counts) else None


def _pairs(body: dict[str, Any], ratings: np.ndarray, graders: list[str], options: dict[str, Any]) -> list[dict]:
    """Every two graders who share items; the base of a scale is taken off, so that codes begin at 0."""
    base, out = (0 if "of" in body else body["low"]), []
    for one in range(len(graders)):
        for two in range(one + 1, len(graders)):
            both = ~np.isnan(ratings[[one, two]]).any(0)
            if both.sum() < 2:
                continue
            a, b = ((ratings[row, both] - base).astype(int) for row in (one, two))
            kinds = (None,) if "of" in body else (None, "linear", "quadratic")
            kappas = {str(kind or "kappa"): asdict(cohen_with_interval(a, b, kind, **options)) for kind in kinds}
            out.append({"a": graders[one], "b": graders[two], "items": int(both.sum()), "same": float((a == b).mean()),
                        **kappas})  # fmt: skip
    return out


def _beside_others(body: dict[str, Any], ratings: np.ndarray, graders: list[str]) -> list[dict[str, Any]]:
    out = []
    for row, grader in enumerate(graders):
        others = np.delete(ratings, row, 0)
        both = ~np.isnan(ratings[row]) & (~np.isnan(others)).any(0)
        if not both.any():
            continue
        mine, theirs = ratings[row, both], others[:, both]
        same = float(np.nanmean(np.where(np.isnan(theirs), np.nan, theirs == mine)))
        line: dict[str, Any] = {"grader": grader, "shared": int(both.sum()), "same": same}
        if "of" not in body:
            apart = mine - np.nanmean(theirs, 0)
            line |= {"mean_difference": float(apart.mean()), "mean_distance": float(np.abs(apart).mean())}
        out.append(line)
    return out


def conflicts(cat: Catalog, name: str, *, apart: int = 1, settled: bool = False) -> list[dict[str, Any]]:
    """Complete items on which graders differ: on a label at all, on a scale by `apart` or more. settled: those too."""
    if apart < 1:
        raise BadInput(f"grades conflict when they are 1 or more apart, not {apart}")
    campaign = find(cat, name)
    finals = finals_of(cat, campaign)
    with cat.session() as session:
        complete = complete_items(session, campaign)
    out = []
    for question, units in values_of(cat, campaign).items():
        body = questions(campaign.rubric)[question]
        for (item, target), held in units.items():
            codes = [code_of(body, grade) for grade in held.values()]
            final = finals[question].get((item, target))
            wide = max(codes) - min(codes)
            if item in complete and wide >= (1 if "of" in body else apart) and (settled or final is None):
                one = next(iter(held.values()))
                out.append({"item": item, "target": target, "name": question, "sample_id": one.sample_id,
                            "other": one.other, "spread": wide if "of" not in body else None,
                            "values": {grader: grade.value for grader, grade in sorted(held.items())},
                            "final": final.value if final else None, "by": final.grader if final else None})  # fmt: skip
    return sorted(out, key=lambda one: (-(one["spread"] or 1), one["item"], one["name"], one["target"]))


def sample_at(cat: Catalog, name: str, item: int) -> dict[str, Any]:
    """The samples of an item that has all its grades, for whoever settles it; the grades are in `conflicts`."""
    campaign = find(cat, name)
    dataset = dataset_of(cat, campaign)
    with cat.session() as session:
        if not 0 <= item < campaign.items or item not in complete_items(session, campaign):
            raise BadInput(f"item {item} of {name} does not have all its grades; settle it when its graders are done")
        rows = row_ids_at(session, campaign.id, campaign.kind, item)
    shown = read_samples(cat, dataset, rows)
    if shown is None:
        raise Refused(f"a sample of item {item} of {name} was retracted since it was graded; its grades stay on record")
    return {"item": item, "sample_kind": dataset.kind, "samples": shown, "questions": questions(campaign.rubric)}


def adjudicate(
    cat: Catalog,
    name: str,
    item: int,
    values: dict[str, Any],
    *,
    by: str | None = None,
    target: str = "",
    note: str = "",
) -> dict[str, Any]:
    """Settle an item: final values, by a named person, that stand before every rule. People's grades stay as they are.

    item: its number in `conflicts`. A later settlement supersedes an earlier one; the same again changes nothing.
    """
    campaign, by = find(cat, name), by or cat.settings.actor
    check(cat, "write", f"campaign {name}")
    if not values:
        raise BadInput("say the final value: NAME=VALUE")
    said = {key: checked(campaign.rubric, key, value) for key, value in values.items()}
    with cat.session() as session:
        locked(session, campaign.id)
        if item not in complete_items(session, campaign):
            raise BadInput(f"item {item} of {name} does not have all its grades; settle it when its graders are done")
        held = session.exec(_live(campaign, "grade").where(Grade.item == item, Grade.target == target)).first()
        if held is None:
            raise BadInput(f"item {item} of {name} has no grade of {target!r}")
        place = f"{campaign.id}:{item}"
        past = session.exec(select(Grade).where(Grade.slot_id == place, Grade.target == target)).all()
        for key, value in said.items():
            live = [grade for grade in past if grade.name == key and grade.superseded is None]
            if any(grade.value == str(value) and grade.grader == by and grade.note == note for grade in live):
                continue
            for grade in live:
                grade.superseded = now()
                session.add(grade)
            revision = max((grade.revision for grade in past if grade.name == key), default=0) + 1
            session.add(Grade(
                sample_id=held.sample_id, content_id=held.content_id, other=held.other, dataset=held.dataset,
                rubric=held.rubric, grader=by, value=str(value), note=note, campaign_id=campaign.id, slot_id=place,
                item=item, act="final", name=key, target=target, revision=revision,
                number=float(value) if isinstance(value, int) else None,
            ))  # fmt: skip
        session.commit()
    return {"campaign": name, "item": item, "target": target, "final": said, "by": by}


def export(cat: Catalog, name: str, *, whole: bool = False, history: bool = False) -> list[dict[str, Any]]:
    """Grades as rows, in the order of the queue. whole: items that still wait for a grader and planted ones too (that
    ends blindness for who reads it). history: superseded grades, skips and what was taken back as well."""
    campaign = find(cat, name)
    query = select(Grade).where(Grade.campaign_id == campaign.id)
    if not history:
        query = query.where(col(Grade.superseded).is_(None), Grade.act != "skip")
    with cat.session() as session:
        complete = complete_items(session, campaign)
        rows = session.exec(query.order_by(col(Grade.item), col(Grade.created), col(Grade.grader))).all()
    single = [
        {"campaign": name, **grade.model_dump(exclude={"campaign_id", "suggestion"})}
        for grade in rows
        if whole or campaign.closed or grade.item in complete
    ]
    return single + _spelled_out(cat, campaign)


def _spelled_out(cat: Catalog, campaign: Campaign) -> list[dict[str, Any]]:
    """What was said of many rows at once, as a row for each; the act is its place."""
    empty = dict.fromkeys(("other", "seconds", "superseded"))
    return [
        {"campaign": campaign.name, "id": f"{act.id}:{item}:{question}", "sample_id": sample, "content_id": content,
         "dataset": campaign.ref, "rubric": campaign.rubric["name"], "grader": act.grader, "value": str(value), "note": act.note,
         "created": act.created, "slot_id": act.id, "item": item, "act": "bulk", "name": question, "target": "",
         "number": float(value) if isinstance(value, int) else None, "revision": 1, **empty}
        for act, item, sample, content in bulk_grades(cat, campaign)
        for question, value in act.answer.items()
    ]  # fmt: skip
