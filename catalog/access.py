"""The one gate every facade call passes: may this actor do this to that object?

Locally the person at the keyboard may do everything; the HTTP server opens catalogs with an actor whose token says
"read", "propose", "write" or "admin". Who may propose reads, and asks for writes that a person approves: assistants hold
that right, whatever a text tells them. Writes and proposals are audited.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from catalog.errors import BadInput, Refused

if TYPE_CHECKING:
    from catalog.catalog import Catalog

RANK = {"read": 0, "propose": 1, "write": 2, "admin": 3}


def granted(cat: Catalog) -> str:
    """The most that the actor of a catalog may do: read, propose, write or admin."""
    held = cat.grant or os.environ.get("STRATA_GRANT", "admin")
    if held not in RANK:
        raise BadInput(f"STRATA_GRANT={held!r} is not one of {', '.join(RANK)}")
    return held


def may(cat: Catalog, verb: str) -> bool:
    """Whether the actor may do a verb. For what is shown: what is done goes through `check`."""
    return RANK[granted(cat)] >= RANK[verb]


def check(cat: Catalog, verb: str, target: str) -> None:
    """Raise `Refused` when the actor's grant is below the verb; write an audit row for every write and refusal."""
    allowed = may(cat, verb)
    if verb != "read" or not allowed:
        from catalog.meta.models import Audit

        with cat.session() as session:
            session.add(Audit(actor=cat.settings.actor, verb=verb, object=target, allowed=allowed))
            session.commit()
    if not allowed:
        raise Refused(
            f"{cat.settings.actor} may only {granted(cat)}: {verb} of {target} needs a token with more rights"
        )
