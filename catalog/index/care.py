"""Is the standing index whole, and what of it is nobody's: for `strata doctor` and `strata gc`.

The index holds nothing that the tables do not: what is lost or broken is built again, so nothing here is an error.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from catalog.errors import Corrupt
from catalog.index.segments import Segment, load
from catalog.index.standing import folder, listed, live_rows, read
from catalog.meta.models import Dataset, StandingSegment

if TYPE_CHECKING:
    from catalog.catalog import Catalog

AGAIN = "`strata trace --overlap dataset` builds it again"


def index_findings(cat: Catalog, *, deep: bool = False) -> Iterator[tuple[str, str, str]]:
    """(level, object, message) about segments that are gone, broken, behind the catalog or nobody's."""
    datasets = {dataset.id: dataset for dataset in cat.datasets()}
    held: dict[str, list[StandingSegment]] = {}
    for record in listed(cat):
        held.setdefault(record.dataset_id, []).append(record)
    for dataset_id, records in held.items():
        dataset = datasets.get(dataset_id)
        if dataset is None:
            yield "note", "standing index", f"{len(records)} segments of a dropped dataset; `strata gc` frees them"
            continue
        at = f"standing index of {dataset.name}"
        broken = 0
        for record in records:
            if (problem := _problem(cat, dataset, record, deep)) is not None:
                broken += 1
                yield *problem[:1], at, problem[1]
        last, rows = max(record.last for record in records), sum(record.rows for record in records)
        if dataset.head > last:
            yield "note", at, f"v{last} of v{dataset.head} is indexed; the next check of new data brings it up to date"
        elif rows != dataset.rows and not broken:
            yield "note", at, f"{rows:,} rows are indexed, {dataset.rows:,} are live; {AGAIN}"
    if lost := _unnamed(cat):
        yield "note", "standing index", f"{len(lost)} folders that no segment names; `strata gc` frees them"


def collect_index(cat: Catalog, *, older_than_s: float = 3600.0, abandon: bool = False) -> dict[str, int]:
    """Free segments of dropped datasets, broken ones, and folders that a crash left; what is live is built again."""
    from catalog.index.standing import _replace

    known = {dataset.id: dataset for dataset in cat.datasets()}
    freed = {"bytes": 0, "segments": 0}
    for record in listed(cat):
        dataset = known.get(record.dataset_id)
        if dataset is None or _broken(folder(cat) / record.file, record):
            freed["bytes"] += _size(folder(cat) / record.file)
            freed["segments"] += 1
            _replace(cat, [record], [])
    for path in _unnamed(cat):
        if abandon or time.time() - path.stat().st_mtime > older_than_s:
            freed["bytes"] += _size(path)
            freed["segments"] += 1
            shutil.rmtree(path, ignore_errors=True)
    return freed if freed["segments"] else {}


def _problem(cat: Catalog, dataset: Dataset, record: StandingSegment, deep: bool) -> tuple[str, str] | None:
    path = folder(cat) / record.file
    if not path.exists():
        return "note", f"a segment of {record.rows:,} rows is not on this machine; {AGAIN}"
    if (why := _broken(path, record)) is not None:
        return "warning", f"a segment is broken ({why}); `strata gc` removes it, then {AGAIN}"
    if deep:
        segment = load(path)
        assert segment is not None
        if (why := _differs(cat, dataset, record, segment)) is not None:
            return "warning", f"a segment differs from the table ({why}); remove {path}, then {AGAIN}"
    return None


def _broken(path: Path, record: StandingSegment) -> str | None:
    """Why a folder that is there cannot be the segment of its record."""
    if not path.exists():
        return None
    try:
        segment = load(path)
    except Corrupt as error:
        return error.message
    if segment is None:
        return "incomplete"
    if segment.rows.size != record.rows:
        return f"{segment.rows.size:,} rows, {record.rows:,} recorded"
    return None


def _differs(cat: Catalog, dataset: Dataset, record: StandingSegment, segment: Segment) -> str | None:
    """Hash the rows again and compare; rows that were removed since are left out of the comparison."""
    fresh, live = read(cat, dataset, record.first, record.last), live_rows(cat, dataset)
    at = np.isin(segment.rows, live)
    if not np.array_equal(np.sort(segment.rows[at]), np.sort(fresh.rows)):
        return "other rows"
    for name in ("content", "keys"):
        mine, theirs = np.asarray(getattr(segment, name)), getattr(fresh, name)
        if at.all() and not np.array_equal(mine, theirs):
            return f"other {name}"
    return None


def _unnamed(cat: Catalog) -> list[Path]:
    root = folder(cat)
    named = {record.file for record in listed(cat)}
    return [path for path in root.iterdir() if path.name not in named] if root.exists() else []


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) if path.exists() else 0
