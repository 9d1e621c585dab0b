"""Finished units of unfinished runs. The key of a run is equal for equal commands, so a repeat finds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete
from sqlmodel import Session, select

from catalog.meta.models import Checkpoint

if TYPE_CHECKING:
    from catalog.catalog import Catalog


def save(cat: Catalog, key: str, unit: str, payload: dict[str, Any]) -> None:
    """Record a finished unit; saving the same unit again replaces it."""
    with cat.session() as session:
        session.merge(Checkpoint(key=key, unit=unit, payload=payload))
        session.commit()


def load(cat: Catalog, key: str) -> dict[str, dict[str, Any]]:
    """All finished units of a key, in the order they were finished."""
    with cat.session() as session:
        rows = session.exec(select(Checkpoint).where(Checkpoint.key == key).order_by(Checkpoint.created)).all()
        return {row.unit: row.payload for row in rows}


def clear(session: Session, key: str) -> None:
    """Forget a key, in the transaction that publishes what it led to."""
    session.execute(delete(Checkpoint).where(Checkpoint.key == key))
