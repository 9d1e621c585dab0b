"""Prove that the catalog is whole: metadata and tables agree, nothing half-visible, nothing orphaned unseen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlmodel import select

from catalog.errors import StrataError
from catalog.meta.models import ColumnRecord, Dataset, FittedState, Quarantine, Run, SourceFile, Version
from catalog.runs import mark_crashed

if TYPE_CHECKING:
    from catalog.catalog import Catalog

MANIFEST_LIMIT = 50 * 2**20


@dataclass(frozen=True)
class Finding:
    """level: "error" (data are wrong or unreadable), "warning" (act soon), "note" (harmless, said for honesty)."""

    level: str
    object: str
    message: str


def doctor(cat: Catalog, *, deep: bool = False) -> list[Finding]:
    """Check every dataset. deep: read all rows and columns and compare digests, not only counts and files."""
    findings = [
        Finding("note", f"run {run_id[:8]}", "its process is gone; repeat its command to resume")
        for run_id in mark_crashed(cat)
    ]
    for dataset in cat.datasets(unpublished=True):
        try:
            findings += _table(cat, dataset, deep) if dataset.head else _unpublished(cat, dataset)
        except (StrataError, OSError, ValueError) as error:
            findings.append(Finding("error", dataset.name, str(error).splitlines()[0][:300]))
    from catalog.index.care import index_findings

    standing = [Finding(*found) for found in index_findings(cat, deep=deep)]
    return findings + standing + _mixes(cat) + _leak_checks(cat)


def _unpublished(cat: Catalog, dataset: Dataset) -> list[Finding]:
    return [Finding("note", dataset.name, "created but never published; repeat its command or `strata drop` it")]


def _table(cat: Catalog, dataset: Dataset, deep: bool) -> list[Finding]:
    from catalog.store.gc import unfinished
    from catalog.where import version_filter

    found: list[Finding] = []
    table = cat.lance(dataset.name)
    table.validate()
    if table.latest_version != dataset.lance_version:
        orphans = table.latest_version - dataset.lance_version
        found.append(
            Finding(
                "note",
                dataset.name,
                f"{orphans} unpublished table versions of a crashed writer; the next writer undoes them",
            )
        )
    for key in unfinished(cat, dataset):
        found.append(
            Finding(
                "note",
                dataset.name,
                f"unfinished {key.split(':')[1]} with finished units; repeat its command to resume",
            )
        )
    with cat.session() as session:
        versions = session.exec(select(Version).where(Version.dataset_id == dataset.id)).all()
        columns = session.exec(select(ColumnRecord).where(ColumnRecord.dataset_id == dataset.id)).all()
        found += _accounting(session, dataset)
    if {v.number for v in versions} != set(range(1, dataset.head + 1)):
        found.append(Finding("error", dataset.name, f"versions 1 to {dataset.head} are not all recorded"))
    for version in versions:
        where = version_filter(dataset, version.number)
        rows = table.count_rows(where) if where else table.count_rows()
        if rows != version.rows:
            found.append(
                Finding(
                    "error", f"{dataset.name}@v{version.number}", f"{rows} rows in the table, {version.rows} recorded"
                )
            )
    if table.count_rows("removed IS NOT NULL") != dataset.removed:
        found.append(Finding("error", dataset.name, "the count of removed rows differs from the table"))
    found += _columns(cat, dataset, table, columns, deep)
    size = sum(len(f.metadata.files) for f in table.get_fragments()) * 150
    if size > MANIFEST_LIMIT:
        found.append(
            Finding(
                "warning",
                dataset.name,
                f"its manifest is about {size >> 20} MB; run `strata gc --compact {dataset.name}`",
            )
        )
    if deep:
        found += _digests(cat, dataset, table, versions)
    return found


def _accounting(session, dataset: Dataset) -> list[Finding]:
    """Rows in = kept + quarantined, for every ingest of this dataset."""
    found = []
    for run in session.exec(select(Run).where(Run.dataset == dataset.name, Run.verb == "ingest", Run.status == "done")):
        c = run.counts
        if c.get("in", 0) != sum(c.get(name, 0) for name in ("kept", "quarantined", "skipped")):
            found.append(Finding("error", f"run {run.id[:8]}", f"rows do not add up: {c}"))
    quarantined = len(session.exec(select(Quarantine.id).where(Quarantine.dataset_id == dataset.id)).all())
    stated = sum(session.exec(select(SourceFile.quarantined).where(SourceFile.dataset_id == dataset.id)).all())
    if stated > quarantined:
        found.append(Finding("error", dataset.name, f"{stated} rows were quarantined, {quarantined} are listed"))
    return found


def _columns(cat: Catalog, dataset: Dataset, table, columns, deep: bool) -> list[Finding]:
    from catalog.statistics import column_statistics

    found = []
    held = set(table.schema.names)
    named = {name for c in columns for name in (c.physical, c.state)}
    for column in columns:
        if column.physical not in held or column.state not in held:
            found.append(Finding("error", f"{dataset.name}.{column.alias}", "recorded, but not in the table"))
        if column.scope == "fitted":
            with cat.session() as session:
                if session.get(FittedState, column.fingerprint) is None:
                    found.append(
                        Finding(
                            "error", f"{dataset.name}.{column.alias}", "its fitted state is gone; score it with --refit"
                        )
                    )
    for name in sorted(held - named):
        if "__" in name:
            found.append(
                Finding("error", dataset.name, f"column {name} is in the published table but recorded nowhere")
            )
    if deep:
        fresh = column_statistics(table, {c.physical: c.state for c in columns if c.physical in held})
        for column in columns:
            if column.physical in fresh and fresh[column.physical]["digest"] != column.digest:
                found.append(
                    Finding("error", f"{dataset.name}.{column.alias}", "its values differ from the recorded digest")
                )
    return found


def _digests(cat: Catalog, dataset: Dataset, table, versions) -> list[Finding]:
    from catalog.digests import add, as_hex, row_digest
    from catalog.where import version_filter

    found = []
    for version in versions:
        if version.retracted:
            continue
        digest = 0
        where = version_filter(dataset, version.number)
        for batch in table.scanner(columns=["sample_id", "content_id"], filter=where).to_batches():
            digest = add(digest, row_digest(batch.column("sample_id"), batch.column("content_id")))
        if as_hex(digest) != version.digest:
            found.append(
                Finding("error", f"{dataset.name}@v{version.number}", "its rows differ from the recorded digest")
            )
    duplicates = _repeated_ids(table)
    if duplicates:
        found.append(Finding("error", dataset.name, f"{duplicates} sample ids are live twice"))
    return found


def _repeated_ids(table) -> int:
    ids = table.to_table(columns=["sample_id"], filter="removed IS NULL").column("sample_id")
    import pyarrow.compute as pc

    return len(ids) - pc.count_distinct(ids).as_py() if len(ids) else 0


def _mixes(cat: Catalog) -> list[Finding]:
    from catalog.meta.models import Mix

    found = []
    with cat.session() as session:
        mixes = session.exec(select(Mix)).all()
    for mix in mixes:
        try:
            from catalog.pull.reader import open_mix

            open_mix(cat, f"{mix.name}@v{mix.version}")
        except StrataError as error:
            found.append(Finding("error", f"mix {mix.name}@v{mix.version}", str(error)))
    return found


def _leak_checks(cat: Catalog) -> list[Finding]:
    """Verdicts that an eval made stale since: the check of these datasets waits."""
    from catalog.evals import stale

    return [
        Finding(
            "note" if row["object"].startswith("mix:") else "warning",
            row["object"].replace("mix:", "mix "),
            f"its leak verdict does not cover {row['against']}; "
            + (row["remedy"] if row["object"].startswith("mix:") else "`strata evals check` runs the check that waits"),
        )
        for row in stale(cat)
    ]
