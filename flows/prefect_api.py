"""A Prefect server over its REST interface, for clients that must not pay the import of Prefect.

Importing Prefect costs 2-3 s a process; triggering, watching and cancelling a run need five small requests.
"""

from __future__ import annotations

import base64
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from catalog.errors import Busy, Missing, NotFound, Refused, StrataError

PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds between tries of a request that the server was too busy to take: its database was locked, nothing was done."""
FINAL = ("COMPLETED", "FAILED", "CANCELLED", "CRASHED")


@dataclass(frozen=True)
class PrefectApi:
    """Where a Prefect API listens and how to log in; `secret` never shows in a repr."""

    url: str  # ends in /api
    secret: str | None = field(default=None, repr=False)
    scheme: str = "Basic"

    def headers(self) -> dict[str, str]:
        if not self.secret:
            return {}
        held = base64.b64encode(self.secret.encode()).decode() if self.scheme == "Basic" else self.secret
        return {"Authorization": f"{self.scheme} {held}"}


def team_endpoint() -> PrefectApi | None:
    """The team's server as Prefect's own variables name it, or None."""
    url = os.environ.get("PREFECT_API_URL")
    if not url:
        return None
    if key := os.environ.get("PREFECT_API_KEY"):
        return PrefectApi(url.rstrip("/"), key, "Bearer")
    return PrefectApi(url.rstrip("/"), os.environ.get("PREFECT_API_AUTH_STRING"))


def call(at: PrefectApi, method: str, path: str, body: Any = None, timeout: float = 20.0) -> Any:
    """One request, repeated while the server is too busy; `Missing` when nobody answers, `NotFound` and `Refused` for 404
    and 401/403."""
    request = urllib.request.Request(
        f"{at.url}{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **at.headers()},
    )
    # A proxy of the environment must not see loopback traffic.
    loopback = at.url.startswith(("http://127.0.0.1", "http://localhost", "http://[::1]"))
    opener = urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if loopback else []))
    for pause in (*PAUSES, None):
        try:
            return _answer(at, opener, request, timeout)
        except _TooBusy as error:
            if pause is None:
                raise Busy(
                    f"the Prefect server at {at.url} is too busy to answer {method} {path}; repeat the command in a minute"
                ) from error
            time.sleep(pause)


class _TooBusy(Exception):
    """The server answered 503."""


def _answer(at: PrefectApi, opener: Any, request: urllib.request.Request, timeout: float) -> Any:
    try:
        with opener.open(request, timeout=timeout) as answer:
            text = answer.read()
            return json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        if error.code == 503:
            raise _TooBusy from None
        method, path = request.get_method(), request.full_url.removeprefix(at.url)
        detail = error.read().decode(errors="replace")[:200].replace("\n", " ")
        if error.code == 404:
            raise NotFound("object on the Prefect server", path) from None
        if error.code in (401, 403):
            raise Refused(f"the Prefect server at {at.url} refuses the login: check PREFECT_API_AUTH_STRING") from None
        raise StrataError(
            f"the Prefect server at {at.url} answered {error.code} to {method} {path}: {detail}"
        ) from None
    except (urllib.error.URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise Missing(f"the Prefect server at {at.url} does not answer: {reason}; is it running?") from None


def healthy(at: PrefectApi, timeout: float = 2.0) -> bool:
    try:
        return call(at, "GET", "/health", timeout=timeout) is True
    except StrataError:
        return False


def flow_runs(at: PrefectApi, flows: Sequence[str], states: list[str]) -> list[dict[str, Any]]:
    """Runs of flows in any of these state types, oldest first; at most 200."""
    body = {
        "flows": {"name": {"any_": list(flows)}},
        "flow_runs": {"state": {"type": {"any_": states}}},
        "sort": "EXPECTED_START_TIME_ASC",
        "limit": 200,
    }
    return call(at, "POST", "/flow_runs/filter", body)


def set_state(at: PrefectApi, flow_run: str, kind: str, name: str, message: str) -> None:
    """Force a flow run into a state, whatever it was in."""
    body = {"state": {"type": kind, "name": name, "message": message}, "force": True}
    call(at, "POST", f"/flow_runs/{flow_run}/set_state", body)


def online_workers(at: PrefectApi, pool: str) -> int:
    """Workers of a pool that sent a heartbeat lately; 0 for a pool that does not exist."""
    try:
        found = call(at, "POST", f"/work_pools/{pool}/workers/filter", {})
    except NotFound:
        return 0
    return sum(worker.get("status") == "ONLINE" for worker in found)
