"""The books of provider batches: what was handed in together, and what became of each question.

A batch and its questions are written, and the most they can cost is held, in the transaction before they are handed in; the
provider's id is stored when it is told. Whoever asks one of the questions later waits for the stored batch, whatever was
killed in between, so that nothing is handed in twice. A question that the batch did not get to is free to be asked again.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, or_, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from catalog.access import check
from catalog.errors import NotFound
from catalog.meta.calls import Call, CallBatch, EndpointBudget
from catalog.meta.models import new_id, now
from catalog.store.publish import alive, process_start
from flows.endpoints import account
from flows.endpoints.registry import Endpoint
from flows.endpoints.wire import Answer, Unanswered

if TYPE_CHECKING:
    from catalog.catalog import Catalog


def begin(cat: Catalog, calls: Sequence[Call], *, idempotent: bool) -> tuple[CallBatch | None, list[str]]:
    """Write a batch of as many of the questions as the budget can hold, from the first on: (batch, their digests).

    Questions that are answered, waiting, or being asked by another process are left out. `OverBudget` when not one fits.
    """
    me = {"host": socket.gethostname(), "pid": os.getpid(), "process_start": process_start(os.getpid())}
    while True:
        with cat.session() as session:
            held = _known(session, [call.digest for call in calls])
            free = [call for call in calls if _free(held.get(call.digest), me)]
            if not free:
                return None, []
            fits = free[: _room(session, free)] or free[:1]  # the first says why it does not fit
            batch = CallBatch(id=new_id(), endpoint=free[0].endpoint, purpose=free[0].purpose, run_id=free[0].run_id,
                              questions=len(fits), actor=cat.settings.actor, **me)  # fmt: skip
            taken = all(_take(session, batch.id, call, held.get(call.digest), me, idempotent) for call in fits)
            session.add(batch)
            try:
                if not taken:
                    session.rollback()
                    continue
                session.commit()
            except IntegrityError:  # another process wrote one of them first
                session.rollback()
                continue
            session.refresh(batch)
            return batch, [call.digest for call in fits]


def _known(session: Session, digests: Sequence[str]) -> dict[str, Call]:
    found: dict[str, Call] = {}
    for start in range(0, len(digests), 500):
        some = session.exec(select(Call).where(col(Call.digest).in_(digests[start : start + 500]))).all()
        found |= {call.digest: call for call in some}
    return found


def _free(held: Call | None, me: dict[str, Any]) -> bool:
    if held is None or held.status == "failed":
        return True
    return held.status == "sent" and not alive(held.host, held.pid, held.process_start)


def _room(session: Session, calls: Sequence[Call]) -> int:
    """How many of the questions, from the first on, their budget can still hold."""
    if calls[0].budget is None:
        return len(calls)
    held = session.get(EndpointBudget, calls[0].budget)
    if held is None:
        return 0
    left = {
        "money": None if held.money is None else held.money - held.spent_money - held.held_money + account.ROOM,
        "tokens": None if held.tokens is None else held.tokens - held.spent_tokens - held.held_tokens,
        "requests": None if held.requests is None else held.requests - held.spent_requests - held.held_requests,
    }
    sums = {"money": 0.0, "tokens": 0, "requests": 0}
    for number, call in enumerate(calls):
        for name, more in (("money", call.held_money), ("tokens", call.held_tokens), ("requests", 1)):
            sums[name] += more
            if left[name] is not None and sums[name] > left[name]:  # type: ignore[operator]
                return number
    return len(calls)


def _take(session: Session, batch: str, call: Call, held: Call | None, me: dict[str, Any], idempotent: bool) -> bool:
    account.hold(session, call)
    values = {**call.model_dump(), **me, "status": "batched", "batch": batch}
    if held is None:
        session.add(Call(**values))
        return True
    return account.taken_over(session, held, values, idempotent)


def submitted(cat: Catalog, batch: str, remote: str) -> None:
    """The provider has it, under this id."""
    _change(cat, batch, remote=remote, status="running")


def counted(cat: Catalog, batch: str, done: int, failed: int) -> None:
    """How many the provider says it has done."""
    _change(cat, batch, done=done, failed=failed)


def _change(cat: Catalog, batch: str, **values: Any) -> None:
    with cat.session() as session:
        session.execute(
            update(CallBatch).where(col(CallBatch.id) == batch, col(CallBatch.status) != "ended").values(**values)
        )
        session.commit()


def settle(cat: Catalog, batch: CallBatch, endpoint: Endpoint, found: Iterable[tuple[str, Any]], *, left_billed: bool,
           why: str) -> dict[str, Unanswered]:  # fmt: skip
    """Store the answers, free the rest, close the batch; errors of the questions that have no answer, by digest.

    left_billed: whether a question that the provider says nothing about may have been billed.
    """
    failed: dict[str, Unanswered] = {}
    for some in _parts(found):
        with cat.session() as session:
            for digest, result in some:
                if isinstance(result, Unanswered):
                    failed[digest] = result
                    _close(session, batch.id, digest, str(result), billed=result.billed)
                else:
                    _answer(session, batch.id, digest, result, endpoint)
            session.commit()
    with cat.session() as session:
        left = session.exec(select(Call.digest).where(Call.batch == batch.id, Call.status == "batched")).all()
        for digest in left:
            failed[digest] = Unanswered(why, again=True, billed=left_billed)
            _close(session, batch.id, digest, why, billed=left_billed)
        done = session.exec(select(func.count()).where(Call.batch == batch.id, Call.status == "answered")).one()
        session.commit()
    error = next((str(one) for one in failed.values()), None)
    _change(cat, batch.id, status="ended", done=done, failed=batch.questions - done, error=error, finished=now())
    return failed


def _parts(found: Iterable[tuple[str, Any]]) -> Iterator[list[tuple[str, Any]]]:
    """Some at a time, so that a process that is killed loses little and a large batch is stored quickly."""
    several = iter(found)
    while some := list(islice(several, 200)):
        yield some


def _answer(session: Session, batch: str, digest: str, answer: Answer, endpoint: Endpoint) -> None:
    held = session.get(Call, digest)
    if held is None or not _mine(session, batch, digest, "answered"):
        return  # another process stored it
    tokens = answer.tokens_in + answer.tokens_out
    money = endpoint.money(answer.tokens_in, answer.tokens_out, batch=True) or 0.0
    if not tokens:  # the provider names none: the most it can have been
        tokens, money = held.held_tokens, held.held_money
    account.spend(session, held, money, tokens)
    values = {
        "text": answer.text, "finish": answer.finish, "served_by": answer.served_by, "error": None, "finished": now(),
        "tokens_in": held.tokens_in + tokens - answer.tokens_out, "tokens_out": held.tokens_out + answer.tokens_out,
        "money": held.money + money, "attempts": held.attempts + 1, "held_money": 0.0, "held_tokens": 0,
    }  # fmt: skip
    session.execute(update(Call).where(col(Call.digest) == digest).values(**values))


def _close(session: Session, batch: str, digest: str, error: str, *, billed: bool) -> None:
    held = session.get(Call, digest)
    if held is None or not _mine(session, batch, digest, "failed"):
        return
    money, lost = held.held_money if billed else 0.0, int(billed)
    account.spend(session, held, money, held.held_tokens if billed else 0, requests=lost)
    values = {"error": error[:500], "attempts": held.attempts + 1, "finished": now(), "held_money": 0.0,
              "held_tokens": 0, "money": held.money + money, "lost": held.lost + lost}  # fmt: skip
    session.execute(update(Call).where(col(Call.digest) == digest).values(**values))


def _mine(session: Session, batch: str, digest: str, status: str) -> bool:
    """Whether the question still waits in this batch, and is ours to close: of several processes, one sees it so."""
    ours = (col(Call.digest) == digest, col(Call.status) == "batched", col(Call.batch) == batch)
    return bool(session.execute(update(Call).where(*ours).values(status=status)).rowcount)  # type: ignore[attr-defined]


def waiting(cat: Catalog, digests: Sequence[str]) -> dict[str, CallBatch]:
    """The batches in which these questions wait, by digest."""
    found: dict[str, CallBatch] = {}
    with cat.session() as session:
        open_ones = {batch.id: batch for batch in session.exec(select(CallBatch).where(CallBatch.status != "ended"))}
        for start in range(0, len(digests) if open_ones else 0, 500):
            some = select(Call.digest, Call.batch).where(
                col(Call.digest).in_(digests[start : start + 500]), Call.status == "batched"
            )
            found |= {digest: open_ones[batch] for digest, batch in session.exec(some) if batch in open_ones}
    return found


def orphaned(batch: CallBatch) -> bool:
    """Whether it was being handed in by a process that is no more; one of another machine is given an hour."""
    if batch.remote is not None:
        return False
    age = datetime.now(UTC) - datetime.fromisoformat(batch.created)
    return age > timedelta(hours=1) or not alive(batch.host, batch.pid, batch.process_start)


def abandon(cat: Catalog, batch: str) -> None:
    """Whoever hands it in has stopped half-way: others may look for it."""
    _change(cat, batch, process_start="gone")


def remotes(cat: Catalog, name: str) -> set[str]:
    """The provider's ids of the batches of an endpoint that we know."""
    with cat.session() as session:
        query = select(CallBatch.remote).where(CallBatch.endpoint == name, col(CallBatch.remote).is_not(None))
        return {remote for remote in session.exec(query) if remote}


def batches(cat: Catalog, *, running: bool = False) -> list[CallBatch]:
    """Batches, newest first. running: those alone that have not ended."""
    with cat.session() as session:
        query = select(CallBatch).order_by(col(CallBatch.created).desc())
        return list(session.exec(query.where(CallBatch.status != "ended") if running else query))


def batch_of(cat: Catalog, name: str) -> CallBatch:
    """A batch by its id, the provider's, or the beginning of one."""
    with cat.session() as session:
        query = select(CallBatch).where(or_(col(CallBatch.id).startswith(name), CallBatch.remote == name))
        found = session.exec(query).all() if name else []
    if len(found) != 1:
        raise NotFound("batch", name, [batch.id[:8] for batch in batches(cat)], "see: strata endpoint batches")
    return found[0]


def mark_cancelled(cat: Catalog, batch: str) -> None:
    """Somebody wants its end."""
    check(cat, "write", f"batch {batch}")
    _change(cat, batch, cancelled=True)
