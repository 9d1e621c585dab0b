"""What stands before the page where people sign in: nothing but the sign-in page answers a browser nobody signed in to.

The id goes into a cookie that scripts cannot read and other sites' forms do not send (HttpOnly, SameSite=Lax: a link in
a message still opens). A socket is let in when its cookie names a sign-in, live or ended: the page behind it looks again
at every interaction, and tells a person why it ended.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from ui.web.entry import form, sessions

if TYPE_CHECKING:
    from catalog import Catalog

OPEN = ("/sign-in", "/sign-out", "/_stcore/health", "/_stcore/host-config", "/favicon.png", "/robots.txt")
ASSETS = "/static/"
"""Files of Streamlit itself."""
MAX_BODY = 8192
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
log = logging.getLogger("strata.web")


class Gate:
    """ASGI middleware: passes on what may be seen, sends a browser to the sign-in page, refuses the rest."""

    def __init__(self, app: Any, cat: Catalog) -> None:
        self.app, self.cat = app, cat

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        kind, path = scope["type"], scope.get("path", "")
        if kind not in ("http", "websocket") or path in OPEN or path.startswith(ASSETS):
            await self.app(scope, receive, send)
            return
        asked = HTTPConnection(scope)
        seen = await run_in_threadpool(sessions.behind, self.cat, asked.cookies.get(sessions.cookie_name(self.cat)))
        if seen.token is not None or (kind == "websocket" and seen.why not in ("none", "unknown")):
            await self.app(scope, receive, send)
        elif kind == "websocket":
            await send({"type": "websocket.close", "code": 4401, "reason": "sign in"})
        else:
            await self.refuse(asked)(scope, receive, send)

    def refuse(self, asked: HTTPConnection) -> Response:
        if asked.scope["method"] == "GET" and "text/html" in asked.headers.get("accept", ""):
            path = asked.url.path + (f"?{asked.url.query}" if asked.url.query else "")
            return RedirectResponse(f"/sign-in?{urlencode({'next': path})}", 303, {"Cache-Control": "no-store"})
        return PlainTextResponse("sign in at /sign-in\n", 401, {"Cache-Control": "no-store"})


def safe(address: str | None) -> str:
    """Where to go on: an address inside this page, or its first view."""
    parts = urlsplit(address or "/")
    inside = not parts.scheme and not parts.netloc and parts.path.startswith("/")
    if not inside or parts.path.startswith(("//", "/\\", "/sign-")) or any(ord(sign) < 32 for sign in address or ""):
        return "/"
    return parts.path + (f"?{parts.query}" if parts.query else "")


def own(request: Request) -> bool:
    """Whether a form was sent from this very page: a browser says from where."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    hosts = (request.headers.get("host"), request.headers.get("x-forwarded-host"))
    return origin is None or urlsplit(origin).netloc in hosts


def routes(cat: Catalog) -> list[Route]:
    """/sign-in and /sign-out over one catalog."""
    name = sessions.cookie_name(cat)

    async def ask(request: Request) -> Response:
        address = safe(request.query_params.get("next"))
        seen = await run_in_threadpool(sessions.behind, cat, request.cookies.get(name))
        if seen.token is not None:
            return RedirectResponse(address, 303, HEADERS)
        return HTMLResponse(form.page(address, sessions.REASONS[seen.why]), headers=HEADERS)

    async def enter(request: Request) -> Response:
        given = await _body(request)
        address = safe(given.get("next"))
        if not own(request):
            return HTMLResponse(form.page(address, "That form was sent from another site. Sign in here."), 403, HEADERS)
        held = await run_in_threadpool(sessions.begin, cat, given.get("token", ""))
        if held is None:
            log.warning("a sign-in with a token that is not live, from %s", request.client and request.client.host)
            said = "That token is not live: it is mistyped, revoked or expired."
            return HTMLResponse(form.page(address, said, failed=True), 401, HEADERS)
        answer = RedirectResponse(address, 303, HEADERS)
        secure = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto"))
        answer.set_cookie(name, held, max_age=sessions.KEPT_DAYS * 86_400, httponly=True, samesite="lax", secure=secure)
        return answer

    async def leave(request: Request) -> Response:
        if own(request):
            await run_in_threadpool(sessions.end, cat, request.cookies.get(name))
        return RedirectResponse("/sign-in", 303, HEADERS)

    return [
        Route("/sign-in", ask, methods=["GET"]),
        Route("/sign-in", enter, methods=["POST"]),
        Route("/sign-out", leave, methods=["POST"]),
    ]


async def _body(request: Request) -> dict[str, str]:
    """Fields of a short form."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY:
            return {}
    return {field: values[0] for field, values in parse_qs(body.decode("utf-8", "replace")).items()}
