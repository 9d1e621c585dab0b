"""The metadata store as tables `strata.*`: datasets, versions, columns, runs, edges and the rest, read-only and bounded."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlalchemy import BigInteger, Boolean, Float, Integer, desc
from sqlmodel import SQLModel, select

from catalog.errors import NotFound
from catalog.meta import models

if TYPE_CHECKING:
    from catalog.catalog import Catalog

MOST = 100_000
"""Newest rows of a system table that a query sees; a longer table is cut, and the result says so."""

HIDDEN = {"lease_owner", "lease_token", "lease_expires", "lock"}
TABLES: dict[str, type[SQLModel]] = {
    "datasets": models.Dataset,
    "versions": models.Version,
    "columns": models.ColumnRecord,
    "recipes": models.Recipe,
    "runs": models.Run,
    "edges": models.Edge,
    "quarantine": models.Quarantine,
    "selections": models.Selection,
    "mixes": models.Mix,
    "tags": models.Tag,
    "source_files": models.SourceFile,
    "grades": models.Grade,
}


def system_table(cat: Catalog, name: str) -> tuple[pa.Table, bool]:
    """A metadata table as Arrow, newest rows first, and whether it was cut. JSON stays JSON text (`->>` reads it).

    Tables that point to a dataset by id also show its name, as `dataset`; what dropped datasets left is not shown.
    """
    model = TABLES.get(name.lower())
    if model is None:
        raise NotFound("system table", f"strata.{name}", [f"strata.{known}" for known in TABLES])
    table: Any = model.__table__  # type: ignore[attr-defined]
    columns = [column for column in table.columns if column.name not in HIDDEN]
    query = select(*columns)
    by_id = "dataset_id" in table.columns
    if by_id:
        held = models.Dataset.__table__  # type: ignore[attr-defined]
        query = select(held.c.name.label("dataset"), *columns).join(held, held.c.id == table.c.dataset_id)
        query = query.where(held.c.dropped.is_(None))
    if name.lower() == "datasets":
        query = query.where(table.c.dropped.is_(None))
    if name.lower() == "grades":
        from catalog.grades.blind import readable

        query = query.where(readable(cat), table.c.act != "edit")  # an edit is a text of a sample, not a grade
    order = [desc(table.c.created)] if "created" in table.columns else []
    order += [desc(column) for column in table.primary_key.columns]
    with cat.session() as session:
        rows = session.execute(query.order_by(*order).limit(MOST + 1)).all()
    fields = [pa.field("dataset", pa.string())] if by_id else []
    fields += [pa.field(column.name, arrow_type(column.type)) for column in columns]
    arrays = [pa.array([_plain(row[at]) for row in rows[:MOST]], field.type) for at, field in enumerate(fields)]
    return pa.table(arrays, schema=pa.schema(fields)), len(rows) > MOST


def arrow_type(kind: Any) -> pa.DataType:
    """Arrow type of a metadata column."""
    if isinstance(kind, Boolean):
        return pa.bool_()
    if isinstance(kind, (Integer, BigInteger)):
        return pa.int64()
    return pa.float64() if isinstance(kind, Float) else pa.string()


def _plain(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else value
