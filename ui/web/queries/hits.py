"""Search results as stable row ids, best first, with what the search itself says about them."""

from __future__ import annotations

from typing import NamedTuple

from catalog import Catalog
from catalog.search import notes
from ui.web.queries.rows import View

HITS = 200
"""Best hits that are kept and paged through."""


class Hits(NamedTuple):
    """rows: row id -> (score, why), best first. notes: what the search does not cover."""

    rows: dict[int, tuple[float, str]]
    notes: tuple[str, ...]


def found(cat: Catalog, held: View) -> Hits:
    """The best hits of the words, or of the sample that others shall be like, inside the filter."""
    table = cat.search(
        held.ref,
        "" if held.like else held.words,
        mode="vector" if held.like else held.mode,
        limit=HITS,
        where=held.where or None,
        like=held.like or None,
        missing=held.missing,
        with_row_id=True,
    )
    ids, scores, why = (table.column(name).to_pylist() for name in ("_rowid", "score", "why"))
    return Hits({int(at): (score, reason) for at, score, reason in zip(ids, scores, why)}, tuple(notes(table)))
