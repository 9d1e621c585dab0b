"""Ingest: read files into a dataset as its next version, streaming, resumable, without loss and without repeats.

Rows in = kept + held + retracted + quarantined, always. Kept rows are new; held rows are in the dataset already;
retracted ones stay out; quarantined records are listed with file, line, byte offset and reason. Every finished fragment is
checkpointed with the place where reading goes on: after a crash or Ctrl-C the same command resumes there. Nothing is
visible before the version is published, and everything of it at once.
"""

from __future__ import annotations

import time
from collections.abc import Mapping as Given
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from xxhash import xxh3_128_hexdigest

from catalog.access import check
from catalog.digests import sorted_json
from catalog.errors import BadInput, Missing, NameTaken, Refused
from catalog.ingest.commit import commit, forget
from catalog.ingest.discover import discover
from catalog.ingest.expectations import Expectations, parse_expectations
from catalog.ingest.mapping import Mapping
from catalog.ingest.overlap import accept, check_new
from catalog.ingest.plan import Input, plan_inputs
from catalog.ingest.stream import Work, stream
from catalog.ingest.tally import COUNTS
from catalog.meta.models import Dataset, Name, Run, now
from catalog.refs import check_name
from catalog.runs import run
from catalog.store.publish import alive

if TYPE_CHECKING:
    from catalog.catalog import Catalog
    from catalog.index.held import Held

FRAGMENT_ROWS = 262_144


@dataclass
class FileReport:
    """One input: what was done with it and what became of its records."""

    uri: str
    status: str
    mapping: str
    counts: dict[str, int] = field(default_factory=dict)
    error: str | None = None


@dataclass
class IngestReport:
    """What an ingest did. status: "new", "appended" or "unchanged"; ref names the version the rows are in."""

    name: str
    ref: str
    status: str
    counts: dict[str, int]
    reasons: dict[str, int]
    files: list[FileReport]
    mapping: Mapping
    licence: str | None
    run: str
    seconds: float = 0.0
    resumed: int = 0
    notes: list[str] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    overlap: float | None = None
    held: Held | None = None

    @property
    def rows_per_second(self) -> float:
        return self.counts["in"] / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class Facts:
    """What is said about the rows: tier, role, licence and its evidence, source name, owner, note."""

    tier: str | None = None
    role: str | None = None
    licence: str | None = None
    licence_evidence: str | None = None
    source: str | None = None
    owner: str | None = None
    note: str | None = None
    use_class: str | None = None


def ingest(
    cat: Catalog,
    paths: Sequence[str],
    name: str,
    *,
    kind: str | None = None,
    mapping: Given[str, str] | None = None,
    key: str | None = None,
    reading: dict[str, Any] | None = None,
    expectations: dict[str, Any] | Expectations | None = None,
    keep_going: bool = False,
    fragment_rows: int = FRAGMENT_ROWS,
    overlap: bool = False,
    check_held: bool = False,
    max_held: float | None = None,
    dry_run: bool = False,
    progress: Any = None,
    **facts: Any,
) -> IngestReport:
    """Ingest files, folders, globs, URIs or hub ids into dataset `name`, which is created when it is not there.

    mapping: role or row column -> field of the records ({"text": "body", "url": "link"}); the rest is inferred.
    reading: format, header, columns, delimiter, max_record_bytes. facts: see `Facts`. keep_going: keep the rows before
    a place where a file is broken, instead of failing. overlap: also report the share of rows whose content another
    dataset holds. check_held: say before anything is published how much is held already, as it is or nearly, how much is
    in published mixes, and which evals leak; max_held: refuse when more than this share is held. dry_run: check and
    publish nothing; the counts are those that the ingest would have. progress(done, total, unit) is called as bytes are read.
    """
    began = time.monotonic()
    check(cat, "write", check_name(name))
    said = _facts(facts)
    expected = parse_expectations(expectations)
    if fragment_rows < 1:
        raise BadInput(f"fragment_rows must be at least 1, not {fragment_rows}")
    dataset = _existing(cat, name, kind, said)
    checks = check_held or dry_run or max_held is not None
    sources = discover(paths, storage=cat.settings.storage, **_reading(reading, fragment_rows))
    inputs = plan_inputs(cat, dataset, sources, name=said.source or name, kind=kind, given=dict(mapping or {}), key=key)
    created = dataset is None
    dataset = dataset or _create(cat, name, inputs[0].mapping.kind, said)
    key_ = f"{dataset.id}:ingest:{_work_key(inputs, said, fragment_rows, keep_going)}"
    request = {"paths": list(map(str, paths)), "mapping": inputs[0].mapping.to_json() | {"preview": []}, **vars(said)}
    try:
        with run(cat, "ingest", key_, dataset=name, **request) as record:
            key_ = _own_key(cat, key_, record.id)
            work = Work(cat, dataset, inputs, key_, record.id, said.source or name, said.licence or dataset.licence,
                        fragment_rows, keep_going, progress)  # fmt: skip
            outcome = stream(work)
            held = check_new(cat, dataset, outcome.fragments) if checks else None
            if held is not None:
                accept(name, held, max_held)
            if dry_run:
                report = _report(cat, work, outcome, 0)
                report.held, report.status, report.ref = held, "dry run", name
                forget(cat, key_)
                return _undone(cat, dataset, created, report, began)
            version = commit(work, outcome, expected, note=said.note or "")
            report = _report(cat, work, outcome, version)
            report.held = held
    except (BadInput, Refused, Missing):
        forget(cat, key_)
        if created:
            _undo(cat, dataset.id)
        raise
    if overlap:
        from catalog.ingest.overlap import overlap_with_others

        report.overlap = overlap_with_others(cat, dataset, report.ref)
    report.seconds = time.monotonic() - began
    return report


def _facts(given: dict[str, Any]) -> Facts:
    known = Facts.__dataclass_fields__
    if unknown := [name for name in given if name not in known]:
        raise BadInput(f"ingest has no option {unknown[0]!r}; there are {', '.join(known)}")
    said = Facts(**given)
    if said.tier in ("L3", "L4"):
        raise Refused(
            f"rows cannot be ingested into {said.tier}: its contract asks for parents and checks on every row; ingest into "
            "L0 to L2",
            missing=["parents"],
        )
    return said


def _reading(reading: dict[str, Any] | None, fragment_rows: int) -> dict[str, Any]:
    known = {"format", "header", "columns", "delimiter", "max_record_bytes"}
    if unknown := set(reading or ()) - known:
        raise BadInput(f"no reading option {sorted(unknown)[0]!r}; there are {', '.join(sorted(known))}")
    return {**(reading or {}), "block_bytes": max(1 << 12, min(4 << 20, fragment_rows << 7))}


def _existing(cat: Catalog, name: str, kind: str | None, said: Facts) -> Dataset | None:
    """The dataset of that name, if rows like these may join it."""
    dataset = cat.find(name)
    if dataset is None:
        if noun := cat._noun(name):
            raise NameTaken(f"the name {name!r} is taken by a {noun}; choose another or drop it")
        return None
    if dataset.parent:
        source = dataset.parent.split("@")[0]
        raise Refused(
            f"{name} is made by promotion from {dataset.parent}; ingest into {source} and promote again",
            missing=["promotion"],
        )
    for what, held, given in (
        ("kind", dataset.kind, kind),
        ("tier", dataset.tier, said.tier),
        ("role", dataset.role, said.role),
    ):
        if given is not None and given != held:
            raise BadInput(f"{name} has {what} {held or 'none'}, not {given}; choose another name with --as")
    return dataset


def _create(cat: Catalog, name: str, kind: str, said: Facts) -> Dataset:
    try:
        return cat.create_dataset(
            name, kind=kind, tier=said.tier or "L0", role=said.role, owner=said.owner or cat.settings.actor,
            note=said.note or "", licence=said.licence, licence_evidence=said.licence_evidence, use_class=said.use_class,
        )  # fmt: skip
    except NameTaken:
        dataset = cat.find(name)  # another process may have created it just now
        if dataset is None or dataset.kind != kind:
            raise
        return dataset


def _undone(cat: Catalog, dataset: Dataset, created: bool, report: IngestReport, began: float) -> IngestReport:
    """End a dry run: what it wrote is left to `strata gc`, and the dataset it created is gone."""
    if created:
        with cat.session() as session:
            session.delete(session.get(Name, dataset.name))
            held = session.get(Dataset, dataset.id)
            assert held is not None
            held.dropped = now()
            session.add(held)
            session.commit()
    report.seconds = time.monotonic() - began
    return report


def _undo(cat: Catalog, dataset_id: str) -> None:
    """Take back the creation of a dataset that nothing was published to; its files are left to `strata gc`."""
    from sqlmodel import select

    with cat.session() as session:
        dataset = session.get(Dataset, dataset_id)
        others = select(Run).where(Run.key.startswith(dataset_id), Run.status == "running")  # type: ignore[attr-defined]
        if dataset is None or dataset.head or session.exec(others).first():
            return
        if (held := session.get(Name, dataset.name)) is not None:
            session.delete(held)
        dataset.dropped = now()
        session.add(dataset)
        session.commit()


def _work_key(inputs: Sequence[Input], said: Facts, fragment_rows: int, keep_going: bool) -> str:
    """Equal for equal commands over equal bytes."""
    files = [[item.source.uri, item.stamp, item.status, item.reading, item.start] for item in inputs]
    return xxh3_128_hexdigest(sorted_json([files, said.source, said.licence, fragment_rows, keep_going]))


def _own_key(cat: Catalog, key: str, run_id: str) -> str:
    """The checkpoint key of this run: one of its own while another live process works on the same command."""
    from sqlmodel import select

    with cat.session() as session:
        others = session.exec(select(Run).where(Run.key == key, Run.status == "running", Run.id != run_id)).all()
    return f"{key}:{run_id[:8]}" if any(alive(o.host, o.pid, o.process_start) for o in others) else key


def _report(cat: Catalog, work: Work, outcome: Any, version: int) -> IngestReport:
    tally = outcome.tally
    dataset = cat.find(work.dataset.name)
    assert dataset is not None
    counts = {name: tally.counts[name] for name in COUNTS}
    files = [
        FileReport(item.source.uri, item.status, item.mapping.dialect, dict(tally.files.get(str(at), {})),
                   outcome.errors.get(at))
        for at, item in enumerate(work.inputs)
    ]  # fmt: skip
    status = "unchanged" if not version else ("new" if version == 1 else "appended")
    report = IngestReport(
        work.dataset.name, f"{work.dataset.name}@v{version or dataset.head}", status, counts, dict(tally.reasons), files,
        replace(work.inputs[0].mapping, preview=()), work.licence, work.run_id, resumed=outcome.resumed,
        timings={name: round(value, 3) for name, value in outcome.timings.items()},
    )  # fmt: skip
    if work.licence is None and "licence" not in work.inputs[0].mapping.row:
        report.notes.append("the licence is unknown; state it with --licence")
    if dataset.tier != "L0":
        report.notes.append(f"tier {dataset.tier} is stated, not proven: no contract was checked")
    return report
