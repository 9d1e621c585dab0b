"""Keep the standing index equal to the catalog: add what versions added, take out what was removed.

`refresh` compares metadata with metadata and returns at once when nothing changed; it adds a segment for new versions,
filters segments when rows were removed or retracted, and merges segments when there are many. Rows are hashed once. The
row of `StandingSegment` is the commit; of two processes that add the same range the first one wins. What a keeper is
(`catalog/index/keepers.py`) is never stored but follows from who holds the content now, so no race can make two.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from catalog.digests import id_words
from catalog.errors import Missing
from catalog.index.segments import Segment, build, load, merged, save
from catalog.meta.models import Dataset, StandingSegment, new_id
from catalog.plugins import plugins

if TYPE_CHECKING:
    from catalog.catalog import Catalog

MANY = 8
"""Segments of one dataset before they become one."""
BATCH = 8192


def sketch() -> Any:
    """The method of the near-duplicate keys."""
    held = plugins("sketch")
    if "minhash" not in held:
        raise Missing("the standing index needs the compute room: pip install 'strata-catalog[flows]'")
    return held["minhash"]


def folder(cat: Catalog) -> Path:
    return cat.settings.home / "standing"


def refresh(cat: Catalog) -> dict[str, dict[str, int]]:
    """Bring the index up to date; by dataset, the rows added and taken out."""
    method = sketch()
    label = f"{method.name}:{method.version}"
    done = {}
    datasets = cat.datasets()
    for dataset in datasets:
        changed = _refresh_one(cat, dataset, label)
        if any(changed.values()):
            done[dataset.name] = changed
    _forget_others(cat, {dataset.id for dataset in datasets}, label)
    return done


def listed(cat: Catalog, dataset_id: str | None = None) -> list[StandingSegment]:
    """The segments there are, of one dataset or of all, oldest first."""
    with cat.session() as session:
        query = select(StandingSegment).order_by(StandingSegment.dataset_id, StandingSegment.first)  # type: ignore[arg-type]
        if dataset_id:
            query = query.where(StandingSegment.dataset_id == dataset_id)
        return list(session.exec(query))


def opened(cat: Catalog) -> list[tuple[Dataset, Segment]]:
    """Every dataset with its segments, after a refresh."""
    refresh(cat)
    datasets = {dataset.id: dataset for dataset in cat.datasets()}
    found = []
    for record in listed(cat):
        if record.dataset_id in datasets:
            dataset = datasets[record.dataset_id]
            found.append((dataset, load(folder(cat) / record.file) or _again(cat, dataset, record)))
    return found


def _refresh_one(cat: Catalog, dataset: Dataset, label: str) -> dict[str, int]:
    held = listed(cat, dataset.id)
    if any(record.sketch != label for record in held):
        _replace(cat, held, [])
        held = []
    last = max((record.last for record in held), default=0)
    added = removed = 0
    if dataset.head > last:
        added = _add(cat, dataset, label, last + 1)
        held = listed(cat, dataset.id)
    total = sum(record.rows for record in held)
    if total != dataset.rows and held:
        live = live_rows(cat, dataset)
        whole = merged([_segment(cat, dataset, record) for record in held], live)
        if whole.rows.size == live.size:
            removed = total - whole.rows.size
            _store(cat, dataset, whole, held, held[0].first, max(record.last for record in held), label)
        else:  # rows of old versions came back: read the table again
            _replace(cat, held, [])
            return {"added": _add(cat, dataset, label, 1), "removed": total}
    elif len(held) > MANY:
        whole = merged([_segment(cat, dataset, record) for record in held])
        _store(cat, dataset, whole, held, held[0].first, held[-1].last, label)
    return {"added": added, "removed": removed}


def forget(cat: Catalog, names: Iterable[str]) -> None:
    """Take removed rows of datasets out now, where they are indexed; nothing is hashed, nothing new is added."""
    for name in names:
        dataset = cat.resolve(name).dataset
        held = listed(cat, dataset.id)
        if held:
            whole = merged([_segment(cat, dataset, record) for record in held], live_rows(cat, dataset))
            _store(cat, dataset, whole, held, held[0].first, max(record.last for record in held), held[0].sketch)


def live_rows(cat: Catalog, dataset: Dataset) -> np.ndarray:
    """Row ids of the newest version's rows."""
    scanner = cat.lance(dataset.name, dataset.lance_version).scanner(
        columns=[], filter="removed IS NULL", with_row_id=True
    )
    parts = [batch.column("_rowid").to_numpy() for batch in scanner.to_batches()]
    return np.concatenate(parts) if parts else np.empty(0, np.uint64)


def _add(cat: Catalog, dataset: Dataset, label: str, first: int) -> int:
    segment = read(cat, dataset, first, dataset.head)
    _store(cat, dataset, segment, [], first, dataset.head, label)
    return int(segment.rows.size)


def read(cat: Catalog, dataset: Dataset, first: int, last: int) -> Segment:
    """Hash the live rows that a range of versions added."""
    where = f"removed IS NULL AND added >= {first} AND added <= {last}"
    table = cat.lance(dataset.name, dataset.lance_version)
    scanner = table.scanner(
        columns=["content_id", "text", "source"], filter=where, with_row_id=True, batch_size=BATCH, scan_in_order=True
    )
    method, names = sketch(), {}
    empty = np.empty((0, 2), np.uint64)
    rows, codes, content = [np.empty(0, np.uint64)], [np.empty(0, np.uint32)], [empty]
    keys, held = [np.empty((0, method.bands), np.uint64)], [np.empty(0, bool)]
    for batch in scanner.to_batches():
        rows.append(batch.column("_rowid").to_numpy())
        sources = batch.column("source").cast(pa.string()).fill_null(dataset.name).to_pylist()
        codes.append(np.fromiter((names.setdefault(name, len(names)) for name in sources), np.uint32, len(sources)))
        content.append(id_words(batch.column("content_id")))
        made, has = method.keys(batch.column("text").to_pylist())
        keys.append(made)
        held.append(has)
    joined = [np.concatenate(parts) for parts in (rows, codes, content, keys, held)]
    return build(joined[0], joined[1], list(names), joined[2], joined[3], joined[4])


def _segment(cat: Catalog, dataset: Dataset, record: StandingSegment) -> Segment:
    return load(folder(cat) / record.file) or _again(cat, dataset, record)


def _again(cat: Catalog, dataset: Dataset, record: StandingSegment) -> Segment:
    """A segment whose folder is gone, from the table."""
    segment = read(cat, dataset, record.first, record.last)
    save(segment, folder(cat) / record.file)
    return segment


def _store(
    cat: Catalog, dataset: Dataset, segment: Segment, old: list[StandingSegment], first: int, last: int, label: str
) -> None:
    key = new_id()
    record = StandingSegment(
        id=key, dataset_id=dataset.id, sketch=label, first=first, last=last, lance_version=dataset.lance_version,
        rows=int(segment.rows.size), bytes=segment.bytes, file=key,
    )  # fmt: skip
    save(segment, folder(cat) / key)
    if not _replace(cat, old, [record]):
        shutil.rmtree(folder(cat) / key, ignore_errors=True)


def _replace(cat: Catalog, old: list[StandingSegment], new: list[StandingSegment]) -> bool:
    """Swap segments in one transaction; False when another process was first."""
    with cat.session() as session:
        gone = session.execute(delete(StandingSegment).where(StandingSegment.id.in_([r.id for r in old])))  # type: ignore[attr-defined]
        if gone.rowcount != len(old):  # type: ignore[attr-defined]
            session.rollback()
            return False
        session.add_all(new)
        try:
            session.commit()
        except IntegrityError:
            session.rollback()
            return False
    for record in old:
        shutil.rmtree(folder(cat) / record.file, ignore_errors=True)
    return True


def _forget_others(cat: Catalog, known: set[str], label: str) -> None:
    """Take out the segments of datasets that were dropped."""
    gone = [record for record in listed(cat) if record.dataset_id not in known]
    if gone:
        _replace(cat, gone, [])
