"""Collect what no published head names, and merge small files. Both hold the lease; neither touches a row's identity."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlmodel import Session, select

from catalog.errors import Busy
from catalog.meta.models import Checkpoint, Dataset, Run
from catalog.store.publish import publish

if TYPE_CHECKING:
    from catalog.catalog import Catalog


def unfinished(cat: Catalog, dataset: Dataset) -> list[str]:
    """Keys of checkpoints that still wait for their command to be repeated."""
    with cat.session() as session:
        keys = session.exec(select(Checkpoint.key).where(Checkpoint.key.startswith(dataset.id)).distinct())  # type: ignore[attr-defined]
        return list(keys)


def compact(cat: Catalog, dataset: Dataset, rows_per_fragment: int = 1_048_576) -> dict[str, int]:
    """Merge small fragments and column files into whole ones. Row ids, versions and locks stay valid.

    Runs in flight find their rows again by id when they publish.
    """
    result = {"before": 0, "after": 0}

    def change(table: Any, current: Dataset) -> Any:
        result["before"] = len(table.get_fragments())
        table.optimize.compact_files(target_rows_per_fragment=rows_per_fragment)
        _refresh_indexes(table)
        result["after"] = len(table.get_fragments())
        return table

    publish(cat, dataset.id, change, lambda session, current: None)
    return result


def _refresh_indexes(table: Any) -> None:
    """Take rows that came after an index into it."""
    for held in table.describe_indices():
        try:
            table.optimize.optimize_indices(index_names=[held.name])
        except OSError as error:
            # Lance cannot add rows that all lack a vector; a search compares those without the index.
            if "ivf_" not in str(error):
                raise


def collect(cat: Catalog, dataset: Dataset, *, older_than_s: float = 3600.0, abandon: bool = False) -> dict[str, int]:
    """Remove old Lance versions and files that no version names. Returns {"bytes": freed, "versions": removed}.

    Files of unfinished runs are kept, unless `abandon` gives those runs up. Readers that opened an older head within
    `older_than_s` seconds can finish.
    """
    from catalog.runs import mark_crashed

    mark_crashed(cat)
    with cat.session() as session:
        active = session.exec(select(Run).where(Run.dataset == dataset.name, Run.status == "running")).first()
    if active is not None:
        raise Busy(f"run {active.id[:8]} ({active.verb}) is writing to {dataset.name}; collect when it has finished")
    pending = unfinished(cat, dataset)
    result = {"bytes": 0, "versions": 0}

    def change(table: Any, current: Dataset) -> Any:
        stats = table.cleanup_old_versions(
            older_than=timedelta(seconds=older_than_s),
            delete_unverified=abandon or not pending,
            error_if_tagged_old_versions=False,
        )
        result["bytes"], result["versions"] = stats.bytes_removed, stats.old_versions
        return table

    def record(session: Session, current: Dataset) -> None:
        if abandon:
            from catalog.store import checkpoints

            for key in pending:
                checkpoints.clear(session, key)

    publish(cat, dataset.id, change, record)
    return result


def collect_locks(cat: Catalog, *, older_than_s: float = 3600.0, abandon: bool = False) -> dict[str, int]:
    """Remove row sets that no published mix names: what a crash between writing them and the mix's row leaves."""
    import time

    from catalog.meta.models import Mix

    with cat.session() as session:
        named = " ".join(str(mix.lock) for mix in session.exec(select(Mix)))
    freed = {"bytes": 0, "files": 0}
    for path in cat.settings.locks.glob("*") if cat.settings.locks.exists() else ():
        old = abandon or time.time() - path.stat().st_mtime > older_than_s
        if old and path.is_file() and path.stem not in named:
            freed["bytes"] += path.stat().st_size
            freed["files"] += 1
            path.unlink()
    return freed if freed["files"] else {}


def collect_dropped(cat: Catalog, *, older_than_s: float = 3600.0, abandon: bool = False) -> dict[str, dict[str, int]]:
    """Free the tables of dropped datasets, and of ingests that ended before anything was published.

    Readers that opened one within `older_than_s` seconds before it was dropped can finish, unless `abandon`. What the
    metadata say of a freed dataset stays, so that lineage does not break. Returns {"name (dropped)": {"bytes": freed}}.
    """
    import shutil
    from datetime import UTC, datetime

    from catalog.store import checkpoints

    freed: dict[str, dict[str, int]] = {}
    with cat.session() as session:
        gone = session.exec(select(Dataset).where(Dataset.dropped.is_not(None), Dataset.uri != "")).all()  # type: ignore[union-attr]
        for dataset in gone:
            age = (datetime.now(UTC) - datetime.fromisoformat(str(dataset.dropped))).total_seconds()
            if age < older_than_s and not abandon:
                continue
            uri = cat.table_uri(dataset)
            size = _free_remote(uri, cat.settings.storage) if "://" in uri else _size(uri)
            if "://" not in uri:
                shutil.rmtree(uri, ignore_errors=True)
            for key in session.exec(select(Checkpoint.key).where(Checkpoint.key.startswith(dataset.id)).distinct()):  # type: ignore[attr-defined]
                checkpoints.clear(session, key)
            entry = freed.setdefault(f"{dataset.name} (dropped)", {"bytes": 0})
            entry["bytes"] += size
            dataset.uri = ""
            session.add(dataset)
        session.commit()
    return freed


def _size(folder: str) -> int:
    from pathlib import Path

    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())


def _free_remote(uri: str, storage: dict[str, str]) -> int:
    """Delete a table on an object store; bytes are not counted there, which would cost a listing."""
    import lance

    lance.LanceDataset.drop(uri, storage_options=storage or None, ignore_not_found=True)
    return 0
