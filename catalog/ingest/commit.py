"""Publish an ingest: rows, statistics, quarantine, file records and lineage become visible in one transaction.

Under the lease the table may have moved on. Rows that another ingest published meanwhile are looked for by sample id;
a fragment that holds some of them is written again without them, so that nothing is doubled.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from sqlalchemy import delete, insert
from sqlmodel import Session, select

from catalog.digests import add, as_hex, hex_array, id_words
from catalog.errors import BadInput, Refused
from catalog.ingest.expectations import SAMPLE, Expectations, failures
from catalog.ingest.fragments import read_unpublished, sample_of
from catalog.ingest.identity import NEW, RETRACTED, Identity, Known
from catalog.ingest.stream import Outcome, Work
from catalog.ingest.tally import Tally
from catalog.meta.models import Checkpoint, Dataset, Edge, Quarantine, SourceFile, Version
from catalog.runs import add_counts
from catalog.statistics import RowStatistics
from catalog.store import checkpoints, write_column_file, write_fragment
from catalog.store.publish import publish
from catalog.store.rows import append_fragments
from catalog.store.tables import field_ids, with_column_file
from catalog.versions import measure_columns, record_columns, version_facts

if TYPE_CHECKING:
    from catalog.catalog import Catalog

ADDED = pa.schema([pa.field("added", pa.int32())])


def commit(work: Work, outcome: Outcome, expected: Expectations, note: str = "") -> int:
    """Publish what `stream` prepared; the number of the new version, 0 when there is nothing new."""
    tally, dataset = outcome.tally, work.dataset
    if not tally.counts["in"]:
        if not dataset.head:
            raise BadInput(f"{work.inputs[0].source.uri} holds no records; nothing was ingested into {dataset.name}")
        return 0
    if not dataset.head and not tally.counts["kept"]:
        _raise_all_quarantined(work, tally)
    _check(work, outcome, expected)
    for item in work.inputs:
        item.finger()  # a file that was changed meanwhile ends it here
    made: dict[str, Any] = {}

    def change(table: Any, current: Dataset) -> Any:
        fragments = outcome.fragments
        if current.head != outcome.head:
            fragments = _without_published(work, outcome, table)
        made["number"] = current.head + 1 if fragments else 0
        if not fragments:
            return None
        done = append_fragments(work.cat, table, fragments)
        if current.head != outcome.head:
            done = _set_added(work, table, done, current.head + 1)
        made["columns"] = measure_columns(work.cat, current, done)
        made["facts"] = _facts(work, outcome, current, done)
        return done

    def record(session: Session, current: Dataset) -> None:
        _record(session, work, outcome, current, made, note)

    publish(work.cat, dataset.id, change, record)
    return made["number"]


def _raise_all_quarantined(work: Work, tally: Tally) -> None:
    """Nothing to make a dataset of: say what is wrong with the first record."""
    first = next((item for body in checkpoints.load(work.cat, work.key).values() for item in body["rejects"]), {})
    reasons = ", ".join(f"{reason} {count}" for reason, count in tally.reasons.most_common())
    raise BadInput(
        f"no record of {work.inputs[0].source.uri} can be kept ({reasons}); the first is at line {first.get('line')}: "
        f"{first.get('detail')}; mend the file, or say what it is with --kind, --map or --format"
    )


def forget(cat: Catalog, key: str) -> None:
    """Give up the finished parts of an ingest that cannot succeed."""
    with cat.session() as session:
        checkpoints.clear(session, key)
        session.commit()


def _check(work: Work, outcome: Outcome, expected: Expectations) -> None:
    dataset, tally = work.dataset, outcome.tally
    wanted = expected.language_share and outcome.fragments
    texts = sample_of(work.cat, dataset, outcome.fragments, SAMPLE) if wanted else []
    broken = failures(expected, tally, dataset.rows + tally.counts["kept"], texts)
    if broken:
        raise Refused(
            f"{dataset.name} stays as it is, an expectation failed: {'; '.join(broken)}; look at the source, or change "
            "the expectation",
            missing=broken,
        )


def _without_published(work: Work, outcome: Outcome, table: Any) -> list[dict[str, Any]]:
    """Our fragments without the rows that others published since we looked; the tally follows."""
    where = f"added > {outcome.head} AND (removed IS NULL OR removed = 0)"
    known = Known(lambda columns: table.scanner(columns=columns, filter=where, batch_size=65536).to_batches())
    kept = []
    for fragment in outcome.fragments:
        rows = read_unpublished(work.cat, work.dataset, fragment, ["sample_id"])
        if known.contains(id_words(rows.column("sample_id"))[:, 0]).any():
            fragment = _rewrite(work, outcome, fragment, known)
        if fragment:
            kept.append(fragment)
    return kept


def _rewrite(work: Work, outcome: Outcome, fragment: dict[str, Any], known: Known) -> dict[str, Any]:
    """A fragment again, without rows that are live now; a key taken by other content gets its further id."""
    rows = read_unpublished(work.cat, work.dataset, fragment)
    identity = Identity(known)
    assert outcome.identity is not None
    identity.seen = outcome.identity.seen
    ids, fate = identity.again(_digests(rows.column("sample_id")), _digests(rows.column("content_id")))
    outcome.recounted = True
    _recount(work, outcome.tally, rows.column("file").to_pylist(), fate)
    at = rows.schema.get_field_index("sample_id")
    names = pa.chunked_array([hex_array(ids)])
    left = rows.set_column(at, rows.schema.field(at), names).filter(pa.array(fate == NEW))
    if not left.num_rows:
        return {}
    return write_fragment(
        work.cat.table_uri(work.dataset), work.cat.settings.storage, left.schema, left.to_batches(max_chunksize=8192)
    )


def _digests(ids: pa.ChunkedArray) -> bytes:
    return id_words(ids).astype(">u8").tobytes()


def _recount(work: Work, tally: Tally, files: list[str], fate: np.ndarray) -> None:
    """Move rows that others have published from kept to held, for the whole and for their files."""
    numbers = {item.source.uri: str(at) for at, item in enumerate(work.inputs)}
    for at in np.flatnonzero(fate != NEW).tolist():
        name = "retracted" if fate[at] == RETRACTED else "held"
        file = numbers.get(files[at]) or next((n for uri, n in numbers.items() if files[at].startswith(uri)), "0")
        for counts in (tally.counts, tally.files[file]):
            counts["kept"] -= 1
            counts[name] += 1


def _set_added(work: Work, before: Any, done: Any, number: int) -> Any:
    """Correct the version number that the new fragments carry: another version came first."""
    import lance

    held = {fragment.fragment_id for fragment in before.get_fragments()}
    field, metas = field_ids(done)["added"], []
    for fragment in done.get_fragments():
        meta = fragment.metadata
        if fragment.fragment_id not in held:
            values = pa.array(np.full(meta.physical_rows, number, np.int32))
            file = write_column_file(
                work.cat.table_uri(done), work.cat.settings.storage, ADDED, [pa.RecordBatch.from_arrays([values], schema=ADDED)],
                fragment=fragment.fragment_id, lance_version=done.version,
            )  # fmt: skip
            meta = with_column_file(meta, file, {"added": field})
        metas.append(meta)
    return lance.LanceDataset.commit(
        work.cat.table_uri(done),
        lance.LanceOperation.Merge(metas, done.lance_schema),
        read_version=done.version,
        max_retries=0,
        storage_options=work.cat.settings.storage or None,
    )


def _facts(work: Work, outcome: Outcome, current: Dataset, done: Any) -> dict[str, Any]:
    """Digest, rows and statistics of the new version: the old ones and ours, or read where that does not add up."""
    tally = outcome.tally
    statistics, digest = RowStatistics(), 0
    if current.head:
        with work.cat.session() as session:
            old = session.exec(
                select(Version).where(Version.dataset_id == current.id, Version.number == current.head)
            ).one()
        if outcome.recounted or old.retracted or "length_bins" not in old.statistics:
            return version_facts(done)
        statistics.merge(old.statistics)
        digest = int(old.digest, 16)
    statistics.merge(tally.statistics.to_json())
    return {
        "digest": as_hex(add(digest, tally.digest)),
        "rows": current.rows + tally.counts["kept"],
        "statistics": statistics.to_json(),
    }


def _record(session: Session, work: Work, outcome: Outcome, current: Dataset, made: dict[str, Any], note: str) -> None:
    counts, number = outcome.tally.counts, made["number"]
    if number:
        facts = made["facts"]
        session.add(
            Version(
                dataset_id=current.id, number=number, digest=facts["digest"], rows=facts["rows"], added=counts["kept"],
                note=note, actor=work.cat.settings.actor, run_id=work.run_id, statistics=facts["statistics"],
            )
        )  # fmt: skip
        current.head, current.rows = number, facts["rows"]
        record_columns(session, current, made["columns"])
    current.licence = current.licence or work.licence
    session.add(current)
    add_counts(session, work.run_id, **_run_counts(counts))
    _quarantine(session, work)
    for at, item in enumerate(work.inputs):
        if item.status != "unchanged":
            _file(session, work, at, outcome, number or current.head)
            if number:
                session.add(_edge(work, at, outcome, f"{current.name}@v{number}"))
    checkpoints.clear(session, work.key)


def _run_counts(counts: Counter[str]) -> dict[str, int]:
    return {
        "in": counts["in"],
        "kept": counts["kept"],
        "skipped": counts["held"] + counts["retracted"],
        "quarantined": counts["quarantined"],
    }


def _quarantine(session: Session, work: Work) -> None:
    """List the rejects of this reading in place of those of earlier readings of the same files."""
    for item in work.inputs:
        if item.status == "unchanged":
            continue
        uri, first = item.source.uri, (item.start or {}).get("line", 0)
        mine = (Quarantine.file == uri) | Quarantine.file.startswith(uri + "/", autoescape=True)  # type: ignore[attr-defined]
        read = Quarantine.line.is_(None) | (Quarantine.line >= first)  # type: ignore[union-attr, operator]
        session.execute(delete(Quarantine).where(Quarantine.dataset_id == work.dataset.id, mine, read))  # type: ignore[arg-type]
    units = session.exec(select(Checkpoint.unit).where(Checkpoint.key == work.key).order_by(Checkpoint.unit)).all()
    for unit in units:
        held = session.exec(select(Checkpoint.payload).where(Checkpoint.key == work.key, Checkpoint.unit == unit)).one()
        rows = [{**reject, "dataset_id": work.dataset.id, "run_id": work.run_id} for reject in held["rejects"]]
        if rows:
            session.execute(insert(Quarantine), rows)


def _file(session: Session, work: Work, at: int, outcome: Outcome, version: int) -> None:
    """Remember the bytes that were read, so that they are not read twice."""
    item, counts = work.inputs[at], outcome.tally.files.get(str(at), {})
    rows = sum(counts.get(fate, 0) for fate in ("kept", "held", "retracted"))
    bad = counts.get("quarantined", 0)
    record = session.exec(
        select(SourceFile).where(SourceFile.dataset_id == work.dataset.id, SourceFile.uri == item.source.uri)
    ).first() or SourceFile(dataset_id=work.dataset.id, uri=item.source.uri, size=0, digest="")
    if item.status == "appended" and item.previous is not None:
        rows, bad = item.previous.rows + rows, item.previous.quarantined + bad
    record.size, record.digest, record.mapping = item.size, item.finger().digest, item.reading
    record.rows, record.quarantined, record.version, record.run_id = rows, bad, version, work.run_id
    session.add(record)


def _edge(work: Work, at: int, outcome: Outcome, target: str) -> Edge:
    item, counts = work.inputs[at], outcome.tally.files.get(str(at), {})
    mapping = {name: value for name, value in item.mapping.to_json().items() if name not in ("preview", "columns")}
    details = {"status": item.status, "digest": item.finger().digest, "bytes": item.size, "mapping": mapping}
    return Edge(
        run_id=work.run_id, verb="ingest", source=f"file:{item.source.uri}", target=target, counts=_run_counts(Counter(counts)),
        details=details,
    )  # fmt: skip
