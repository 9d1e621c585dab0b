"""Sign-ins of browsers: a random id in a cookie, its SHA-256 here, and behind it a token that must still be live.

The token itself is in no address, no page and no cookie. A sign-in ends when it is signed out of, after its hours, or as
soon as its token is revoked or expires: whoever asks looks it up again, nothing is remembered.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, NamedTuple

from sqlmodel import delete

from catalog.errors import BadInput
from catalog.meta.models import Audit, SignIn, Token, now
from ui.api.tokens import digest_of, holder, later, live

if TYPE_CHECKING:
    from catalog import Catalog

SWITCH = "STRATA_UI_SIGN_IN"
HOURS = "STRATA_UI_SIGN_IN_HOURS"
KEPT_DAYS = 30
"""Ended sign-ins are forgotten after this time; so long the cookie lives, that its browser can be told why."""

REASONS = {
    "none": "This catalog opens to whoever holds a token.",
    "unknown": "This catalog opens to whoever holds a token.",
    "out": "You signed out.",
    "expired": "Your sign-in ended: every one lasts some hours.",
    "revoked": "Your sign-in ended: the token behind it was revoked or has expired.",
}


class Seen(NamedTuple):
    """What is behind a browser: its live token, else why there is none (a key of REASONS)."""

    token: Token | None
    why: str = ""


def wanted() -> bool:
    """Whether this server asks people to sign in."""
    return os.environ.get(SWITCH, "").lower() in ("1", "true", "yes", "on")


def hours() -> float:
    """How long a sign-in lasts."""
    given = os.environ.get(HOURS, "12")
    try:
        held = float(given)
    except ValueError:
        held = 0.0
    if not 0 < held <= 24 * KEPT_DAYS:
        raise BadInput(f"{HOURS}={given!r} is no number of hours; give more than 0 and at most {24 * KEPT_DAYS}")
    return held


def cookie_name(cat: Catalog) -> str:
    """One a catalog: cookies do not tell ports apart, and two catalogs may be shown on one machine."""
    return f"strata_{digest_of(cat.settings.database)[:8]}"


def begin(cat: Catalog, secret: str) -> str | None:
    """Sign in with a token; the id for the browser, or None when the token is not live."""
    token = holder(cat, secret.strip())
    if token is None:
        return None
    name, ends = secrets.token_urlsafe(32), later(hours=hours())
    with cat.session() as session:
        session.exec(delete(SignIn).where(SignIn.expires < later(days=-KEPT_DAYS)))  # type: ignore[arg-type]
        session.add(
            SignIn(
                digest=digest_of(name), token=token.digest, actor=token.actor, expires=min(ends, token.expires or ends)
            )
        )
        session.add(Audit(actor=token.actor, verb="sign in", object="page"))
        session.commit()
    return name


def behind(cat: Catalog, name: str | None) -> Seen:
    """The live token behind a browser's id."""
    if not name:
        return Seen(None, "none")
    with cat.session() as session:
        held = session.get(SignIn, digest_of(name))
        token = session.get(Token, held.token) if held else None
    if held is None:
        return Seen(None, "unknown")
    if held.ended:
        return Seen(None, "out")
    if not live(token):
        return Seen(None, "revoked")
    return Seen(token) if held.expires > now() else Seen(None, "expired")


def end(cat: Catalog, name: str | None) -> None:
    """Sign out."""
    with cat.session() as session:
        held = session.get(SignIn, digest_of(name)) if name else None
        if held is not None and held.ended is None:
            held.ended = now()
            session.add(held)
            session.add(Audit(actor=held.actor, verb="sign out", object="page"))
            session.commit()
