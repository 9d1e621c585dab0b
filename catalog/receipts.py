"""Receipts of retractions: what was taken out, when and why, and whom it had reached. Kept for good, found by run or sample."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from sqlmodel import select

from catalog.access import check
from catalog.errors import BadInput, NotFound
from catalog.meta.intake import Receipt

if TYPE_CHECKING:
    from catalog.catalog import Catalog

WIDTH = 16
"""Bytes of a sample id."""
WHOLE = re.compile("[0-9a-f]{32}")
SHORTEST = 6


def keep(cat: Catalog, run_id: str, body: dict[str, Any], ids: Iterable[str]) -> None:
    """Write the receipt of a run, or write it again when more is known."""
    packed = b"".join(sorted(bytes.fromhex(one) for one in ids if WHOLE.fullmatch(one)))
    with cat.session() as session:
        session.merge(Receipt(run_id=run_id, digest=body["digest"], body=body, ids=packed))
        session.commit()


def receipts(cat: Catalog, limit: int = 50) -> list[dict[str, Any]]:
    """The newest receipts, without the list of their samples. `done` is None where a retraction was stopped half way."""
    check(cat, "read", "receipts")
    with cat.session() as session:
        held = session.exec(select(Receipt.body).order_by(Receipt.created.desc()).limit(limit))  # type: ignore[attr-defined]
        return list(held)


def receipt(cat: Catalog, run: str) -> dict[str, Any]:
    """The receipt of a run, by the run's id or its beginning."""
    check(cat, "read", "receipts")
    if len(run) < SHORTEST or not set(run) <= set("0123456789abcdef"):
        raise BadInput(f"{run!r} does not name a run: give at least {SHORTEST} of its 32 hex digits")
    with cat.session() as session:
        held = session.exec(select(Receipt.body).where(Receipt.run_id.startswith(run))).all()  # type: ignore[attr-defined]
    if not held:
        raise NotFound("receipt", run, [], "`strata runs list` shows what was retracted and by whom")
    if len(held) > 1:
        raise BadInput(f"{len(held)} receipts begin with {run}; give more of the run's id")
    return held[0]


def receipts_of(cat: Catalog, ids: Iterable[str]) -> list[dict[str, Any]]:
    """Receipts, newest first, that name one of the samples."""
    check(cat, "read", "receipts")
    wanted = [bytes.fromhex(one) for one in ids if WHOLE.fullmatch(one)]
    with cat.session() as session:
        rows = session.exec(select(Receipt).order_by(Receipt.created.desc()))  # type: ignore[attr-defined]
        return [row.body for row in rows if any(_holds(row.ids, one) for one in wanted)]


def _holds(ids: bytes, one: bytes) -> bool:
    """Whether an id is among packed ones, which are in order."""

    def at(place: int) -> bytes:
        return ids[WIDTH * place : WIDTH * (place + 1)]

    places = range(len(ids) // WIDTH)
    found = bisect_left(places, one, key=at)
    return found < len(places) and at(found) == one
