"""Change which rows are live, and the names of things: rollback, tag, rename, drop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from sqlmodel import Session, select

from catalog.access import check
from catalog.digests import add, as_hex, row_digest
from catalog.errors import BadInput, NameTaken, Refused
from catalog.meta.models import ColumnRecord, Dataset, Edge, Mix, Name, Tag, Version, now
from catalog.refs import check_name
from catalog.runs import add_counts, run
from catalog.statistics import RowStatistics, column_statistics, keep_facts
from catalog.store import write_fragment
from catalog.store.publish import publish
from catalog.store.rows import append_fragments, mark_removed
from catalog.where import version_filter

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


def mixes_with(cat: Catalog, dataset_ids: set[str]) -> list[str]:
    """Mixes with a part of one of these datasets; by id, because a dataset may be renamed after a mix was locked."""
    with cat.session() as session:
        held = session.exec(select(Mix)).all()
    return [
        f"{mix.name}@v{mix.version}"
        for mix in held
        if dataset_ids & {part.get("dataset_id") for part in mix.lock.get("parts", [])}
    ]


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


def consent(cat: Catalog, name: str, given: bool) -> None:
    """Set or withdraw the owner's consent that text of a dataset leaves this machine; the audit says who did."""
    check(cat, "admin", f"consent of {name}" if given else f"withdrawn consent of {name}")
    dataset = cat.resolve(name).dataset
    with cat.session() as session:
        current = session.get_one(Dataset, dataset.id)
        current.consent_llm = given
        session.add(current)
        session.commit()


def drop(cat: Catalog, name: str) -> None:
    """Take a dataset out of the catalog. Refused while a mix, a tag or a child dataset points to it."""
    check(cat, "write", name)
    dataset = cat.resolve(name).dataset
    holders = [f"mix {m}" for m in mixes_with(cat, {dataset.id})]
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
