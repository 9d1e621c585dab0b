"""Counts and facets from stored statistics: no table is opened, so they take milliseconds at any size."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlmodel import select

from catalog.errors import BadInput, NotFound
from catalog.meta.models import ColumnRecord

if TYPE_CHECKING:
    from catalog.catalog import Catalog


class Facet(NamedTuple):
    """Values of a field with their rows, most frequent first, and the rows of all values that are not listed.

    exact: False where a field had so many values that rare ones were dropped before an append brought them again.
    """

    values: dict[str, int]
    others: int
    exact: bool = True


def count(cat: Catalog, ref: str) -> int:
    """Rows of a version, from the metadata alone."""
    version = cat.resolve(ref).version
    return version.rows if version else 0


def facets(cat: Catalog, ref: str, field: str) -> Facet:
    """Rows by value of a sample field or computed column, from stored statistics alone: no table is opened.

    Sample fields are known for every version; columns for the newest, over which their statistics are taken.
    """
    found = cat.resolve(ref)
    version, name = found.version, found.dataset.name
    rows, held = (version.rows, version.statistics) if version else (0, {})
    stored = held.get("facets", {})
    if field in stored:
        values, exact = stored[field], field not in held.get("cut", ())
    else:
        column = _column(cat, found.dataset.id, field)
        if column is None:
            raise NotFound(f"facet of {found.ref}", field, [*stored, *(held.alias for held in cat.columns(name))])
        if found.number != found.dataset.head:
            raise BadInput(
                f"statistics of {field} are kept for {name}@v{found.dataset.head}, not for {found.ref}: "
                f"use sql to group by it"
            )
        values, exact = column.statistics.get("facets"), True
    if values is None:
        raise BadInput(f"{field} of {found.ref} has too many values for facets: use sql to group by ranges of it")
    return Facet(dict(values), max(rows - sum(values.values()), 0), exact)


def _column(cat: Catalog, dataset_id: str, alias: str) -> ColumnRecord | None:
    with cat.session() as session:
        return session.exec(
            select(ColumnRecord).where(ColumnRecord.dataset_id == dataset_id, ColumnRecord.alias == alias)
        ).first()
