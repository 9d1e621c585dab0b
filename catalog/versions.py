"""Change which rows are live, and the names of things: rollback, tag, rename, drop, retract."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from sqlmodel import Session, select

from catalog.access import check
from catalog.digests import add, as_hex, row_digest
from catalog.errors import BadInput, NameTaken, NotFound, Refused
from catalog.meta.models import ColumnRecord, Dataset, Edge, Mix, Name, Tag, Version, now
from catalog.refs import check_name
from catalog.runs import add_counts, run
from catalog.statistics import RowStatistics, column_statistics, keep_facts
from catalog.store import write_fragment
from catalog.store.publish import publish
from catalog.store.rows import append_fragments, mark_removed
from catalog.where import version_filter, where_filter

if TYPE_CHECKING:
    from catalog.catalog import Catalog


def version_facts(table: Any) -> dict[str, Any]:
    """Digest, rows and statistics of the live rows of a table that is about to become the head."""
    digest, statistics = 0, RowStatistics()
    columns = ["sample_id", "content_id", "text", "source", "licence", "file", "chars"]
    for batch in table.scanner(columns=columns, filter="removed IS NULL", batch_size=16384).to_batches():
        digest = add(digest, row_digest(batch.column("sample_id"), batch.column("content_id")))
        statistics.add(batch)
    return {"digest": as_hex(digest), "rows": statistics.rows, "statistics": statistics.to_json()}


def measure_columns(cat: Catalog, dataset: Dataset, table: Any) -> dict[str, dict[str, Any]]:
    """Statistics of every computed column over the live rows of `table`."""
    with cat.session() as session:
        held = session.exec(select(ColumnRecord).where(ColumnRecord.dataset_id == dataset.id)).all()
    return column_statistics(table, {c.physical: c.state for c in held if c.physical in table.schema.names})


def record_columns(session: Session, dataset: Dataset, measured: dict[str, dict[str, Any]]) -> None:
    """Store fresh coverage and statistics of columns, after rows came or went."""
    for column in session.exec(select(ColumnRecord).where(ColumnRecord.dataset_id == dataset.id)):
        if (facts := measured.get(column.physical)) is not None:
            keep_facts(column, facts)
            session.add(column)


def rollback(cat: Catalog, name: str, to: int) -> Version:
    """Publish a new version with the rows of version `to`. Nothing is lost: the versions between stay readable.

    Rows added since are removed; rows removed since come back as copies that keep ids and computed columns.
    """
    check(cat, "write", name)
    found = cat.resolve(f"{name}@v{to}")
    dataset = cat.resolve(name).dataset
    if to == dataset.head:
        raise BadInput(f"{name} is at v{to} already")
    number, made = dataset.head + 1, []
    with run(cat, "rollback", f"rollback:{dataset.id}:{number}", dataset=name, to=to) as record:

        def change(table: Any, current: Dataset) -> Any:
            if current.head + 1 != number:
                raise Refused(f"{name} got a new version meanwhile; look at it, then roll back again", missing=["head"])
            surplus = table.to_table(columns=[], filter=f"added > {to} AND removed IS NULL", with_row_id=True)
            lost = f"({version_filter(dataset, to)}) AND removed IS NOT NULL AND removed > 0"
            fields = pa.schema([f for f in table.schema if f.name != "removed"])
            count = table.count_rows(lost)
            written = (
                write_fragment(
                    cat.table_uri(current), cat.settings.storage, fields, _copies(table, lost, fields, number)
                )
                if count
                else {}
            )
            done = append_fragments(cat, table, [written] if written else [])
            done, gone = mark_removed(cat, done, surplus.column("_rowid").to_numpy(), number)
            made.append((version_facts(done), measure_columns(cat, current, done), count, gone))
            return done

        def publish_version(session: Session, current: Dataset) -> None:
            facts, measured, back, gone = made[0]
            version = Version(
                dataset_id=current.id, number=number, digest=facts["digest"], rows=facts["rows"], added=back, removed=gone,
                note=f"rollback to v{to}", actor=cat.settings.actor, run_id=record.id, statistics=facts["statistics"],
            )  # fmt: skip
            session.add(version)
            current.head, current.rows, current.removed = number, facts["rows"], current.removed + gone
            session.add(current)
            record_columns(session, current, measured)
            add_counts(session, record.id, added=back, removed=gone)
            session.add(Edge(run_id=record.id, verb="rollback", source=found.ref, target=f"{name}@v{number}"))

        publish(cat, dataset.id, change, publish_version)
    version = cat.resolve(name).version
    assert version is not None
    return version


def _copies(table: Any, where: str, fields: pa.Schema, number: int):
    at = fields.get_field_index("added")
    for batch in table.scanner(columns=fields.names, filter=where).to_batches():
        yield batch.set_column(at, fields.field(at), pa.array(np.full(batch.num_rows, number), pa.int32()))


def retract(
    cat: Catalog,
    *,
    reason: str,
    where: str | None = None,
    ids: Sequence[str] | None = None,
    datasets: Sequence[str] | None = None,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Take samples out of every version of every dataset that holds them; locks skip them and shift nothing.

    where: a filter, tried on each dataset that has the columns it names (or on `datasets`); ids: sample ids. Copies that
    kept their sample id in other tiers are found too. Returns the blast radius: rows by dataset, mixes concerned, and
    the datasets that were not asked because they lack a column of the filter.
    """
    if not reason.strip():
        raise BadInput("a retraction needs a reason: --reason 'takedown request of ...'")
    if bool(where) == bool(ids):
        raise BadInput("say what to retract: either --where SQL or --ids FILE")
    check(cat, "read" if dry_run else "write", "retract")
    held = [d for d in cat.datasets() if not datasets or d.name in datasets]
    if datasets and (unknown := set(datasets) - {d.name for d in held}):
        raise NotFound("dataset", sorted(unknown)[0], [d.name for d in cat.datasets()])
    wanted, without = set(ids or ()), []
    for dataset in held if where else ():
        try:
            wanted |= _matching(cat, dataset, str(where))
        except NotFound:
            if datasets or len(without) + 1 == len(held):
                raise
            without.append(dataset.name)
    hits = {d.name: rows for d in cat.datasets() if len(rows := _rows_of(cat, d, wanted))}
    mixes = _mixes_with(cat, {d.id for d in cat.datasets() if d.name in hits})
    receipt = {
        "reason": reason,
        "samples": len(wanted),
        "rows": {n: len(r) for n, r in hits.items()},
        "mixes": mixes,
        "without_the_columns": without,
        "dry_run": dry_run,
    }
    if dry_run or not hits:
        return receipt
    with run(cat, "retract", f"retract:{now()}", where=where, reason=reason, samples=len(wanted)) as record:
        for name, rows in hits.items():
            _retract_rows(cat, name, rows, reason, record.id)
        receipt["run"] = record.id
    return receipt


def _matching(cat: Catalog, dataset: Dataset, where: str) -> set[str]:
    """Sample ids of the rows in any version for which a filter holds."""
    translated = where_filter(cat, cat.resolve(dataset.name), where)
    found = cat.lance(dataset.name).to_table(
        columns=["sample_id"], filter=f"({translated}) AND (removed IS NULL OR removed > 0)"
    )
    return set(found.column("sample_id").to_pylist())


def _rows_of(cat: Catalog, dataset: Dataset, wanted: set[str]) -> np.ndarray:
    if not wanted:
        return np.empty(0, np.uint64)
    ids = pa.array(sorted(wanted), pa.string())
    import pyarrow.compute as pc

    found = []
    scanner = cat.lance(dataset.name).scanner(
        columns=["sample_id"], filter="removed IS NULL OR removed > 0", with_row_id=True
    )
    for batch in scanner.to_batches():
        hit = batch.filter(pc.is_in(batch.column("sample_id"), value_set=ids))
        found.append(hit.column("_rowid").to_numpy())
    return np.concatenate(found) if found else np.empty(0, np.uint64)


def _mixes_with(cat: Catalog, dataset_ids: set[str]) -> list[str]:
    """Mixes with a part of one of these datasets; by id, because a dataset may be renamed after a mix was locked."""
    with cat.session() as session:
        held = session.exec(select(Mix)).all()
    return [
        f"{mix.name}@v{mix.version}"
        for mix in held
        if dataset_ids & {part.get("dataset_id") for part in mix.lock.get("parts", [])}
    ]


def _retract_rows(cat: Catalog, name: str, rows: np.ndarray, reason: str, run_id: str) -> None:
    dataset, made = cat.resolve(name).dataset, []

    def change(table: Any, current: Dataset) -> Any:
        done, count = mark_removed(cat, table, rows, 0, retract=True)
        with cat.session() as session:
            numbers = session.exec(select(Version.number).where(Version.dataset_id == current.id)).all()
        after = current.model_copy(update={"removed": current.removed + count})
        sizes = {n: done.count_rows(version_filter(after, n)) for n in numbers}
        made.append((count, version_facts(done), measure_columns(cat, current, done), sizes))
        return done

    def record(session: Session, current: Dataset) -> None:
        count, facts, measured, sizes = made[0]
        for version in session.exec(select(Version).where(Version.dataset_id == current.id)):
            version.retracted += version.rows - sizes[version.number]
            version.rows = sizes[version.number]
            if version.number == current.head:
                version.statistics = facts["statistics"]
            session.add(version)
        current.rows, current.removed = facts["rows"], current.removed + count
        session.add(current)
        record_columns(session, current, measured)
        add_counts(session, run_id, retracted=count)
        session.add(
            Edge(
                run_id=run_id,
                verb="retract",
                source=name,
                target=f"{name}@v{current.head}",
                counts={"retracted": count},
                details={"reason": reason},
            )
        )

    publish(cat, dataset.id, change, record)


def tag(cat: Catalog, ref: str, label: str) -> Tag:
    """Name a version; a tag may be moved by setting it again."""
    check(cat, "write", ref)
    found = cat.resolve(ref)
    if label.startswith("v") and label[1:].isdigit():
        raise BadInput(f"a tag cannot look like a version: {label!r}")
    check_name(label)
    with cat.session() as session:
        made = session.merge(
            Tag(dataset_id=found.dataset.id, name=label, version=found.number, actor=cat.settings.actor)
        )
        session.commit()
        return made


def rename(cat: Catalog, old: str, new: str) -> None:
    """Rename a dataset; ids, versions and locks refer to the dataset itself and stay valid."""
    check(cat, "write", old)
    dataset = cat.resolve(old).dataset
    check_name(new)
    with cat.session() as session:
        if held := session.get(Name, new):
            raise NameTaken(f"the name {new!r} is taken by a {held.noun}; choose another")
        current = session.get(Dataset, dataset.id)
        assert current is not None
        current.name = new
        session.delete(session.get(Name, old))
        session.add(Name(name=new, noun="dataset"))
        session.add(current)
        session.commit()


def drop(cat: Catalog, name: str) -> None:
    """Take a dataset out of the catalog. Refused while a mix, a tag or a child dataset points to it."""
    check(cat, "write", name)
    dataset = cat.resolve(name).dataset
    holders = [f"mix {m}" for m in _mixes_with(cat, {dataset.id})]
    holders += [f"dataset {d.name}" for d in cat.datasets() if (d.parent or "").split("@")[0] == name]
    with cat.session() as session:
        holders += [f"tag {t.name}" for t in session.exec(select(Tag).where(Tag.dataset_id == dataset.id))]
        if holders:
            raise Refused(f"{name} cannot be dropped: {', '.join(holders)} point to it", missing=holders)
        current = session.get(Dataset, dataset.id)
        assert current is not None
        current.dropped = now()
        session.delete(session.get(Name, name))
        session.add(current)
        session.commit()
