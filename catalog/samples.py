"""Sample ids as people type them: the whole 32 digits, or six and more of the beginning when no other id begins so."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from catalog.errors import BadInput, NotFound

if TYPE_CHECKING:
    from catalog.catalog import Catalog

WHOLE, SHORTEST = 32, 6
NAMED = 4
"""Ids that the error about an ambiguous beginning names."""


def sample_id_of(cat: Catalog, given: str, ref: str | None = None) -> str:
    """The id that begins with `given`, in a dataset version, or anywhere (retracted rows too) when `ref` is None.

    A whole id is returned as it is, whether or not there is such a sample.
    """
    held = given.strip().lower()
    if len(held) == WHOLE and re.fullmatch("[0-9a-f]+", held):
        return held
    where = f" of {ref}" if ref else ""
    if not re.fullmatch("[0-9a-f]*", held) or len(held) > WHOLE:
        raise NotFound(f"sample{where}", given, [], "a sample id is 32 hex digits, or six and more of its beginning")
    if len(held) < SHORTEST:
        raise BadInput(f"sample id {given!r} is too short: give at least {SHORTEST} characters of the 32")
    found: set[str] = set()
    for name in [ref] if ref else [dataset.name for dataset in cat.datasets()]:
        found |= _beginning(cat, name, held, live=ref is not None)
    if not found:
        raise NotFound(f"sample{where}", given, [], "`strata search` and `strata sql` show sample ids")
    if len(found) > 1:
        shown = sorted(found)
        more = f" and {len(shown) - NAMED:,} more" if len(shown) > NAMED else ""
        raise BadInput(f"sample id {given!r} is ambiguous: {', '.join(shown[:NAMED])}{more}; give more characters")
    return found.pop()


def sample_ids_of(cat: Catalog, given: Iterable[str]) -> list[str]:
    """`sample_id_of` for many; only those that are cut short cost a look."""
    return [sample_id_of(cat, one) for one in given]


def _beginning(cat: Catalog, ref: str, start: str, *, live: bool) -> set[str]:
    """Ids of a version, or of a whole table, that begin so."""
    here = f"sample_id >= '{start}' AND sample_id < '{start}g'"  # a range, so that an index on the ids is used
    condition = cat.predicate(ref) if live else None
    rows = cat.lance(ref).scanner(columns=["sample_id"], filter=f"({condition}) AND {here}" if condition else here)
    return {value for batch in rows.to_batches() for value in batch.column(0).to_pylist()}
