"""The tables behind a lock: opened once a dataset, checked against the lock, with their retracted rows known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from sqlmodel import select

from catalog.access import check
from catalog.errors import Corrupt, NotFound
from catalog.meta.models import ColumnRecord, Dataset, Version
from catalog.schema import plain_type, table_schema

if TYPE_CHECKING:
    import lance

    from catalog.catalog import Catalog

NEAR = 16 << 10
"""Bytes between rows of a table on disk up to which one read fetches both: copying the gap costs less than a read."""

KEPT_BY_STORE = ("added", "removed", "chars", "file", "line", "offset")


@dataclass(frozen=True)
class Sources:
    """Datasets of a lock; of_part maps a part number to its dataset. retracted: sorted row ids a dataset."""

    names: list[str]
    tables: list[lance.LanceDataset]
    fields: list[dict[str, tuple[str, pa.DataType]]]  # output name -> column and type
    own: list[list[str]]
    retracted: list[np.ndarray]
    of_part: np.ndarray

    def schema(self, wanted: Sequence[str] | None = None) -> pa.Schema:
        """Fields to serve. A sample field that some datasets lack is null there; a computed column all must have."""
        if wanted is None:
            wanted = list(dict.fromkeys(name for own in self.own for name in own if name not in KEPT_BY_STORE))
        sample_fields = {name for own in self.own for name in own}
        out = []
        for name in dict.fromkeys(wanted):
            holders = [fields[name] for fields in self.fields if name in fields]
            lacking = [self.names[at] for at, fields in enumerate(self.fields) if name not in fields]
            if not holders or (lacking and name not in sample_fields):
                known = set.intersection(*(set(fields) for fields in self.fields)) | sample_fields
                where = "the mix" if not holders else lacking[0]
                raise NotFound(f"column of {where}", name, known, "score it, or leave it out")
            out.append(pa.field(name, holders[0][1]))
        return pa.schema(out)

    def columns(self, names: Sequence[str]) -> list[dict[str, str]]:
        """Per dataset: output name -> physical column, for the names it has."""
        return [{name: fields[name][0] for name in names if name in fields} or _any_column() for fields in self.fields]

    def live(self, source: np.ndarray, row_ids: np.ndarray) -> np.ndarray:
        """False for rows that were retracted from every version."""
        out = np.ones(len(row_ids), bool)
        for number, gone in enumerate(self.retracted):
            if len(gone):
                near = gone[np.minimum(np.searchsorted(gone, row_ids), len(gone) - 1)]
                out &= (source != number) | (near != row_ids)
        return out


def _any_column() -> dict[str, str]:
    """Lance takes at least one column, also where a dataset has none of those asked for."""
    return {"": "added"}


def open_sources(cat: Catalog, lock: dict[str, Any], ref: str) -> Sources:
    """Open each dataset of the lock at its published head and compare it with what the lock pins."""
    from catalog.store import open_table

    facts = _facts(cat, [part["dataset_id"] for part in lock["parts"]])
    datasets: dict[str, Dataset] = {}
    for part in lock["parts"]:
        if part["dataset_id"] not in datasets:
            datasets[part["dataset_id"]] = _dataset(cat, facts, part, ref)
        _check_version(facts, part, ref)
    tables = []
    for held in datasets.values():
        uri = cat.table_uri(held)
        near = None if "://" in uri else NEAR
        tables.append(open_table(uri, held.lance_version, cat.settings.storage, near=near))
    own = [list(table_schema(held.kind, held.tier).names) for held in datasets.values()]
    order = {identity: at for at, identity in enumerate(datasets)}
    return Sources(
        names=[held.name for held in datasets.values()],
        tables=tables,
        fields=[_fields(facts, held, table) for held, table in zip(datasets.values(), tables, strict=True)],
        own=own,
        retracted=[_retracted(held, table) for held, table in zip(datasets.values(), tables, strict=True)],
        of_part=np.array([order[part["dataset_id"]] for part in lock["parts"]], np.int64),
    )


@dataclass(frozen=True)
class _Facts:
    """What the metadata hold of the datasets of a lock, in three queries however many parts there are."""

    datasets: dict[str, Dataset]
    digests: dict[tuple[str, int], str]
    columns: dict[str, list[tuple[str, str]]]


def _facts(cat: Catalog, ids: list[str]) -> _Facts:
    wanted = sorted(set(ids))
    with cat.session() as session:
        datasets = {held.id: held for held in session.exec(select(Dataset).where(_among(Dataset.id, wanted)))}
        versions = session.exec(
            select(Version.dataset_id, Version.number, Version.digest).where(_among(Version.dataset_id, wanted))
        )
        digests = {(dataset, number): digest for dataset, number, digest in versions}
        columns: dict[str, list[tuple[str, str]]] = {identity: [] for identity in wanted}
        for dataset, alias, physical in session.exec(
            select(ColumnRecord.dataset_id, ColumnRecord.alias, ColumnRecord.physical)
            .where(_among(ColumnRecord.dataset_id, wanted))
            .order_by(ColumnRecord.alias)
        ):
            columns[dataset].append((alias, physical))
    return _Facts(datasets, digests, columns)


def _among(column: Any, values: list[str]) -> Any:
    return column.in_(values)


def _dataset(cat: Catalog, facts: _Facts, part: dict[str, Any], ref: str) -> Dataset:
    held = facts.datasets.get(part["dataset_id"])
    if held is None or held.dropped:
        raise Corrupt(
            f"mix {ref} reads dataset {part['dataset']} ({part['dataset_id'][:8]}), which this catalog "
            f"{'dropped' if held else 'does not have'}; restore it or publish the mix again"
        )
    check(cat, "read", held.name)
    return held


def _check_version(facts: _Facts, part: dict[str, Any], ref: str) -> None:
    digest, name = facts.digests.get((part["dataset_id"], part["version"])), f"{part['dataset']}@v{part['version']}"
    if digest is None:
        raise Corrupt(f"mix {ref} reads {name}, which this catalog does not have; run `strata doctor`")
    if digest != part["version_digest"]:
        raise Corrupt(
            f"mix {ref} does not match the store: {name} has digest {digest[:16]}, the lock names "
            f"{part['version_digest'][:16]}; run `strata doctor`"
        )


def _fields(facts: _Facts, held: Dataset, table: lance.LanceDataset) -> dict[str, tuple[str, pa.DataType]]:
    types = {field.name: plain_type(field.type) for field in table.schema}
    fields = {name: (name, types[name]) for name in table_schema(held.kind, held.tier).names if name in types}
    for alias, physical in facts.columns[held.id]:
        if physical in types:
            fields[alias] = (physical, types[physical])
    return fields


def _retracted(held: Dataset, table: lance.LanceDataset) -> np.ndarray:
    if not held.removed:
        return np.empty(0, np.int64)
    found = table.scanner(columns=[], filter="removed = 0", with_row_id=True).to_table()
    return np.sort(found.column("_rowid").to_numpy().astype(np.int64))
