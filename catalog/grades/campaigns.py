"""Campaigns: what is to be graded, under which rubric, and what a value may be."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from catalog.access import check
from catalog.errors import BadInput, NameTaken, NotFound, Refused
from catalog.meta.models import Campaign, Dataset, GradeQueue, now
from catalog.refs import check_name, parse_ref

if TYPE_CHECKING:
    from catalog.catalog import Catalog

TARGETS = ("sample", "turn", "span")
CHOICES = ("A", "B", "tie")
"""What a person may say of a pair."""
PAIR = "preference"


def create(
    cat: Catalog,
    name: str,
    source: str,
    rubric: dict[str, Any],
    *,
    graders: int = 1,
    order: str = "given",
    columns: list[str] | None = None,
    threshold: float | None = None,
    seed: int = 0,
    where: str | None = None,
    missing: str = "error",
    items: int | None = None,
    pairs: int = 0,
    target: str = "sample",
    gold_every: int = 0,
    hold: float = 1800.0,
    suggest: dict[str, str] | None = None,
    reveal: str = "after",
    note: str = "",
) -> Campaign:
    """Make a campaign and freeze its queue. The same request again is the campaign that is there.

    source: a dataset ("web@v3"; without a version its newest, which is pinned) or a saved selection. rubric: the body of a
    rubric: {"name", "scales": {name: {"low", "high"}}, "labels": {name: {"of": [...]}}}. graders: wanted for each item.
    order: given, random, uncertain (one column, nearest to `threshold` first), disagreeing (two columns or more, whose
    ranks lie furthest apart first), stratified (in turn from each value, or tenth, of a column). items: at most so many.
    pairs: compare two samples with each other, each sample in about 2 * pairs of them; the answer is A, B or tie.
    target: "turn" grades single turns of a conversation; "span" allows stretches of the text beside the whole sample.
    gold_every: after so many items a grader is given a planted one. hold: seconds until an item goes to somebody else.
    suggest: scale or label -> column with what a model said; reveal: "after" the grader's own grade is stored, or "before".
    """
    check(cat, "write", f"campaign {check_name(name)}")
    _sensible(graders, target, gold_every, hold, pairs, items)
    rubric = orjson.loads(orjson.dumps(rubric, option=orjson.OPT_NON_STR_KEYS))
    if pairs:
        rubric = {**rubric, "scales": {}, "labels": {PAIR: {"of": list(CHOICES), "about": rubric.get("about", "")}}}
    check_rubric(rubric)
    from catalog.grades.queue import frozen_order, pieces

    ref, full_where, missing = _source(cat, source, where, missing)
    found = cat.resolve(ref)
    if target == "turn" and "messages" not in _fields(found.dataset):
        raise BadInput(f"{found.ref} is of kind {found.dataset.kind}: only samples with messages have turns to grade")
    recipe = {
        "source": source, "where": full_where, "missing": missing, "order": order, "columns": columns or [], "seed": seed,
        "threshold": threshold, "items": items, "pairs": pairs,
    }  # fmt: skip
    asked = Campaign(
        name=name, kind="pair" if pairs else "single", dataset_id=found.dataset.id, ref=found.ref, rubric=rubric,
        rubric_digest=digest(rubric), recipe=recipe, target=target, graders=graders, gold_every=gold_every, hold=hold,
        actor=cat.settings.actor, note=note,
    )  # fmt: skip
    if suggest:
        from catalog.grades.suggestions import check_suggest

        if pairs or target == "turn":
            raise BadInput("suggestions are of whole samples; leave them out of pairs and turns")
        check_suggest(cat, found.dataset.name, rubric, suggest, reveal)
        recipe |= {"suggest": suggest, "reveal": reveal}
    if (held := _held(cat, name)) is not None:
        return _same(held, asked)
    queue = frozen_order(cat, found.ref, recipe)
    if not len(queue):
        raise BadInput(f"{source} has no row to grade{f' where {full_where}' if full_where else ''}")
    asked.items = len(queue)
    with cat.session() as session:
        session.add(asked)
        session.add_all(GradeQueue(campaign_id=asked.id, piece=n, body=body) for n, body in enumerate(pieces(queue)))
        try:
            session.commit()
        except IntegrityError:
            raise NameTaken(
                f"the campaign {name!r} was just made by another process; look at it, then repeat"
            ) from None
    return asked


def _sensible(graders: int, target: str, gold_every: int, hold: float, pairs: int, items: int | None) -> None:
    if graders < 1:
        raise BadInput(f"an item wants one grader or more, not {graders}")
    if target not in TARGETS:
        raise BadInput(f"target {target!r} is not one of {', '.join(TARGETS)}")
    if gold_every < 0 or pairs < 0 or (items is not None and items < 1):
        raise BadInput("gold-every and pairs must be 0 or more, and items 1 or more")
    if not hold > 0:
        raise BadInput(f"an item is held for some seconds, not {hold:g}")
    if pairs and target != "sample":
        raise BadInput("pairs are of whole samples; leave --target out")


def _source(cat: Catalog, source: str, where: str | None, missing: str) -> tuple[str, str | None, str]:
    if cat._noun(parse_ref(source).name) != "selection":
        return source, where, missing
    from catalog.selections import find_selection

    held = find_selection(cat, source)
    both = f"({held.where}) AND ({where})" if where else held.where
    return held.dataset, both, held.missing


def _fields(dataset: Dataset) -> list[str]:
    from catalog.schema import OWN

    return [field.name for field in OWN[dataset.kind]]


def _held(cat: Catalog, name: str) -> Campaign | None:
    with cat.session() as session:
        return session.exec(select(Campaign).where(Campaign.name == name)).first()


def _same(held: Campaign, asked: Campaign) -> Campaign:
    names = ("kind", "dataset_id", "ref", "rubric_digest", "recipe", "target", "graders", "gold_every", "hold")
    other = [name for name in names if getattr(held, name) != getattr(asked, name)]
    if other:
        raise NameTaken(f"the campaign {held.name!r} is there with another {' and '.join(other)}; choose another name")
    return held


def find(cat: Catalog, name: str) -> Campaign:
    """A campaign by its name."""
    check(cat, "read", f"campaign {name}")
    held = _held(cat, name)
    if held is None:
        with cat.session() as session:
            known = session.exec(select(Campaign.name)).all()
        raise NotFound("campaign", name, known, "see `strata grade list`")
    return held


def campaigns(cat: Catalog) -> list[Campaign]:
    """Every campaign, newest first."""
    check(cat, "read", "campaigns")
    with cat.session() as session:
        return list(session.exec(select(Campaign).order_by(Campaign.created.desc())))  # type: ignore[attr-defined]


def close(cat: Catalog, name: str, *, reopen: bool = False) -> Campaign:
    """No more grades are asked for or taken; what was graded stays. reopen: the other way round."""
    held = find(cat, name)
    check(cat, "write", f"campaign {name}")
    with cat.session() as session:
        current = session.get_one(Campaign, held.id)
        current.closed = None if reopen else current.closed or now()
        session.add(current)
        session.commit()
        return current


def dataset_of(cat: Catalog, campaign: Campaign) -> Dataset:
    """The dataset a campaign samples from, by id: a rename changes nothing, a drop ends the campaign."""
    with cat.session() as session:
        dataset = session.get(Dataset, campaign.dataset_id)
    if dataset is None or dataset.dropped:
        raise Refused(
            f"campaign {campaign.name} samples from {campaign.ref}, which was dropped; its grades can still be exported "
            f"(`strata grade export {campaign.name}`)",
            missing=[campaign.ref],
        )
    return dataset


def digest(rubric: dict[str, Any]) -> str:
    """Digest of a rubric's body."""
    return hashlib.sha256(orjson.dumps(rubric, option=orjson.OPT_SORT_KEYS)).hexdigest()


def check_rubric(rubric: dict[str, Any]) -> None:
    """What the catalog needs of a rubric: a name, and scales with ends or labels with names."""
    if not isinstance(rubric.get("name"), str):
        raise BadInput("a rubric needs a name")
    scales, labels = rubric.get("scales") or {}, rubric.get("labels") or {}
    if not scales and not labels:
        raise BadInput(f"rubric {rubric['name']} asks nothing: it needs a scale or a label")
    for name, scale in scales.items():
        low, high = (scale.get(end) for end in ("low", "high"))
        if not isinstance(low, int) or not isinstance(high, int) or low >= high:
            raise BadInput(f"scale {name} of rubric {rubric['name']} needs whole numbers low below high")
    for name, label in labels.items():
        if len(set(label.get("of") or [])) < 2:
            raise BadInput(f"label {name} of rubric {rubric['name']} needs two names or more")


def questions(rubric: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What is asked: scale or label -> its body."""
    return {**(rubric.get("scales") or {}), **(rubric.get("labels") or {})}


def checked(rubric: dict[str, Any], name: str, value: Any) -> int | str:
    """A value as it is stored; `BadInput` when the scale or label does not hold it."""
    asked = questions(rubric)
    if name not in asked:
        raise BadInput(f"rubric {rubric['name']} does not ask for {name!r}; it asks for {', '.join(asked)}")
    body = asked[name]
    if "of" in body:
        if value not in body["of"]:
            raise BadInput(f"{name} is one of {', '.join(body['of'])}, not {value!r}")
        return str(value)
    if isinstance(value, str) and re.fullmatch(r"[+-]?\d{1,9}", value.strip()):
        value = int(value)
    whole = not isinstance(value, bool) and isinstance(value, (int, float)) and value % 1 == 0
    if not whole or not body["low"] <= value <= body["high"]:
        raise BadInput(f"{name} is a whole number from {body['low']} to {body['high']}, not {value!r}")
    return int(value)
