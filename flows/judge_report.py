"""What a judge's column is worth: how much of it could be read, what the place of a text did, and what people say.

answers    every answer that was stored for the column: read, refused, cut off, malformed (kept raw), asked again
position   of judges that compare: flips with the order and the preference for the first place, by length difference
people     for every campaign over the same dataset: kappa, alpha and Spearman with their intervals, and the mean that people
           would give the whole dataset, by prediction-powered inference (Boyeau et al. 2024, "AutoEval Done Right",
           arXiv:2403.07008; PPI++, arXiv:2311.01453), beside the judge's own mean
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlmodel import col, select

from catalog.agreement import with_interval
from catalog.errors import BadInput, NotFound
from catalog.meta.calls import Call
from catalog.meta.models import Campaign, ColumnRecord, Recipe, Run

if TYPE_CHECKING:
    from catalog.catalog import Catalog

JUDGES = ("judge", "pairs_", "prp_")
MOST = 20_000
"""Answers that are read again, the newest: the shares of more would hardly move."""
SHOWN = 5
"""Malformed answers that are shown."""


def is_judge(scorer: str) -> bool:
    """Whether a scorer asks a language model for its values."""
    return scorer.startswith(JUDGES)


def judge_report(cat: Catalog, name: str, column: str, *, raw: bool = False, resamples: int = 1000) -> dict[str, Any]:
    """See the module. raw: with some of the answers that could not be read, which may quote samples."""
    dataset = cat.resolve(name).dataset
    columns = {held.alias: held for held in cat.columns(dataset.name)}
    held = columns.get(column)
    judged = [alias for alias, one in columns.items() if is_judge(one.scorer)]
    if held is None or not is_judge(held.scorer):
        raise NotFound(f"column of a judge in {dataset.name}", column, judged, "score one: strata scorers --cost api")
    with cat.session() as session:
        recipe = session.get(Recipe, held.fingerprint)
    body = recipe.body if recipe else {}
    model = body.get("model") or {}
    report = {
        "dataset": dataset.name, "column": column, "scorer": held.scorer, "model": model.get("name"),
        "revision": model.get("revision"), "unpinned": str(model.get("revision", "")).startswith("unpinned"),
        "states": held.states, "mean": held.statistics.get("mean"),
        "answers": _answers(cat, dataset.name, held, body, raw), "position": held.report.get("position"),
        "comparisons": held.report.get("comparisons"), "ties": held.report.get("ties"),
        "people": [], "notes": [],
    }  # fmt: skip
    for campaign in _campaigns(cat, dataset.id):
        report["people"] += _people(cat, campaign, dataset.name, held, report["notes"], resamples)
    if not report["people"]:
        report["notes"].append(f"nobody graded rows of {dataset.name}: strata grade create, at random, then ask again")
    if report["unpinned"]:
        report["notes"].append("the model has no fixed revision: this holds for the day of the column alone")
    return report


def _answers(cat: Catalog, dataset: str, held: ColumnRecord, recipe: dict[str, Any], raw: bool) -> dict[str, Any]:
    """Counts over the answers of the scorer's runs on this dataset, under the column's model."""
    reader, model = _reader(held, recipe), recipe.get("model") or {}
    with cat.session() as session:
        runs = select(Run.id).where(Run.dataset == dataset)
        query = select(Call).where(
            Call.purpose == held.scorer, Call.model == model.get("name"), Call.revision == model.get("revision"),
            col(Call.run_id).in_(runs),
        )  # fmt: skip
        calls = session.exec(query.order_by(col(Call.created).desc()).limit(MOST)).all()
    answered = [call for call in calls if call.status == "answered"]
    unread = [call for call in answered if reader(call.text or "") is None]
    refused = [call for call in unread if call.finish == "refusal"]
    cut = [call for call in unread if call.finish == "length"]
    money = sum(call.money for call in calls)
    found: dict[str, Any] = {
        "asked": len(calls), "answered": len(answered), "read": len(answered) - len(unread),
        "parse_rate": (len(answered) - len(unread)) / len(answered) if answered else None,
        "refused": len(refused), "cut_off": len(cut), "malformed": len(unread) - len(refused) - len(cut),
        "failed": sum(call.status == "failed" for call in calls), "waiting": sum(c.status == "batched" for c in calls),
        "sent_again": sum(max(0, call.attempts - 1) for call in calls), "money": money,
        "tokens": sum(call.tokens_in + call.tokens_out for call in calls), "newest_only": len(calls) == MOST,
    }  # fmt: skip
    if raw:
        found["raw"] = [
            {"sample_id": call.sample_id, "finish": call.finish, "answer": call.text} for call in unread[:SHOWN]
        ]
    return found


def _reader(held: ColumnRecord, recipe: dict[str, Any]) -> Callable[[str], Any]:
    """What a scorer reads an answer with: None is what it cannot read."""
    from flows.scorers.judge._pair import read_choice
    from flows.scorers.judge._rubric import read_rubric, shipped

    if held.scorer.startswith(("pairs_", "prp_")):
        return read_choice
    if held.scorer.startswith("judge_evolved"):
        from flows.scorers.judge._evolving import readable

        return readable
    rubric = shipped().get(held.scorer.removeprefix("judge_"))
    return (rubric or read_rubric(recipe["params"]["rubric"])).read


def _campaigns(cat: Catalog, dataset_id: str) -> list[Campaign]:
    with cat.session() as session:
        return list(session.exec(select(Campaign).where(Campaign.dataset_id == dataset_id).order_by(Campaign.created)))


def _people(
    cat: Catalog, campaign: Campaign, dataset: str, held: ColumnRecord, notes: list[str], resamples: int
) -> list[dict[str, Any]]:
    if campaign.kind == "pair":
        found = _beside_pairs(cat, campaign, dataset, held)
        return [found] if found else []
    from catalog.grades.campaigns import questions

    rows = []
    for question, body in questions(campaign.rubric).items():
        if ("of" in body) != ("string" in held.type):
            continue
        try:
            rows.append(_beside_grades(cat, campaign, dataset, held, question, body, resamples))
        except BadInput as error:
            notes.append(f"campaign {campaign.name}, {question}: {error}")
    if rows and campaign.recipe.get("order") != "random":
        notes.append(
            f"campaign {campaign.name} was not drawn at random (order {campaign.recipe.get('order')}): its estimate of the "
            "whole dataset's mean is not to be trusted"
        )
    return rows


def _beside_grades(
    cat: Catalog,
    campaign: Campaign,
    dataset: str,
    held: ColumnRecord,
    question: str,
    body: dict[str, Any],
    resamples: int,
) -> dict[str, Any]:
    from catalog.grades.columns import aggregate, compare_column

    beside = compare_column(cat, campaign.name, held.alias, question=question, resamples=resamples)
    made = {"campaign": campaign.name, "question": question, **beside, "estimate": None}
    if "of" in body:
        return made
    people = {sample: value for sample, (_, value, _) in aggregate(cat, campaign, "mean")[question].items()}
    labels, scores, others = _split(cat, dataset, held.alias, people)
    if len(labels) > 1:
        made["spearman"] = _spearman(labels, scores, resamples)
    made["estimate"] = _estimate(labels, scores, others)
    return made


def _split(
    cat: Catalog, dataset: str, column: str, people: dict[str, Any]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """People's values and the judge's on the rows that have both, and the judge's on the others."""
    labels, scores, others = [], [], [np.empty(0)]
    for batch in cat.scan(dataset, ["sample_id", column], missing="keep"):
        values = batch.column(column).to_numpy(zero_copy_only=False).astype(float)
        said = np.array(
            [np.nan if people.get(s) is None else people[s] for s in batch.column("sample_id").to_pylist()], float
        )
        known, labelled = np.isfinite(values), np.isfinite(said)
        labels.append(said[known & labelled])
        scores.append(values[known & labelled])
        others.append(values[known & ~labelled])
    return np.concatenate([np.empty(0), *labels]), np.concatenate([np.empty(0), *scores]), np.concatenate(others)


def _spearman(labels: np.ndarray, scores: np.ndarray, resamples: int) -> dict[str, Any]:
    from catalog.statistics import spearman

    def related(at: np.ndarray) -> float:
        value = spearman(labels[at], scores[at])
        return np.nan if value is None else value

    return asdict(with_interval(related, len(labels), resamples=resamples))


def _estimate(labels: np.ndarray, scores: np.ndarray, others: np.ndarray) -> dict[str, Any] | None:
    """The mean that people would give every row; None where too few rows are graded, or all are."""
    from catalog.inference import FEW, classical_mean, ppi_mean

    if len(labels) < 2 or len(others) < 2:
        return None
    made, weight = ppi_mean(labels, scores, others)
    alone = classical_mean(labels)
    return {
        "mean": made.mean, "low": made.low, "high": made.high, "judge_alone": float(np.concatenate([scores, others]).mean()),
        "people_alone": asdict(alone), "weight": weight, "graded": len(labels), "rows": len(labels) + len(others),
        "few": len(labels) < FEW,
    }  # fmt: skip


def _beside_pairs(cat: Catalog, campaign: Campaign, dataset: str, held: ColumnRecord) -> dict[str, Any] | None:
    """How often the judge's values order two samples as people did; ties of people say nothing."""
    from catalog.grades.campaigns import PAIR
    from catalog.grades.results import values_of
    from flows.scorers.judge._position import proportion

    if "string" in held.type:
        return None
    said = [grade for units in values_of(cat, campaign).get(PAIR, {}).values() for grade in units.values()]
    wanted = {sample or "" for grade in said for sample in (grade.sample_id, grade.other)}
    value: dict[Any, float] = {}
    for batch in cat.scan(dataset, ["sample_id", held.alias], missing="keep"):
        names, numbers = batch.column(0).to_pylist(), batch.column(held.alias).to_pylist()
        value |= {name: number for name, number in zip(names, numbers) if name in wanted and number is not None}
    sign = -1 if held.better == "lower" else 1
    same = [
        (sign * (value[grade.sample_id] - value[grade.other or ""]) > 0) == (grade.value == "A")
        for grade in said
        if grade.value in ("A", "B") and grade.sample_id in value and grade.other in value
        and value[grade.sample_id] != value[grade.other or ""]
    ]  # fmt: skip
    if not same:
        return None
    return {
        "campaign": campaign.name,
        "question": "pairs",
        "comparisons": len(same),
        "same_order": proportion(np.array(same)),
    }
