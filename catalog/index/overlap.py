"""What two dataset versions share: content, and near copies where the standing index knows both.

Content is counted by content id, exactly, whatever the sample ids are. Near copies are rows that share a band of MinHash
with a row of the other side (Broder 1997; bands as in Indyk and Motwani 1998): candidates of near duplicates, so an upper
bound. Only segments that are there are read: nothing is hashed for the question.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from catalog.access import check
from catalog.index.held import SLICE, matches
from catalog.index.segments import Segment, load, unsorted
from catalog.index.standing import folder, listed
from catalog.query.engine import Request, one_line
from catalog.query.statements import parse
from catalog.query.views import quoted

if TYPE_CHECKING:
    from catalog.catalog import Catalog, Resolved


def overlap(cat: Catalog, a: str, b: str, *, memory: str = "2GB") -> dict[str, Any]:
    """{"rows": {side: n}, "exact": {side: rows whose content the other has}, "contents": different ones in both,
    "near": {side: rows} or None, "why": what keeps `near` from being known}.
    """
    sides = [cat.resolve(ref) for ref in (a, b)]
    for side in sides:
        check(cat, "read", side.ref)
    rows = {name: side.version.rows if side.version else 0 for name, side in zip("ab", sides)}
    exact, contents = _exact(cat, sides, memory) if all(rows.values()) else ({"a": 0, "b": 0}, 0)
    near, why = _near(cat, sides) if all(rows.values()) else ({"a": 0, "b": 0}, "")
    return {"rows": rows, "exact": exact, "contents": contents, "near": near, "why": why}


def _exact(cat: Catalog, sides: list[Resolved], memory: str) -> tuple[dict[str, int], int]:
    one, two = (quoted(side.ref) for side in sides)
    query = f"""
        SELECT sum(a)::BIGINT, sum(b)::BIGINT, count(*) FROM (
            SELECT content_id, count(*) AS a FROM {one} GROUP BY 1
        ) x JOIN (SELECT content_id, count(*) AS b FROM {two} GROUP BY 1) y USING (content_id)
    """
    request = Request(cat, memory)
    with one_line(request):
        for ref in dict.fromkeys((one, two)):
            request.register(parse(request.con, f"SELECT 1 FROM {ref}"))
        (shared_a, shared_b, contents) = request.con.sql(query).fetchall()[0]
        request.close()
    return {"a": int(shared_a or 0), "b": int(shared_b or 0)}, int(contents)


def _near(cat: Catalog, sides: list[Resolved]) -> tuple[dict[str, int] | None, str]:
    """Rows of each side that share a key with the other, by the segments that are there."""
    held: list[list[Segment]] = []
    for side in sides:
        segments, why = _segments(cat, side)
        if why:
            return None, why
        held.append(segments)
    return {"a": _touched(held[0], held[1]), "b": _touched(held[1], held[0])}, ""


def _segments(cat: Catalog, side: Resolved) -> tuple[list[Segment], str]:
    """The index of a version, or why there is none."""
    name = side.dataset.name
    if side.number != side.dataset.head:
        return [], f"the standing index holds the newest version of {name}, not {side.ref}"
    records = listed(cat, side.dataset.id)
    if not records or max(record.last for record in records) < side.number:
        return [], f"the standing index does not hold {side.ref} yet; the next ingest with --overlap adds it"
    loaded = [load(folder(cat) / record.file) for record in records]
    found = [segment for segment in loaded if segment is not None]
    if len(found) < len(records) or sum(segment.rows.size for segment in found) != side.dataset.rows:
        return [], f"the standing index of {name} lags behind {side.ref}; the next ingest with --overlap brings it up"
    return found, ""


def _touched(own: list[Segment], other: list[Segment]) -> int:
    """Rows that have a near or an exact copy on the other side."""
    total = 0
    for segment in own:
        words, keys, has = unsorted(segment)
        for at in range(0, len(has), SLICE):
            part = slice(at, at + SLICE)
            mask = np.zeros(len(has[part]), bool)
            for against in other:
                same, like, _ = matches(against, words[part], keys[part], has[part])
                mask[same] = mask[like] = True
            total += int(mask.sum())
    return total
