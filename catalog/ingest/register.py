"""The register of sources: what every delivery came to, what of it is held elsewhere, and what a person settled.

A source that a sources file names is listed before it is read, and stays listed when it fails, with the reason in one
line, until it is mended or taken off the list. Datasets that were ingested one by one stand in the register too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, update
from sqlmodel import col, select

from catalog.access import check
from catalog.errors import BadInput, NotFound
from catalog.meta.intake import Intake
from catalog.meta.models import ColumnRecord, Dataset, Quarantine, Version, now
from catalog.runs import run

if TYPE_CHECKING:
    from catalog.catalog import Catalog
    from catalog.ingest.sources import SourceResult, SourceSpec

FAILED = ("failed expectation", "error")
WAITING = "waiting"
STATED = "unknown"
"""What statistics call the licence of rows that declare none."""


@dataclass
class Source:
    """A source with all that the catalog knows of it. dataset: None while nothing of it is published."""

    name: str
    record: Intake | None
    dataset: Dataset | None
    licences: dict[str, int] = field(default_factory=dict)  # as rows declare them
    reasons: dict[str, int] = field(default_factory=dict)  # of quarantined records
    scorers: set[str] = field(default_factory=set)  # that have run over every row
    children: list[Dataset] = field(default_factory=list)  # promoted from it

    @property
    def failed(self) -> bool:
        return self.record is not None and self.record.status in FAILED

    @property
    def quarantined(self) -> int:
        return sum(self.reasons.values())


def sources(cat: Catalog) -> list[Source]:
    """Every source by name: datasets that were not made by promotion, and what failed. Five queries, however many."""
    check(cat, "read", "intake")
    datasets = cat.datasets()
    with cat.session() as session:
        records = list(session.exec(select(Intake)))
        heads = select(Version).join(
            Dataset, (col(Dataset.id) == Version.dataset_id) & (Dataset.head == Version.number)
        )
        facets = {
            one.dataset_id: (one.statistics.get("facets") or {}).get("licence") or {} for one in session.exec(heads)
        }
        counted = session.exec(
            select(Quarantine.dataset_id, Quarantine.reason, func.count()).group_by(
                Quarantine.dataset_id, Quarantine.reason
            )  # type: ignore[call-overload]
        ).all()
        columns = session.exec(select(ColumnRecord.dataset_id, ColumnRecord.scorer, ColumnRecord.covered)).all()
    by_id = {record.dataset_id: record for record in records if record.dataset_id}
    found: dict[str, Source] = {}
    for dataset in datasets:
        if dataset.parent is None:
            found[dataset.name] = Source(dataset.name, by_id.get(dataset.id), dataset, facets.get(dataset.id, {}))
    held = {source.dataset.id: source for source in found.values() if source.dataset}
    for dataset_id, reason, count in counted:
        if dataset_id in held:
            held[dataset_id].reasons[reason] = count
    for dataset_id, scorer, covered in columns:
        if dataset_id in held and (own := held[dataset_id].dataset) is not None and covered >= own.rows:
            held[dataset_id].scorers.add(scorer)
    for dataset in datasets:
        if (parent := (dataset.parent or "").split("@")[0]) in found:
            found[parent].children.append(dataset)
    for record in records:  # of those published once and dropped since nothing is due
        if record.name not in found and record.dataset_id is None:
            found[record.name] = Source(record.name, record, None)
    return [found[name] for name in sorted(found)]


def expect(cat: Catalog, specs: Sequence[SourceSpec], file: str) -> None:
    """List sources before they are read, so that one is known even where everything stops in the middle."""
    with cat.session() as session:
        for spec in specs:
            record = session.get(Intake, spec.name) or Intake(name=spec.name, status=WAITING)
            record.spec, record.file = spec.model_dump(mode="json", exclude_none=True), file
            record.actor = cat.settings.actor
            if record.status in FAILED:
                record.status, record.reason = WAITING, ""
            session.add(record)
        session.commit()


def note(cat: Catalog, result: SourceResult) -> None:
    """Write down what a delivery came to."""
    dataset = cat.find(result.name)
    with cat.session() as session:
        record = session.get(Intake, result.name) or Intake(name=result.name)
        record.dataset_id = dataset.id if dataset is not None and dataset.head else None
        record.status, record.reason = result.status, " ".join((result.failed or result.error or "").split())
        record.ref, record.seen = result.ref or record.ref, now()
        session.add(record)
        session.commit()


def keep_held(cat: Catalog, name: str, held: Any) -> dict[str, Any]:
    """Remember what of a source is held elsewhere: of its newest version, now."""
    found = cat.resolve(name)
    body = {
        "ref": found.ref, "rows": held.rows, "exact": held.exact, "near": held.near, "mixes": held.mixes,
        "datasets": dict(held.datasets.most_common()), "leaks": held.leaks, "checked": now(),
    }  # fmt: skip
    with cat.session() as session:
        record = session.get(Intake, found.dataset.name) or Intake(
            name=found.dataset.name, dataset_id=found.dataset.id, status="published", ref=found.ref
        )
        if held.leaks is None and record.held.get("ref") == found.ref:
            body["leaks"] = record.held.get("leaks")  # not looked for this time
        record.held = body
        session.add(record)
        session.commit()
    return body


def check_source(cat: Catalog, name: str) -> dict[str, Any]:
    """Check a source that is in against everything else held, every mix and every eval; reads each of its rows once."""
    from catalog.index.held import held_of

    check(cat, "write", name)
    dataset = cat.resolve(name).dataset
    return keep_held(cat, name, held_of(cat, cat.scan(name, ["content_id", "text"]), without=dataset))


def accept_quarantine(cat: Catalog, names: Sequence[str]) -> dict[str, int]:
    """Say that a person has looked at the quarantined rows of sources; more of them later ask again."""
    known = {source.name: source for source in sources(cat)}
    for name in names:
        check(cat, "write", name)
        if name not in known:
            raise NotFound("source", name, known, "see `strata intake list`")
    done = {name: known[name].quarantined for name in names}
    with cat.session() as session:
        for name, count in done.items():
            dataset = known[name].dataset
            record = session.get(Intake, name) or Intake(
                name=name, dataset_id=dataset.id if dataset else None, status="published"
            )
            record.looked = count
            session.add(record)
        session.commit()
    return done


def quarantined(cat: Catalog, name: str, limit: int = 100_000) -> Iterator[Quarantine]:
    """The quarantined records of a source, by file and line."""
    dataset = cat.resolve(name).dataset
    with cat.session() as session:
        query = select(Quarantine).where(Quarantine.dataset_id == dataset.id)
        yield from session.exec(query.order_by(Quarantine.file, Quarantine.line).limit(limit))  # type: ignore[arg-type]


def again(cat: Catalog, name: str, progress: Any = None) -> SourceResult:
    """Read a source again, by the entry that the register keeps."""
    from catalog.ingest.sources import SourceSpec, ingest_sources

    with cat.session() as session:
        record = session.get(Intake, name)
        known = [one for one in session.exec(select(Intake.name))]
    if record is None or not record.spec:
        raise NotFound("source of a sources file", name, known, "`strata ingest PATH --as NAME` reads any other again")
    return ingest_sources(cat, [SourceSpec(**record.spec)], file=record.file, progress=progress)[0]


def forget_source(cat: Catalog, name: str) -> None:
    """Take a source of which nothing was published off the list."""
    check(cat, "write", name)
    with cat.session() as session:
        record = session.get(Intake, name)
        if record is None:
            raise NotFound(
                "source on the list", name, session.exec(select(Intake.name)).all(), "see `strata intake list`"
            )
        if record.dataset_id is not None and cat.find(name) is not None:
            raise BadInput(f"{name} is a dataset, which stays on the list; `strata drop {name}` removes it")
        session.delete(record)
        session.commit()


def stated(source: Source) -> dict[str, int]:
    """Licences that rows declare, without those that declare none."""
    return {name: rows for name, rows in source.licences.items() if name != STATED}


def verify_licence(cat: Catalog, names: Sequence[str], licence: str | None = None) -> dict[str, str]:
    """Say, as a person who has read the evidence, which licence sources have; datasets made from them follow.

    licence: None takes what each declares. All are looked at before any is written: one without a licence, or with
    rows that declare several, is refused unless the licence is said.
    """
    known = {source.name: source for source in sources(cat)}
    chosen: dict[str, str] = {}
    for name in names:
        check(cat, "write", name)
        source = known.get(name)
        if source is None or source.dataset is None:
            raise NotFound(
                "source that is in", name, [n for n, s in known.items() if s.dataset], "see `strata intake list`"
            )
        chosen[name] = (licence or "").strip() or _declared(source)
    for name, value in chosen.items():
        dataset = known[name].dataset
        assert dataset is not None
        mine = [dataset.id, *_made_from(cat, name)]
        body = {"licence": value, "evidence": dataset.licence_evidence}
        with run(cat, "verify", f"verify:{dataset.id}:{now()}", dataset=name, **body), cat.session() as session:
            values = {"licence_verified": value, "licence_verified_by": cat.settings.actor}
            session.execute(update(Dataset).where(col(Dataset.id).in_(mine)).values(**values))
            session.commit()
    return chosen


def _declared(source: Source) -> str:
    assert source.dataset is not None
    rows = stated(source)
    if len(rows) > 1:
        counts = ", ".join(f"{name} {count:,}" for name, count in Counter(rows).most_common(5))
        raise BadInput(f"rows of {source.name} declare several licences ({counts}): say which one is verified")
    declared = next(iter(rows), source.dataset.licence)
    if not declared:
        raise BadInput(f"{source.name} declares no licence: say which one is verified, and where it is stated")
    return declared


def _made_from(cat: Catalog, name: str) -> list[str]:
    """Ids of the datasets promoted from one, and from those in turn."""
    datasets, found, names = cat.datasets(unpublished=True), [], [name]
    for parent in names:
        for dataset in datasets:
            if (dataset.parent or "").split("@")[0] == parent and dataset.name not in names:
                found.append(dataset.id)
                names.append(dataset.name)
    return found
