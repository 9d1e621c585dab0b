"""The book of proposals: what waits for a person, what they decided, and what came of it.

    made = propose(cat, "promote", {"ref": "web", "to": "L1"}, reasons=[{"text": "clean", "samples": [...]}])
    approve(cat, made.id, seen=made.seen)

Who approves says which look they approve: arguments and effect have a digest (`seen`). The effect is worked out again first,
and where it differs nothing is done, the new one is shown. An approval is taken by one compare-and-swap, so two people never
do the same thing twice; one whose process died says so, and can be approved again.
"""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import ColumnElement, update
from sqlmodel import Session, col, func, select

from agents.proposals.verbs import parsed, verb
from catalog.access import check
from catalog.errors import BadInput, Busy, NotFound, Refused, StrataError
from catalog.meta.models import now
from catalog.meta.proposals import Proposal
from catalog.plain import plain
from catalog.samples import sample_id_of
from catalog.store.publish import alive, process_start

if TYPE_CHECKING:
    from catalog.catalog import Catalog

OPEN = ("open", "failed", "interrupted")
"""States in which a proposal may be approved, edited or rejected."""
MOST_OPEN = 500
"""Open proposals of one actor; more is a loop that went astray."""


def propose(
    cat: Catalog, name: str, args: dict[str, Any], *, title: str = "", reasons: Sequence[dict[str, Any]] = (),
    agent: str = "", model: str = "",
) -> Proposal:  # fmt: skip
    """Ask for a write. Works out its effect without writing, and refuses what would be refused.

    reasons: {"text": why, "samples": [ids that show it]}; an id that nothing holds is refused. Wants the right to propose.
    """
    given = parsed(name, args)
    check(cat, "propose", f"{name} {_object(given)}")
    cited = [_reason(cat, reason) for reason in reasons]
    with cat.session() as session:
        held = session.exec(select(func.count()).select_from(Proposal)
                            .where(Proposal.actor == cat.settings.actor, Proposal.status == "open")).one()  # fmt: skip
    if held >= MOST_OPEN:
        raise Refused(f"{cat.settings.actor} has {held} open proposals already; approve or reject some first")
    body, effect = given.model_dump(mode="json", exclude_unset=True), plain(verb(name).effect(cat, given))
    made = Proposal(
        verb=name, args=body, title=" ".join(title.split())[:200] or effect["summary"], effect=effect, seen=_digest(name, body, effect),
        reasons=cited, agent=agent, model=model, actor=cat.settings.actor,
    )  # fmt: skip
    return _saved(cat, made)


def proposals(cat: Catalog, status: str | None = None, limit: int = 200, *, of: str | None = None) -> list[Proposal]:
    """Proposals, newest first; "open" also means those that failed or were interrupted and wait again. of: a verb."""
    check(cat, "read", "proposals")
    query = select(Proposal).order_by(col(Proposal.created).desc()).limit(limit)
    if of is not None:
        query = query.where(Proposal.verb == of)
    with cat.session() as session:
        held = session.exec(query if status is None else query.where(stands(session, status))).all()
    return [_settled(item) for item in held]


def waiting(cat: Catalog) -> int:
    """How many wait for a person."""
    check(cat, "read", "proposals")
    with cat.session() as session:
        return session.exec(select(func.count()).select_from(Proposal).where(stands(session, "open"))).one()


def stands(session: Session, status: str) -> ColumnElement[bool]:
    """Condition of the proposals that stand so by now: one whose approver's process is gone is still stored as "applying"."""
    running = select(Proposal.id, Proposal.host, Proposal.pid, Proposal.process_start).where(
        Proposal.status == "applying"
    )
    gone = [one for one, *process in session.exec(running) if not alive(*process)]
    stored = col(Proposal.status).in_(OPEN if status == "open" else (status,))
    if status == "applying":
        return stored & col(Proposal.id).not_in(gone)
    return stored | col(Proposal.id).in_(gone) if status in ("open", "interrupted") else stored


def find(cat: Catalog, given: str) -> Proposal:
    """A proposal by its id, or an unambiguous beginning of six digits or more."""
    check(cat, "read", f"proposal {given}")
    with cat.session() as session:
        held = (
            session.exec(select(Proposal).where(Proposal.id.startswith(given)).limit(2)).all()
            if len(given) >= 6
            else []
        )  # type: ignore[attr-defined]
    if len(held) != 1:
        raise NotFound(
            "proposal", given, [], "several begin so; give more digits" if held else "see `strata proposals list`"
        )
    return _settled(held[0])


def edit(cat: Catalog, given: str, args: dict[str, Any], note: str = "") -> Proposal:
    """Other arguments; the effect is worked out anew, and what stood there before is kept."""
    held = find(cat, given)
    wanted = parsed(held.verb, args)
    check(cat, "propose", f"edit of proposal {held.id}")
    _must_be_open(held)
    body, effect = wanted.model_dump(mode="json", exclude_unset=True), plain(verb(held.verb).effect(cat, wanted))
    before = {
        "args": held.args,
        "summary": held.effect.get("summary"),
        "until": now(),
        "by": cat.settings.actor,
        "note": note,
    }
    changed = {"args": body, "effect": effect, "seen": _digest(held.verb, body, effect), "status": "open", "error": None,
               "revision": held.revision + 1, "history": [*held.history, before]}  # fmt: skip
    _moved(cat, held, changed)
    return find(cat, held.id)


def reject(cat: Catalog, given: str, note: str = "") -> Proposal:
    """Say no. Wants the right to write, as yes does."""
    held = find(cat, given)
    check(cat, "write", f"rejection of proposal {held.id}")
    _must_be_open(held)
    _moved(cat, held, {"status": "rejected", "decided_by": cat.settings.actor, "decided": now(), "note": note})
    return find(cat, held.id)


def approve(cat: Catalog, given: str, *, seen: str | None = None, note: str = "") -> Proposal:
    """Do it, with the rights of who approves. seen: digest of the look that is approved, the stored one if not given.

    Raises `Refused` when the effect differs from what was shown, and whatever the verb raises; the proposal keeps the reason.
    """
    held = find(cat, given)
    check(cat, "write", f"approval of proposal {held.id}")
    _must_be_open(held)
    kind, args = verb(held.verb), parsed(held.verb, held.args)
    if seen is not None and not (len(seen) >= 8 and held.seen.startswith(seen)):
        raise Refused(f"proposal {held.id[:12]} was edited since you looked at it; look again and approve what you see")
    result = kind.done(cat, args, held.decided) if kind.done and held.status == "interrupted" and held.decided else None
    if result is None:
        _same_effect(cat, held, args)
    started = now()
    _moved(cat, held, {
        "status": "applying", "decided_by": cat.settings.actor, "decided": started, "note": note, "error": None,
        "host": socket.gethostname(), "pid": os.getpid(), "process_start": process_start(os.getpid()),
    })  # fmt: skip
    try:
        result = result or plain(kind.apply(cat, args))
    except BaseException as error:
        reason = str(error) if isinstance(error, StrataError) else f"{type(error).__name__}: {error}"
        _finish(cat, held.id, {"status": "failed", "error": reason[:2000]})
        raise
    _finish(cat, held.id, {"status": "done", "result": result, "error": None})
    return find(cat, held.id)


def _same_effect(cat: Catalog, held: Proposal, args: Any) -> None:
    effect = plain(verb(held.verb).effect(cat, args))
    now_seen = _digest(held.verb, held.args, effect)
    if now_seen == held.seen:
        return
    _moved(cat, held, {"effect": effect, "seen": now_seen})
    raise Refused(
        f"the catalog has changed since this was shown: it was {held.effect.get('summary')}, and would now be "
        f"{effect['summary']}; look again and approve what you see"
    )


def _moved(cat: Catalog, held: Proposal, changed: dict[str, Any]) -> None:
    """Change a proposal if nobody else did since it was read."""
    stored = "applying" if held.status == "interrupted" else held.status
    statement = update(Proposal).where(
        Proposal.id == held.id,
        Proposal.status == stored,
        Proposal.seen == held.seen,
        Proposal.pid == held.pid,  # type: ignore[arg-type]
    )
    with cat.session() as session:
        count = session.execute(statement.values(**changed)).rowcount  # type: ignore[attr-defined]
        session.commit()
    if count != 1:
        current = find(cat, held.id)
        by = f" by {current.decided_by}" if current.decided_by else ""
        raise Busy(f"proposal {held.id[:12]} was changed meanwhile{by} and is now {current.status}; look at it again")


def _finish(cat: Catalog, proposal: str, changed: dict[str, Any]) -> None:
    with cat.session() as session:
        session.execute(update(Proposal).where(Proposal.id == proposal).values(**changed))  # type: ignore[arg-type]
        session.commit()


def _saved(cat: Catalog, made: Proposal) -> Proposal:
    with cat.session() as session:
        session.add(made)
        session.commit()
        session.refresh(made)
        session.expunge(made)
    return made


def _settled(held: Proposal) -> Proposal:
    """As it is now: one whose approver's process is gone is interrupted, and waits for a person again."""
    if held.status == "applying" and not alive(held.host, held.pid, held.process_start):
        held.status = "interrupted"
        held.error = "the process that carried it out is gone; what it finished is kept, approve again to go on"
    return held


def _must_be_open(held: Proposal) -> None:
    if held.status not in OPEN:
        by = f" by {held.decided_by} on {held.decided[:16]}" if held.decided_by and held.decided else ""
        raise Refused(f"proposal {held.id[:12]} is {held.status}{by}; propose again to have it once more")


def _digest(name: str, args: dict[str, Any], effect: dict[str, Any]) -> str:
    shown = {key: value for key, value in effect.items() if key != "volatile"}
    return hashlib.sha256(orjson.dumps([name, args, shown], option=orjson.OPT_SORT_KEYS)).hexdigest()


def _reason(cat: Catalog, given: Any) -> dict[str, Any]:
    if not isinstance(given, dict) or not isinstance(given.get("text"), str) or set(given) - {"text", "samples"}:
        raise BadInput('a reason is {"text": why, "samples": [sample ids that show it]}')
    samples = given.get("samples") or []
    if not isinstance(samples, list) or len(samples) > 20:
        raise BadInput("a reason cites at most 20 sample ids, as a list")
    return {"text": given["text"][:2000], "samples": [_cited(cat, str(item)) for item in samples]}


def _cited(cat: Catalog, given: str) -> str:
    """The whole id of a cited sample; one that nothing holds is no reason."""
    sample = sample_id_of(cat, given)
    for dataset in cat.datasets():
        if cat.lance(dataset.name).count_rows(f"sample_id = '{sample}'"):
            return sample
    raise NotFound("sample", given, [], "a reason cites samples that the catalog holds")


def _object(args: Any) -> str:
    body = args.model_dump()
    named = next((body[key] for key in ("name", "ref", "old", "match") if body.get(key)), None)
    return str(named or (body.get("spec") or {}).get("name") or "rows")
