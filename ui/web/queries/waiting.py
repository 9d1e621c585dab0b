"""What waits for a decision and what is new, each by one query over stored facts: no table is opened, no run is started."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlmodel import Session, col, func, select

from agents.proposals.book import stands
from catalog import Catalog
from catalog.evals import CHECK, stamp
from catalog.meta.intake import Intake
from catalog.meta.models import (
    Campaign,
    ColumnRecord,
    Dataset,
    EvalPolicy,
    GradeSlot,
    Mix,
    Recipe,
    Run,
    Version,
)  # fmt: skip
from catalog.meta.proposals import Proposal
from ui.web.components.figures import plural
from ui.web.queries.overview import Card

NAMED = 3
"""Examples that a line names."""
DAYS = 7
NEWEST = 6
RECORDS = 600
"""Newest columns that are looked at for what is new."""
FAILED = ("failed", "crashed")


@dataclass(frozen=True)
class Wait:
    """One line: how many of what, a few of their names, and the page where a person decides."""

    what: str
    count: int
    names: tuple[str, ...]
    page: str
    query: dict[str, str] = field(default_factory=dict)
    tone: str = ""


@dataclass(frozen=True)
class News:
    """Something that was published: a version, a mix, columns."""

    when: str
    kind: str
    name: str
    words: str
    page: str
    query: dict[str, str]


def since(days: float = DAYS) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="microseconds")


def waiting(cat: Catalog, cards: Sequence[Card]) -> list[Wait]:
    """Everything that waits, what a person has to decide first."""
    with cat.session() as session:
        found = [look(session, cards) for look in LOOKS]
    return [wait for wait in found if wait is not None]


def _proposals(session: Session, cards: Sequence[Card]) -> Wait | None:
    query = select(Proposal.id, Proposal.title).where(stands(session, "open")).order_by(col(Proposal.created).desc())
    count, rows = _some(session, query)
    one = {"proposal": rows[0][0]} if count == 1 else {"tab": "proposals"}
    return _wait("proposed change", count, [title for _, title in rows], "assistant", one, "accent")


def _failed_runs(session: Session, cards: Sequence[Card]) -> Wait | None:
    """Runs that failed lately and were not repeated with success: the same command resumes them."""
    done = select(Run.key, func.max(Run.started).label("last")).where(Run.status == "done").group_by(Run.key).subquery()
    query = (
        select(Run.verb, Run.dataset, Run.id)
        .outerjoin(done, done.c.key == Run.key)
        .where(
            col(Run.status).in_(FAILED), Run.started > since(), (done.c.last.is_(None)) | (done.c.last < Run.started)
        )
        .order_by(col(Run.started).desc())
    )
    rows = list({(verb, dataset): id_ for verb, dataset, id_ in session.exec(query)}.items())
    names = [f"{verb} {dataset or ''}".strip() for (verb, dataset), _ in rows]
    last = {"dataset": rows[0][0][1] or "", "run": rows[0][1][:8]} if rows else {}
    return _wait("failed run", len(rows), names, "flows", last, "bad")


def _sources(session: Session, cards: Sequence[Card]) -> Wait | None:
    query = select(Intake.name).where(col(Intake.status).in_(["failed expectation", "error"])).order_by(Intake.name)
    count, rows = _some(session, query)
    return _wait(
        "source that did not come in",
        count,
        rows,
        "intake",
        {"status": "failed"},
        "bad",
        "sources that did not come in",
    )


def _leak_checks(session: Session, cards: Sequence[Card]) -> Wait | None:
    """Datasets from L2 on whose leak check does not know every eval as it is now; as `catalog.evals.stale`, in two queries."""
    policies = {held.dataset_id: held for held in session.exec(select(EvalPolicy))}
    stamps = {_stamp(card, policies.get(card.dataset.id)) for card in cards if card.dataset.role == "eval"}
    later = [card for card in cards if card.dataset.tier not in ("L0", "L1") and card.dataset.role != "eval"]
    if not stamps or not later:
        return None
    known: dict[str, set[str]] = {}
    query = select(ColumnRecord.dataset_id, ColumnRecord.covered, Recipe.body["evals"]).join(  # type: ignore[index]
        Recipe, col(Recipe.fingerprint) == ColumnRecord.fingerprint
    )
    rows = {card.dataset.id: card.version.rows for card in later}
    for dataset_id, covered, evals in session.exec(query.where(ColumnRecord.output == CHECK)):
        if covered >= rows.get(dataset_id, covered + 1):
            known.setdefault(dataset_id, set()).update(stamp(entry) for entry in evals or [])
    names = [card.name for card in later if stamps - known.get(card.dataset.id, set())]
    first = {"dataset": names[0], "scorer": CHECK} if names else {}
    return _wait("dataset not checked against every eval", len(names), names, "flows", first, "warn",
                 "datasets not checked against every eval")  # fmt: skip


def _stamp(card: Card, declared: EvalPolicy | None) -> str:
    leak = {key: getattr(declared, key) for key in ("fields", "action", "share", "numbers")} if declared else None
    return stamp({"digest": card.version.digest, **({"leak": leak} if leak else {})})


def _queues(session: Session, cards: Sequence[Card]) -> Wait | None:
    """Campaigns in which places are free: wanted grades less those given."""
    given = select(GradeSlot.campaign_id, func.count().label("given")).where(
        GradeSlot.status == "graded", GradeSlot.item >= 0).group_by(GradeSlot.campaign_id).subquery()  # fmt: skip
    query = (
        select(Campaign.name, Campaign.items * Campaign.graders - func.coalesce(given.c.given, 0))
        .outerjoin(given, given.c.campaign_id == Campaign.id)
        .where(col(Campaign.closed).is_(None))
        .order_by(col(Campaign.created).desc())
    )
    rows = [(name, left) for name, left in session.exec(query) if left > 0]
    names = [f"{name} ({plural(left, 'grade')} wanted)" for name, left in rows]
    one = {"campaign": rows[0][0]} if len(rows) == 1 else {}
    return _wait("grading queue", len(rows), names, "grade", one)


def _stale_columns(session: Session, cards: Sequence[Card]) -> Wait | None:
    """Columns computed over a whole version (ranks, clusters, duplicates) that is no longer the newest."""
    heads = {card.dataset.id: card for card in cards}
    query = select(ColumnRecord.dataset_id, ColumnRecord.alias, ColumnRecord.population).where(
        ColumnRecord.scope == "population", col(ColumnRecord.population).is_not(None)
    )
    old: dict[str, list[str]] = {}
    for dataset_id, alias, population in session.exec(query):
        card = heads.get(dataset_id)
        name, _, number = (population or "").partition("@v")
        if card is not None and name == card.name and number != str(card.version.number):
            old.setdefault(card.name, []).append(alias)
    names = [f"{name}: {', '.join(sorted(columns)[:2])}" for name, columns in old.items()]
    one = {"ref": next(iter(old)), "tab": "columns"} if old else {}
    return _wait("dataset with columns of an older version", len(old), names, "dataset", one, "warn",
                 "datasets with columns of an older version")  # fmt: skip


def _licences(session: Session, cards: Sequence[Card]) -> Wait | None:
    names = [card.name for card in cards if card.dataset.parent is None and not card.dataset.licence_verified]
    return _wait("licence nobody verified", len(names), names, "intake", {}, "", "licences nobody verified")


LOOKS: list[Callable[[Session, Sequence[Card]], Wait | None]] = [
    _proposals, _failed_runs, _sources, _leak_checks, _queues, _stale_columns, _licences,
]  # fmt: skip


def _some(session: Session, query: Any) -> tuple[int, list[Any]]:
    """How many a query finds, and the first few."""
    count = session.exec(select(func.count()).select_from(query.order_by(None).subquery())).one()
    return int(count), list(session.exec(query.limit(NAMED))) if count else []


def _wait(
    one: str, count: int, names: Sequence[str], page: str, query: dict[str, str], tone: str = "", many: str = ""
) -> Wait | None:
    what = one if count == 1 else many or one + "s"
    return Wait(what, count, tuple(names[:NAMED]), page, query, tone) if count else None


def news(cat: Catalog, limit: int = NEWEST) -> list[News]:
    """The newest versions, mixes and columns of the last days, newest first."""
    begin = since()
    with cat.session() as session:
        found = [*_versions(session, begin, limit), *_mixes(session, begin, limit), *_columns(session, begin, limit)]
    return sorted(found, key=lambda item: item.when, reverse=True)[:limit]


def _versions(session: Session, begin: str, limit: int) -> list[News]:
    query = (
        select(Version.created, Dataset.name, Version.number, Version.added, Version.removed, Version.actor)
        .join(Dataset, col(Dataset.id) == Version.dataset_id)
        .where(Version.created > begin, col(Dataset.dropped).is_(None))
        .order_by(col(Version.created).desc())
        .limit(limit)
    )
    return [
        News(when, "version", f"{name}@v{number}", f"+{added:,}" + (f" −{removed:,}" if removed else "") + " rows"
             + (f" by {actor}" if actor else ""), "dataset", {"ref": f"{name}@v{number}"})
        for when, name, number, added, removed, actor in session.exec(query)
    ]  # fmt: skip


def _mixes(session: Session, begin: str, limit: int) -> list[News]:
    query = select(Mix.created, Mix.name, Mix.version, Mix.actor).where(Mix.created > begin)
    rows = session.exec(query.order_by(col(Mix.created).desc()).limit(limit))
    return [
        News(when, "mix", f"{name}@v{version}", f"by {actor}" if actor else "", "mixes", {"mix": f"{name}@v{version}"})
        for when, name, version, actor in rows
    ]


def _columns(session: Session, begin: str, limit: int) -> list[News]:
    """Columns by the run that made them, among the newest few hundred."""
    newest = select(ColumnRecord.created, ColumnRecord.dataset_id, ColumnRecord.run_id, ColumnRecord.alias).where(
        ColumnRecord.created > begin).order_by(col(ColumnRecord.created).desc()).limit(RECORDS)  # fmt: skip
    made: dict[tuple[str, str | None], list[tuple[str, str]]] = {}
    for when, dataset_id, run_id, alias in session.exec(newest):
        made.setdefault((dataset_id, run_id), []).append((when, alias))
    runs = list(made.items())[:limit]
    query = select(Dataset.id, Dataset.name).where(
        col(Dataset.id).in_([key[0] for key, _ in runs]), col(Dataset.dropped).is_(None)
    )
    names = dict(session.exec(query).all())
    return [
        News(columns[0][0], "columns", names[dataset_id], _listed(sorted(alias for _, alias in columns)), "dataset",
             {"ref": names[dataset_id], "tab": "columns"})
        for (dataset_id, _), columns in runs if dataset_id in names
    ]  # fmt: skip


def _listed(aliases: list[str]) -> str:
    return aliases[0] if len(aliases) == 1 else f"{aliases[0]} and {len(aliases) - 1} more"
