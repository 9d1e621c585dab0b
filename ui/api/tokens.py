"""Local tokens: random secrets of which only the SHA-256 is stored. Made by whoever may use the catalog directly."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlmodel import or_, select

from catalog.access import RANK, check
from catalog.errors import BadInput, NotFound
from catalog.meta.models import Token, now

if TYPE_CHECKING:
    from catalog import Catalog

LONGEST_DAYS = 3650


def digest_of(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def later(**amount: float) -> str:
    """A time from now on, as it is stored."""
    return (datetime.now(UTC) + timedelta(**amount)).isoformat(timespec="microseconds")


def create(cat: Catalog, name: str, verbs: str = "read", days: float | None = None) -> str:
    """A new token; the secret is returned once and kept nowhere. days: until it expires; None: never."""
    check(cat, "admin", f"token {name}")
    if verbs not in RANK:
        raise BadInput(f"--verbs {verbs!r} is not one of {', '.join(RANK)}")
    if not name.strip() or len(name) > 80:
        raise BadInput("a token needs a name of 1 to 80 characters: it shows in the audit")
    if days is not None and not 0 < days <= LONGEST_DAYS:
        raise BadInput(f"--days {days:g} is not more than 0 and at most {LONGEST_DAYS}")
    secret = f"strata_{secrets.token_urlsafe(32)}"
    expires = None if days is None else later(days=days)
    with cat.session() as session:
        session.add(Token(digest=digest_of(secret), actor=name.strip(), verbs=verbs, expires=expires))
        session.commit()
    return secret


def tokens(cat: Catalog) -> list[dict[str, Any]]:
    check(cat, "read", "tokens")
    with cat.session() as session:
        held = session.exec(select(Token).order_by(Token.created)).all()  # type: ignore[arg-type]
    return [
        {
            "name": t.actor, "verbs": t.verbs, "digest": t.digest[:12], "created": t.created, "expires": t.expires,
            "revoked": t.revoked,
        }
        for t in held
    ]  # fmt: skip


def revoke(cat: Catalog, name: str) -> int:
    """Revoke by name or by the beginning of the digest; returns how many were live."""
    check(cat, "admin", f"token {name}")
    with cat.session() as session:
        match = or_(Token.actor == name, Token.digest.startswith(name)) if len(name) >= 8 else Token.actor == name  # type: ignore[attr-defined]
        held = session.exec(select(Token).where(match, Token.revoked.is_(None))).all()  # type: ignore[union-attr]
        if not held:
            known = session.exec(select(Token.actor).where(Token.revoked.is_(None))).all()  # type: ignore[union-attr]
            raise NotFound("live token", name, known)
        for token in held:
            token.revoked = now()
            session.add(token)
        session.commit()
        return len(held)


def live(token: Token | None) -> bool:
    """Whether a token may be used: neither revoked nor expired."""
    return token is not None and token.revoked is None and (token.expires is None or token.expires > now())


def live_count(cat: Catalog) -> int:
    """How many tokens may be used."""
    with cat.session() as session:
        return sum(live(token) for token in session.exec(select(Token).where(Token.revoked.is_(None))))  # type: ignore[union-attr]


def holder(cat: Catalog, secret: str) -> Token | None:
    """The live token behind a secret. The digest is the key, so no secret is ever compared byte by byte."""
    with cat.session() as session:
        token = session.get(Token, digest_of(secret))
    return token if live(token) else None


def catalog_for(cat: Catalog, token: Token) -> Catalog:
    """The same catalog in the hands of a token's owner: their name in every run and audit row, their rights only."""
    from catalog import Catalog

    own = Catalog(replace(cat.settings, actor=token.actor))
    own.grant = token.verbs
    return own
