"""Counts and facets from stored statistics: no table is opened, so they take milliseconds at any size."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from catalog.errors import BadInput, NotFound

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
    rows = found.version.rows if found.version else 0
    stored = (found.version.statistics if found.version else {}).get("facets", {})
    columns = {column.alias: column for column in cat.columns(found.dataset.name)}
    if field in columns:
        if found.number != found.dataset.head:
            raise BadInput(
                f"statistics of {field} are kept for {found.dataset.name}@v{found.dataset.head}, not for {found.ref}: "
                f"use sql to group by it"
            )
        values = columns[field].statistics.get("facets")
    elif field in stored:
        values = stored[field]
    else:
        raise NotFound(f"facet of {found.ref}", field, [*stored, *columns])
    if values is None:
        raise BadInput(f"{field} of {found.ref} has too many values for facets: use sql to group by ranges of it")
    cut = field in (found.version.statistics if found.version else {}).get("cut", ()) and field not in columns
    return Facet(dict(values), max(rows - sum(values.values()), 0), not cut)
