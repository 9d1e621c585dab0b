"""Mix parts that serve each row as often as a column says: one part a value, each row exactly that many times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from catalog.errors import BadInput

if TYPE_CHECKING:
    from catalog.catalog import Catalog

MOST = 1024


def parts_by_copies(cat: Catalog, ref: str, column: str, where: str | None = None) -> list[dict[str, Any]]:
    """Parts of a mix spec for a dataset version; rows whose value is 0 or absent are in none.

    where: a further filter. The parts have fixed budgets, so that others in the mix may have weights.
    """
    found = cat.resolve(ref)
    extra = f" AND ({where})" if where else ""
    counts: dict[int, int] = {}
    for batch in cat.scan(ref, [column], where=f"{column} > 0{extra}", missing="drop"):
        for entry in batch.column(column).value_counts().to_pylist():
            value = entry["values"]
            if value != int(value):
                raise BadInput(f"{column} of {found.ref} holds {value}: copies are whole numbers")
            counts[int(value)] = counts.get(int(value), 0) + entry["counts"]
    if not counts:
        raise BadInput(f"{found.ref}: no row has a {column} above 0, so the mix would be empty")
    if len(counts) > MOST:
        raise BadInput(f"{column} of {found.ref} has {len(counts):,} values, a mix at most {MOST:,} parts; round it")
    return [
        {
            "dataset": found.ref, "where": f"{column} = {value}{extra}", "missing": "drop", "samples": value * rows,
            "max_epochs": value,
        }
        for value, rows in sorted(counts.items())
    ]  # fmt: skip
