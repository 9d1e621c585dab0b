"""Who is asking: a bearer token opens the catalog with its owner's name and rights."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from catalog import Catalog
from catalog.meta.models import Audit
from ui.api.tokens import catalog_for, holder

_bearer = HTTPBearer(
    auto_error=False, description="A token of `strata token create NAME --verbs read|propose|write|admin`"
)


def authorised(request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> Catalog:
    """The catalog of this request; 401 without a live token. The request is written to the audit."""
    cat: Catalog = request.app.state.catalog
    token = holder(cat, given.credentials) if given else None
    if token is None:
        raise HTTPException(
            401, "a live token is needed: strata token create NAME --verbs read", {"WWW-Authenticate": "Bearer"}
        )
    with cat.session() as session:
        verb = "read" if request.method == "GET" else "request"
        session.add(Audit(actor=token.actor, verb=verb, object=f"{request.method} {request.url.path}"[:500]))
        session.commit()
    return catalog_for(cat, token)


Asked = Annotated[Catalog, Depends(authorised)]
