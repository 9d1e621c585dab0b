"""People's grades as columns of the dataset: one value a sample by a stated rule, with the recipe it follows from.

The recipe names the campaign, the digest of its rubric, the rule and a digest of the very grades that were used: more
grades make another column, the same grades are the column that is there. A settled value stands before every rule. A
sample whose content has changed since it was graded is left out and counted.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pyarrow as pa

from catalog import states
from catalog.access import check
from catalog.agreement import alpha_with_interval, cohen_with_interval
from catalog.errors import BadInput
from catalog.frozen import Frozen, publish_frozen, write_frozen
from catalog.grades.bulk import bulk_grades
from catalog.grades.campaigns import PAIR, dataset_of, find, questions
from catalog.grades.pairs import bradley_terry
from catalog.grades.queue import mid_ranks
from catalog.grades.results import Unit, code_of, finals_of, values_of
from catalog.meta.models import Campaign, Dataset, Grade, new_id
from catalog.store.columns import row_ids

if TYPE_CHECKING:
    from catalog.catalog import Catalog

SCORER = "grades"
RULES = ("majority", "mean", "median")
PRIOR = 1.0
"""Half-won comparisons of each sample with an average one: a sample that only won gets a finite strength."""


def aggregate(
    cat: Catalog, campaign: Campaign, rule: str, least: int = 1
) -> dict[str, dict[str, tuple[str, float | str | None, int]]]:
    """Scale or label -> sample id -> (content id, value or None, graders). Turns are put together by the same rule.

    majority: the value most graders gave, none on a tie. mean, median: of a scale. least: graders a sample needs.
    """
    if campaign.kind == "pair":
        return {PAIR: _strengths(cat, campaign)}
    if rule not in RULES:
        raise BadInput(f"rule {rule!r} is not one of {', '.join(RULES)}")
    finals, out = finals_of(cat, campaign), {}
    for question, units in values_of(cat, campaign).items():
        body = questions(campaign.rubric)[question]
        if "of" in body and rule != "majority":
            continue
        by_sample: dict[str, list[tuple[Unit, dict[str, Grade]]]] = defaultdict(list)
        for unit, held in units.items():
            by_sample[next(iter(held.values())).sample_id].append((unit, held))
        made = {}
        for sample, parts in by_sample.items():
            graders = min(len(held) for _, held in parts)
            said = [_one(body, rule, held, finals[question].get(unit)) for unit, held in parts]
            value = _rule(rule, [one for one in said if one is not None])
            settled = all(unit in finals[question] for unit, _ in parts)
            if graders >= least or settled:
                content = next(iter(parts[0][1].values())).content_id
                made[sample] = (content, _shown(body, value), graders)
        out[question] = made
    if least <= 1:
        for act, _, sample, content in bulk_grades(cat, campaign):
            for question, value in act.answer.items():
                if question in out:
                    out[question].setdefault(sample, (content, value if isinstance(value, str) else float(value), 1))
    return out


def _shown(body: dict[str, Any], code: float | None) -> float | str | None:
    return code if code is None or "of" not in body else body["of"][int(code)]


def _one(body: dict[str, Any], rule: str, held: dict[str, Grade], final: Grade | None) -> float | None:
    if final is not None:
        return code_of(body, final)
    return _rule(rule, [code_of(body, grade) for grade in held.values()])


def _rule(rule: str, codes: list[float]) -> float | None:
    if not codes:
        return None
    if rule != "majority":
        return float(np.mean(codes) if rule == "mean" else np.median(codes))
    (first, most), *rest = Counter(codes).most_common(2)
    return None if rest and rest[0][1] == most else first


def _strengths(cat: Catalog, campaign: Campaign) -> dict[str, tuple[str, float | str | None, int]]:
    """Bradley-Terry log strengths of the compared samples; a settled pair counts once, as settled."""
    finals, rows = finals_of(cat, campaign)[PAIR], []
    for unit, held in values_of(cat, campaign)[PAIR].items():
        rows += [finals[unit]] if unit in finals else list(held.values())
    samples = sorted({sample for grade in rows for sample in (grade.sample_id, grade.other or "")})
    place = {sample: at for at, sample in enumerate(samples)}
    first = np.array([place[grade.sample_id] for grade in rows], np.int64)
    second = np.array([place[grade.other or ""] for grade in rows], np.int64)
    won = np.array([{"A": 1.0, "B": 0.0, "tie": 0.5}[grade.value] for grade in rows])
    if not rows:
        return {}
    logs = bradley_terry(first, second, won, len(samples), prior=PRIOR)
    compared = np.bincount(first, minlength=len(samples)) + np.bincount(second, minlength=len(samples))
    return {sample: ("", float(logs[at]), int(compared[at])) for sample, at in place.items()}


def publish_grades(
    cat: Catalog, name: str, *, rule: str = "majority", least: int = 1, to: str | None = None
) -> dict[str, Any]:
    """Publish the campaign's result as columns CAMPAIGN_QUESTION and CAMPAIGN_QUESTION_graders (how many people).

    to: another dataset that holds the same samples, for example one promoted from the campaign's. The columns take part in
    filters, `estimate`, `distil` and SQL; a sample nobody graded is null, "not sampled"; one without a majority "undefined".
    """
    campaign = find(cat, name)
    dataset = cat.resolve(to).dataset if to else dataset_of(cat, campaign)
    check(cat, "write", dataset.name)
    found = aggregate(cat, campaign, rule, least)
    made = {name: held for name, held in found.items() if any(value is not None for _, value, _ in held.values())}
    if not made:
        raise BadInput(
            f"campaign {name} has nothing to publish by {rule}: no sample has {least} grades that it can use"
        )
    results, run_id = [], new_id()
    for question, held in made.items():
        results.append(_publish(cat, campaign, dataset, question, held, rule, least, run_id))
    return {"campaign": name, "dataset": dataset.name, "rule": "bradley_terry" if campaign.kind == "pair" else rule,
            "columns": results}  # fmt: skip


def _publish(cat: Catalog, campaign: Campaign, dataset: Dataset, question: str,
             held: dict[str, tuple[str, float | str | None, int]], rule: str, least: int, run_id: str) -> dict[str, Any]:  # fmt: skip
    rule = f"bradley_terry, ties half a win, prior {PRIOR:g}" if campaign.kind == "pair" else rule
    said = hashlib.sha256(orjson.dumps(sorted(held.items()))).hexdigest()
    recipe = {
        "campaign": campaign.name, "campaign_id": campaign.id, "rubric": campaign.rubric["name"], "question": question,
        "rubric_digest": campaign.rubric_digest, "rule": rule, "least": least, "ref": campaign.ref, "grades": said,
    }  # fmt: skip
    fingerprint = hashlib.sha256(orjson.dumps([SCORER, recipe], option=orjson.OPT_SORT_KEYS)).hexdigest()
    known = {column.output: column for column in cat.columns(dataset.name) if column.fingerprint == fingerprint}
    if question in known:
        return {
            "column": known[question].alias,
            "fingerprint": fingerprint,
            "published": False,
            **known[question].report,
        }
    count = f"{question}_graders"
    text = any(isinstance(value, str) for _, value, _ in held.values())
    kinds = {question: pa.string() if text else pa.float64(), count: pa.int32()}
    better = None if text else questions(campaign.rubric)[question].get("better", "higher")
    frozen = Frozen(SCORER, fingerprint, recipe, kinds, campaign.ref, run_id,
                    lambda output: f"{campaign.name}_{output}".replace("-", "_").replace(".", "_"),
                    {question: better})  # fmt: skip
    report = {"samples": 0, "undecided": 0, "changed": 0}
    files = write_frozen(cat, dataset, frozen, lambda fragment: _arrays(fragment, held, list(kinds.values()), report))
    if not report["samples"]:
        raise BadInput(f"no graded sample of {campaign.name} is in {dataset.name} with the content that was graded")
    aliases = publish_frozen(cat, dataset, frozen, files, verb="grade", source=f"campaign:{campaign.name}",
                             counts=report, report=report)  # fmt: skip
    return {"column": aliases[question], "fingerprint": fingerprint, "published": True, **report}


def _arrays(
    fragment: Any, held: dict[str, tuple[str, Any, int]], kinds: list[pa.DataType], report: dict[str, int]
) -> list[pa.Array]:
    """The columns of one fragment, in the physical order of its rows."""
    found = fragment.scanner(columns=["sample_id", "content_id"], with_row_id=True).to_table()
    place = {row: at for at, row in enumerate(row_ids(fragment).tolist())}
    size = len(place)
    values: list[list[Any]] = [[None] * size, [None] * size]
    codes = np.full(size, states.NOT_SAMPLED, np.uint8)
    for sample, content, row in zip(*(found.column(n).to_pylist() for n in ("sample_id", "content_id", "_rowid"))):
        if (mine := held.get(sample)) is None:
            continue
        if mine[0] and mine[0] != content:
            report["changed"] += 1
            continue
        at = place[row]
        decided = mine[1] is not None
        values[0][at], values[1][at] = mine[1], mine[2] if decided else None
        codes[at] = states.VALUE if decided else states.UNDEFINED
        report["samples" if decided else "undecided"] += 1
    return [*(pa.array(v, k) for v, k in zip(values, kinds, strict=True)), pa.array(codes)]


def compare_column(
    cat: Catalog, name: str, column: str, *, question: str | None = None, rule: str = "mean", **options: Any
) -> dict[str, Any]:
    """A model's grades (any column of the dataset) beside people's: how far they agree, and how far people do.

    For a scale: share equal after rounding, quadratic kappa, Krippendorff's interval alpha, Spearman's rank correlation, all
    higher is better, and the mean difference (model less people). For a label: share equal, kappa, nominal alpha.
    """
    campaign = find(cat, name)
    if campaign.kind == "pair":
        raise BadInput(f"campaign {name} compares pairs; publish it and use `strata sql` or `confounds` on its column")
    asked = questions(campaign.rubric)
    question = question or next(iter(asked))
    if question not in asked:
        raise BadInput(f"campaign {name} does not ask for {question!r}; it asks for {', '.join(asked)}")
    body = asked[question]
    people = aggregate(cat, campaign, "majority" if "of" in body else rule)[question]
    both, without = [], 0
    ref = f"{dataset_of(cat, campaign).name}@{campaign.ref.partition('@')[2]}"
    for batch in cat.scan(ref, ["sample_id", column]):
        for sample, value in zip(batch.column(0).to_pylist(), batch.column(1).to_pylist()):
            said = people[sample][1] if sample in people else None
            if said is not None and value is not None:
                both.append((said, value))
            without += said is not None and value is None
    if len(both) < 2:
        raise BadInput(
            f"{column} has values on {len(both)} of the samples that people graded in {name}: compare two or more"
        )
    facts = _label_beside(body, both, options) if "of" in body else _scale_beside(body, both, column, options)
    return {"campaign": name, "question": question, "column": column, "samples": len(both), "without_a_value": without,
            **facts, "people": _people(cat, name, question, options)}  # fmt: skip


def _people(cat: Catalog, name: str, question: str, options: dict[str, Any]) -> dict[str, Any]:
    from catalog.grades.results import agreement_of

    return agreement_of(cat, name, **options)["questions"][question]["alpha"]


def _label_beside(body: dict[str, Any], both: list[tuple[Any, Any]], options: dict[str, Any]) -> dict[str, Any]:
    known = {value: at for at, value in enumerate(body["of"])}
    beyond = sorted({str(model) for _, model in both} - set(known))
    known |= {value: len(known) + at for at, value in enumerate(beyond)}
    a, b = (np.array([known[str(pair[side])] for pair in both]) for side in (0, 1))
    return {
        "same": float((a == b).mean()), "kappa": asdict(cohen_with_interval(a, b, **options)),
        "alpha_nominal": asdict(alpha_with_interval(np.stack([a, b]).astype(float), "nominal", **options)),
        "unknown_values": beyond[:10],
    }  # fmt: skip


def _scale_beside(body: dict[str, Any], both: list[tuple[Any, Any]], column: str, options: dict[str, Any]) -> dict:
    if any(isinstance(model, str) for _, model in both):
        raise BadInput(f"column {column} holds text, the scale numbers; name a column of numbers")
    people, model = (np.array([float(pair[side]) for pair in both]) for side in (0, 1))
    near = [np.clip(np.rint(side), body["low"], body["high"]).astype(int) - body["low"] for side in (people, model)]
    ranks = [mid_ranks(side) for side in (people, model)]
    moving = all(np.ptp(side) > 0 for side in ranks)
    return {
        "same": float((near[0] == near[1]).mean()),
        "kappa_quadratic": asdict(cohen_with_interval(near[0], near[1], "quadratic", **options)),
        "alpha_interval": asdict(alpha_with_interval(np.stack([people, model]), "interval", **options)),
        "spearman": float(np.corrcoef(ranks[0], ranks[1])[0, 1]) if moving else None,
        "mean_difference": float((model - people).mean()),
    }  # fmt: skip
