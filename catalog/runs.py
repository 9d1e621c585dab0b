"""Run records: one execution of a verb, with heartbeat, counts, cost and a way to stop it."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import update
from sqlmodel import Session, select

from catalog.errors import BadInput, NotFound, StrataError
from catalog.meta.models import Run, now
from catalog.store.publish import alive, process_start

if TYPE_CHECKING:
    from catalog.catalog import Catalog


class Cancelled(StrataError):
    """Somebody asked this run to stop; what is finished is kept, the same command resumes."""


@contextmanager
def run(
    cat: Catalog, verb: str, key: str, *, dataset: str | None = None, place: str = "inline", **request: Any
) -> Iterator[Run]:
    """Record a run around a block: done, failed with the reason, or cancelled. Publishing code sets counts itself."""
    record = Run(
        verb=verb,
        key=key,
        dataset=dataset,
        place=place,
        actor=cat.settings.actor,
        request=request,
        host=socket.gethostname(),
        pid=os.getpid(),
        process_start=process_start(os.getpid()),
        prefect_id=os.environ.get("STRATA_FLOW_RUN"),  # set by a flow around the verb it runs
    )
    with cat.session() as session:
        session.add(record)
        session.commit()
    began = time.process_time()
    try:
        yield record
    except BaseException as error:
        status = "cancelled" if isinstance(error, (Cancelled, KeyboardInterrupt)) else "failed"
        finish(cat, record.id, status, error=str(error) or type(error).__name__)
        raise
    finish(cat, record.id, "done", cost={"cpu_s": round(time.process_time() - began, 3)})


def finish(
    cat: Catalog, run_id: str, status: str, *, error: str | None = None, cost: dict[str, Any] | None = None
) -> None:
    with cat.session() as session:
        record = session.get(Run, run_id)
        if record is None:
            return
        record.status, record.error, record.finished = status, error, now()
        record.cost = {**(cost or {}), **record.cost}
        session.add(record)
        session.commit()


class Progress:
    """Writes progress and heartbeat at most twice a second, and stops the run when it was cancelled."""

    def __init__(self, cat: Catalog, run_id: str, total: int, unit: str, show: Any = None) -> None:
        self.cat, self.run_id, self.total, self.unit, self.show = cat, run_id, total, unit, show
        self.done, self.began, self.written = 0, time.monotonic(), 0.0

    def tick(self, amount: int) -> None:
        self.done += amount
        if self.show:
            self.show(self.done, self.total, self.unit)
        moment = time.monotonic()
        if moment - self.written < 0.5 and self.done < self.total:
            return
        self.written = moment
        rate = self.done / max(moment - self.began, 1e-9)
        body = {"done": self.done, "total": self.total, "unit": self.unit, "rate": round(rate, 1)}
        with self.cat.session() as session:
            status = session.exec(select(Run.status).where(Run.id == self.run_id)).first()
            if status == "cancelling":
                raise Cancelled("the run was cancelled; what is finished is kept, the same command resumes")
            session.execute(update(Run).where(Run.id == self.run_id).values(progress=body, heartbeat=now()))  # type: ignore[arg-type]
            session.commit()


def cancel(cat: Catalog, run_id: str) -> None:
    """Ask a running run to stop at its next batch."""
    with cat.session() as session:
        record = session.exec(select(Run).where(Run.id.startswith(run_id))).first()  # type: ignore[attr-defined]
        if record is None:
            raise NotFound("run", run_id)
        if record.status != "running":
            raise BadInput(f"run {record.id[:8]} is {record.status}, there is nothing to cancel")
        record.status = "cancelling"
        session.add(record)
        session.commit()


def mark_crashed(cat: Catalog) -> list[str]:
    """Runs whose process is gone become "crashed"; their checkpoints stay and the same command resumes."""
    found = []
    with cat.session() as session:
        for record in session.exec(select(Run).where(Run.status.in_(["running", "cancelling"]))):  # type: ignore[attr-defined]
            if not alive(record.host, record.pid, record.process_start):
                record.status, record.finished = "crashed", now()
                session.add(record)
                found.append(record.id)
        session.commit()
    return found


def runs(cat: Catalog, limit: int = 100, dataset: str | None = None) -> list[Run]:
    """Newest first."""
    mark_crashed(cat)
    with cat.session() as session:
        query = select(Run).order_by(Run.started.desc()).limit(limit)  # type: ignore[attr-defined]
        if dataset:
            query = query.where(Run.dataset == dataset)
        return list(session.exec(query))


def add_counts(session: Session, run_id: str, **counts: int) -> None:
    """Add to the counts of a run, inside the transaction that publishes them."""
    record = session.get(Run, run_id)
    assert record is not None
    record.counts = {**record.counts, **{name: record.counts.get(name, 0) + value for name, value in counts.items()}}
    session.add(record)
