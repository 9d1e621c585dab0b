"""What is asked and paid. Every question is one row, written before it is sent and again when it is answered.

A reservation of the most that a request can cost is taken from the budget in the transaction that writes the row, and
turned into what it did cost when the answer is stored: so the sum of spent and held never passes a limit, whatever is
killed when. An answer that is stored is never asked for again. A request whose process died in between may have been
billed: its reservation becomes spending, unless the endpoint bills an Idempotency-Key once.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import func, or_, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from catalog.access import check
from catalog.errors import BadInput, NotFound, Refused
from catalog.meta.calls import Call, EndpointBudget
from catalog.meta.models import now
from catalog.store.publish import alive, process_start
from flows.endpoints.wire import Answer

if TYPE_CHECKING:
    from catalog.catalog import Catalog

ROOM = 1e-9  # money: sums of floats


class OverBudget(Refused):
    """The next request could cost more than what is left; what is answered is kept, the same command goes on."""


def set_budget(
    cat: Catalog, name: str, *, money: float | None = None, tokens: int | None = None, requests: int | None = None
) -> EndpointBudget:
    """Set the limits of a budget, which keeps what it has spent. A limit that is None does not bind."""
    check(cat, "write", f"budget {name}")
    if money is None and tokens is None and requests is None:
        raise BadInput(f"budget {name} needs a limit: --money, --tokens or --requests")
    if min(value for value in (money, tokens, requests) if value is not None) < 0:
        raise BadInput(f"budget {name}: a limit below zero makes no sense")
    with cat.session() as session:
        held = session.get(EndpointBudget, name) or EndpointBudget(name=name, actor=cat.settings.actor)
        held.money, held.tokens, held.requests = money, tokens, requests
        session.add(held)
        session.commit()
        return held


def budgets(cat: Catalog) -> list[EndpointBudget]:
    """All budgets, by name."""
    with cat.session() as session:
        return list(session.exec(select(EndpointBudget).order_by(EndpointBudget.name)))


def budget(cat: Catalog, name: str) -> EndpointBudget:
    """One budget; `NotFound` names the others."""
    with cat.session() as session:
        held = session.get(EndpointBudget, name)
    if held is None:
        names = [item.name for item in budgets(cat)]
        raise NotFound("budget", name, names, f"set it: strata budget set {name} --money AMOUNT")
    return held


def answered(cat: Catalog, digests: Iterable[str]) -> dict[str, Call]:
    """The stored answers among these questions."""
    wanted, found = list(dict.fromkeys(digests)), {}
    with cat.session() as session:
        for start in range(0, len(wanted), 500):
            some = wanted[start : start + 500]
            query = select(Call).where(col(Call.digest).in_(some), Call.status == "answered")
            found |= {call.digest: call for call in session.exec(query)}
    return found


def reserve(cat: Catalog, call: Call, *, idempotent: bool = False) -> Call | None:
    """Write a question down and hold `call.held_*` of its budget; a stored answer is returned instead.

    None: another living process is asking the same. `OverBudget` when the budget cannot hold it.
    """
    mine = {"host": socket.gethostname(), "pid": os.getpid(), "process_start": process_start(os.getpid())}
    while True:
        with cat.session() as session:
            held = session.get(Call, call.digest)
            if held is not None and held.status == "answered":
                return held
            if held is not None and held.status == "batched":
                raise Refused(
                    f"the same question waits in batch {held.batch}; run the same command again, which waits for it"
                )
            others = held is not None and held.status == "sent" and (held.host, held.pid) != (mine["host"], mine["pid"])
            if held is not None and others and alive(held.host, held.pid, held.process_start):
                return None
            hold(session, call)
            if held is None:
                session.add(Call(**{**call.model_dump(), **mine}))
            elif not taken_over(session, held, {**call.model_dump(), **mine}, idempotent):
                session.rollback()
                continue
            try:
                session.commit()
            except IntegrityError:  # another process wrote it first
                session.rollback()
                continue
            return session.get_one(Call, call.digest)


def settle(cat: Catalog, digest: str, answer: Answer, money: float) -> None:
    """Store an answer, and turn what was held into what it cost."""
    with cat.session() as session:
        held = session.get_one(Call, digest)
        spend(session, held, money, answer.tokens_in + answer.tokens_out)
        held.status, held.text, held.finish, held.served_by = "answered", answer.text, answer.finish, answer.served_by
        held.tokens_in, held.tokens_out = held.tokens_in + answer.tokens_in, held.tokens_out + answer.tokens_out
        held.money, held.attempts, held.error, held.finished = held.money + money, held.attempts + 1, None, now()
        held.held_money, held.held_tokens = 0.0, 0
        session.add(held)
        session.commit()


def unsettle(cat: Catalog, digest: str, error: str, *, billed: bool) -> None:
    """An attempt without an answer: what was held is given back, or counts as spent where it may have been billed."""
    with cat.session() as session:
        held = session.get_one(Call, digest)
        _close(session, held, billed)
        held.status, held.error, held.attempts, held.finished = "failed", error[:500], held.attempts + 1, now()
        session.add(held)
        session.commit()


def spending(cat: Catalog, purpose: str | None = None, run_id: str | None = None) -> dict[str, Any]:
    """Sums over calls: {"asked", "answered", "failed", "lost", "tokens_in", "tokens_out", "money"}."""
    with cat.session() as session:
        query = select(Call)
        query = query.where(Call.purpose == purpose) if purpose else query
        calls = session.exec(query.where(Call.run_id == run_id) if run_id else query).all()
    sums: dict[str, Any] = {"asked": len(calls)}
    for status in ("answered", "failed"):
        sums[status] = sum(call.status == status for call in calls)
    return sums | {
        name: sum(getattr(call, name) for call in calls) for name in ("lost", "tokens_in", "tokens_out", "money")
    }


def spent_by_endpoint(cat: Catalog) -> dict[str, dict[str, Any]]:
    """{endpoint: {"answered", "tokens", "money"}}."""
    with cat.session() as session:
        query = select(
            Call.endpoint, func.count(), func.sum(Call.tokens_in + Call.tokens_out), func.sum(Call.money)
        ).where(Call.status == "answered").group_by(Call.endpoint)  # fmt: skip
        return {
            name: {"answered": count, "tokens": tokens or 0, "money": round(money or 0.0, 6)}
            for name, count, tokens, money in session.exec(query)
        }


def paid_per_row(cat: Catalog, purpose: str, model: str, revision: str) -> dict[str, float]:
    """What rows that were asked about cost so far: {"rows", "money", "tokens", "requests"}, the last three a row."""
    with cat.session() as session:
        query = select(
            func.count(func.distinct(Call.sample_id)), func.sum(Call.money), func.sum(Call.tokens_in + Call.tokens_out),
            func.count(),
        )  # fmt: skip
        ours = (Call.purpose == purpose, Call.model == model, Call.revision == revision, Call.status == "answered")
        rows, money, tokens, requests = session.exec(query.where(*ours)).one()
    each = max(rows, 1)
    return {"rows": rows, "money": (money or 0.0) / each, "tokens": (tokens or 0) / each, "requests": requests / each}


def export_calls(cat: Catalog, purpose: str | None = None) -> Iterator[bytes]:
    """Stored answers as JSON lines: a cassette that another catalog can be played from."""
    with cat.session() as session:
        query = select(Call).where(Call.status == "answered").order_by(col(Call.created), col(Call.digest))
        for call in session.exec(query.where(Call.purpose == purpose) if purpose else query):
            yield orjson.dumps({name: getattr(call, name) for name in KEPT}) + b"\n"


def import_calls(cat: Catalog, lines: Iterable[bytes]) -> int:
    """Take over answers that are not there yet, at no cost; the number of new ones."""
    check(cat, "write", "calls")
    count = 0
    with cat.session() as session:
        for number, line in enumerate(lines, 1):
            try:
                body = {name: orjson.loads(line)[name] for name in KEPT}
            except (orjson.JSONDecodeError, KeyError, TypeError):
                raise BadInput(f"line {number} is no recorded answer; record with `strata endpoint export`") from None
            if session.get(Call, body["digest"]) is None:
                session.add(Call(**body, status="answered", finished=now()))
                count += 1
        session.commit()
    return count


KEPT = ("digest", "endpoint", "model", "revision", "purpose", "sample_id", "tokens_in", "tokens_out", "text", "finish",
        "served_by")  # fmt: skip


def hold(session: Session, call: Call) -> None:
    """Reserve in one statement, which fails when spent + held + this would pass a limit."""
    if call.budget is None:
        return
    money, tokens = call.held_money, call.held_tokens
    within = [
        or_(limit.is_(None), spent + held + more <= limit)
        for limit, spent, held, more in (
            (col(EndpointBudget.money), col(EndpointBudget.spent_money), col(EndpointBudget.held_money), money - ROOM),
            (col(EndpointBudget.tokens), col(EndpointBudget.spent_tokens), col(EndpointBudget.held_tokens), tokens),
            (col(EndpointBudget.requests), col(EndpointBudget.spent_requests), col(EndpointBudget.held_requests), 1),
        )
    ]
    taken = session.execute(
        update(EndpointBudget)
        .where(col(EndpointBudget.name) == call.budget, *within)
        .values(held_money=EndpointBudget.held_money + money, held_tokens=EndpointBudget.held_tokens + tokens,
                held_requests=EndpointBudget.held_requests + 1)
    )  # fmt: skip
    if taken.rowcount:  # type: ignore[attr-defined]
        return
    session.rollback()
    held = session.get(EndpointBudget, call.budget)
    if held is None:
        raise NotFound("budget", call.budget, [], f"set it: strata budget set {call.budget} --money AMOUNT")
    raise OverBudget(f"budget {held.name} is used up: {_left(held)} is left and the next request may take "
                     f"{money:.4g} money and {tokens:,} tokens; raise it and run the same command again, "
                     "what is answered is kept")  # fmt: skip


def _left(held: EndpointBudget) -> str:
    said = []
    if held.money is not None:
        said.append(f"{max(0.0, held.money - held.spent_money - held.held_money):.4g} money")
    if held.tokens is not None:
        said.append(f"{max(0, held.tokens - held.spent_tokens - held.held_tokens):,} tokens")
    if held.requests is not None:
        said.append(f"{max(0, held.requests - held.spent_requests - held.held_requests):,} requests")
    return ", ".join(said)


def taken_over(session: Session, held: Call, values: dict[str, Any], idempotent: bool) -> bool:
    """Make a failed or orphaned question ours, in one statement; False when somebody else was quicker."""
    orphaned = held.status == "sent"
    values = {"status": "sent", **values}
    kept = ("digest", "created", "money", "tokens_in", "tokens_out", "attempts", "lost")
    changed = {name: value for name, value in values.items() if name not in kept}
    if orphaned and not idempotent:
        changed |= {"lost": held.lost + 1, "money": held.money + held.held_money}
    taken = session.execute(
        update(Call)
        .where(col(Call.digest) == held.digest, col(Call.status) == held.status)
        .where(col(Call.pid) == held.pid, col(Call.process_start) == held.process_start)
        .values(**changed)
    )
    if orphaned and taken.rowcount:  # type: ignore[attr-defined]
        spend(session, held, 0.0 if idempotent else held.held_money, 0 if idempotent else held.held_tokens,
               requests=0 if idempotent else 1)  # fmt: skip
    return bool(taken.rowcount)  # type: ignore[attr-defined]


def _close(session: Session, held: Call, billed: bool) -> None:
    spend(session, held, held.held_money if billed else 0.0, held.held_tokens if billed else 0, requests=int(billed))
    if billed:
        held.lost, held.money = held.lost + 1, held.money + held.held_money
    held.held_money, held.held_tokens = 0.0, 0


def spend(session: Session, held: Call, money: float, tokens: int, *, requests: int = 1) -> None:
    """Give back what a question held, and count what it cost."""
    if held.budget is None:
        return
    session.execute(
        update(EndpointBudget)
        .where(col(EndpointBudget.name) == held.budget)
        .values(held_money=EndpointBudget.held_money - held.held_money, held_tokens=EndpointBudget.held_tokens - held.held_tokens,
                held_requests=EndpointBudget.held_requests - 1, spent_money=EndpointBudget.spent_money + money,
                spent_tokens=EndpointBudget.spent_tokens + tokens, spent_requests=EndpointBudget.spent_requests + requests)
    )  # fmt: skip
