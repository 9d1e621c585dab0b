"""The commit protocol: one lease a table, restore the published head, commit to Lance, then the metadata row.

A crash before the metadata transaction leaves Lance versions that nobody reads; the next writer restores the head
first, so that an orphan is never published. A writer whose lease was taken over fails its fence and publishes nothing.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import or_, update
from sqlmodel import Session

from catalog.errors import Busy, NotFound
from catalog.meta.models import Dataset, now
from catalog.store.tables import open_table

if TYPE_CHECKING:
    import lance

    from catalog.catalog import Catalog

LEASE_SECONDS = 120.0


@dataclass(frozen=True)
class Lease:
    """Proof that this process may publish to a table; `token` is the fence."""

    dataset_id: str
    token: int


def process_start(pid: int) -> str:
    """Start time of a process in clock ticks: tells a reused pid apart. "" for a zombie or an unknown system."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
            return "" if fields[0] == "Z" else fields[19]
    except (OSError, IndexError):
        return ""


def alive(host: str, pid: int, start: str) -> bool:
    """False only when the process is known to be gone: on this host, by pid and start time."""
    if host != socket.gethostname():
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not start or process_start(pid) == start


def _me() -> str:
    pid = os.getpid()
    return f"{socket.gethostname()}|{pid}|{process_start(pid)}|{time.monotonic_ns()}"


@contextmanager
def lease(cat: Catalog, dataset_id: str, wait: float = 180.0) -> Iterator[Lease]:
    """Hold the table's lease; waits for another holder, takes over from a dead or expired one."""
    me, deadline = _me(), time.monotonic() + wait
    while (token := _acquire(cat, dataset_id, me)) is None:
        if time.monotonic() > deadline:
            raise Busy(f"dataset {dataset_id} is being published by another process; try again in a minute")
        time.sleep(0.05)
    held, stop = Lease(dataset_id, token), threading.Event()
    keeper = threading.Thread(target=_keep, args=(cat, held, stop), daemon=True)
    keeper.start()
    try:
        yield held
    finally:
        stop.set()
        keeper.join()
        with cat.session() as session:
            session.execute(
                update(Dataset)
                .where(Dataset.id == dataset_id, Dataset.lease_token == token)
                .values(lease_owner=None, lease_expires=None)
            )
            session.commit()


def _acquire(cat: Catalog, dataset_id: str, me: str) -> int | None:
    with cat.session() as session:
        dataset = session.get(Dataset, dataset_id)
        if dataset is None:
            raise NotFound("dataset", dataset_id)
        holder, seen = dataset.lease_owner, dataset.lease_token
        dead = holder is not None and not alive(holder.split("|")[0], int(holder.split("|")[1]), holder.split("|")[2])
        free = or_(Dataset.lease_owner.is_(None), Dataset.lease_expires < now())  # type: ignore[union-attr, operator]
        condition = (Dataset.lease_owner == holder) if dead else free
        changed = session.execute(
            update(Dataset)
            .where(Dataset.id == dataset_id, Dataset.lease_token == seen, condition)
            .values(lease_owner=me, lease_token=seen + 1, lease_expires=_expiry())
        )
        session.commit()
        return seen + 1 if changed.rowcount == 1 else None  # type: ignore[attr-defined]


def _keep(cat: Catalog, held: Lease, stop: threading.Event) -> None:
    """Extend the lease while its holder lives; a lost lease is found by the fence, not here."""
    while not stop.wait(LEASE_SECONDS / 4):
        with cat.session() as session:
            session.execute(
                update(Dataset)
                .where(Dataset.id == held.dataset_id, Dataset.lease_token == held.token)
                .values(lease_expires=_expiry())
            )
            session.commit()


def _expiry() -> str:
    return (datetime.now(UTC) + timedelta(seconds=LEASE_SECONDS)).isoformat(timespec="microseconds")


def fence(session: Session, held: Lease, **values: object) -> None:
    """Update the dataset row only if the lease is still ours; else `Busy`, and the transaction must roll back."""
    changed = session.execute(
        update(Dataset).where(Dataset.id == held.dataset_id, Dataset.lease_token == held.token).values(**values)
    )
    if changed.rowcount != 1:  # type: ignore[attr-defined]
        raise Busy(
            f"the lease on dataset {held.dataset_id} was taken over; nothing was published, run the command again"
        )


def published_head(cat: Catalog, dataset: Dataset) -> lance.LanceDataset:
    """The table at its published head, with any unpublished later Lance version undone first."""
    table = open_table(cat.table_uri(dataset), dataset.lance_version, cat.settings.storage)
    if table.latest_version != dataset.lance_version:
        table.restore()
    return table


Change = Callable[["lance.LanceDataset", Dataset], "lance.LanceDataset | None"]
Record = Callable[[Session, Dataset], None]


def publish(cat: Catalog, dataset_id: str, change: Change, record: Record) -> None:
    """Run `change` on the published head and make its result the head, together with the rows `record` writes.

    change(table, dataset) commits to Lance and returns the new table, or None when the table stays as it is.
    record(session, dataset) adds metadata rows and sets fields of `dataset`, in the transaction that moves the head.
    """
    with lease(cat, dataset_id) as held:
        with cat.session() as session:
            dataset = session.get(Dataset, dataset_id)
            assert dataset is not None
        table = change(published_head(cat, dataset), dataset)
        with cat.session() as session:
            current = session.get(Dataset, dataset_id)
            assert current is not None
            # The fence goes first: it takes the row lock, so that nobody can take the lease over before the commit.
            fence(session, held, lance_version=table.version if table is not None else current.lance_version)
            session.refresh(current)
            record(session, current)
            session.commit()
