"""The HTTP face: the facade's verbs, its names and its errors.

    strata token create me --verbs write; strata serve      # then: Authorization: Bearer strata_...

An error is {"error": one line, "facts": {...}} with a status by its class. Every request of a token is audited.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException

from catalog import Catalog
from catalog.errors import BadInput, Busy, Corrupt, Missing, NameTaken, NotFound, Refused, StrataError
from ui.shapes import plain

MAX_BODY = 1 << 20
STATUS: list[tuple[type[StrataError], int]] = [
    (NotFound, 404), (NameTaken, 409), (Busy, 409), (Refused, 403), (BadInput, 400), (Corrupt, 500), (StrataError, 400),
]  # fmt: skip


def status_of(error: StrataError) -> int:
    """HTTP status of an error; a service that does not answer is 503, a package or model that is not here 424."""
    if isinstance(error, Missing):
        return (
            503 if any(sign in error.message for sign in ("cannot reach", "does not answer", "did not answer")) else 424
        )
    return next(status for kind, status in STATUS if isinstance(error, kind))


def create_app(cat: Catalog | None = None) -> FastAPI:
    """The application over one catalog; STRATA_HOME and friends say which when none is given."""
    from importlib.metadata import version

    from ui.api.discovering import router as discovering
    from ui.api.grading import router as grading
    from ui.api.insight import router as insight
    from ui.api.intake import router as intake
    from ui.api.judging import router as judging
    from ui.api.mixing import router as mixing
    from ui.api.proposing import router as proposing
    from ui.api.questions import router as questions
    from ui.api.reading import router as reading
    from ui.api.writing import router as writing

    app = FastAPI(
        title="Strata",
        version=version("strata-catalog"),
        summary="A training-data catalog: datasets in tiers, columns with recipes, mixes with locks.",
    )
    app.state.catalog = cat or Catalog.open()
    app.include_router(reading)
    app.include_router(writing)
    app.include_router(mixing)
    app.include_router(judging)
    app.include_router(intake)
    app.include_router(discovering)
    app.include_router(grading)
    app.include_router(insight)
    app.include_router(questions)
    app.include_router(proposing)
    app.add_exception_handler(StrataError, _strata_error)
    app.add_exception_handler(RequestValidationError, _bad_request)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(DBAPIError, _database_error)
    app.middleware("http")(_limit_body)

    @app.get("/health", tags=["service"])
    def health() -> dict[str, Any]:
        """Whether the metadata store answers; needs no token."""
        with app.state.catalog.session() as session:
            session.connection()
        return {"ok": True, "version": app.version}

    return app


def _body(message: str, facts: dict[str, Any]) -> dict[str, Any]:
    return {"error": message, "facts": plain(facts)}


async def _strata_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, StrataError)
    return JSONResponse(_body(str(error), error.facts), status_of(error))


async def _bad_request(request: Request, error: Any) -> JSONResponse:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return JSONResponse(_body(f"{where}: {first['msg']}; see /docs", {"where": where}), 422)


async def _http_error(request: Request, error: Any) -> JSONResponse:
    return JSONResponse(_body(str(error.detail), {}), error.status_code, headers=error.headers)


async def _database_error(request: Request, error: Any) -> JSONResponse:
    reason = str(error.orig).strip().splitlines()[0] if error.orig else type(error).__name__
    return JSONResponse(_body(f"the metadata database failed: {reason}; try again", {}), 503)


async def _limit_body(request: Request, call_next: Any) -> Any:
    """Requests are specs and queries, not data: more than 1 MiB is a mistake."""
    size = request.headers.get("content-length")
    if size is not None and (not size.isdigit() or int(size) > MAX_BODY):
        return JSONResponse(_body(f"a request body may have {MAX_BODY} bytes", {}), 413)
    return await call_next(request)
