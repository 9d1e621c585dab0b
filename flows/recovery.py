"""Flow runs whose process is gone are scheduled again; the checkpoints of what they finished make that cheap.

Prefect shows a run as running for as long as nobody says otherwise, and a killed process says nothing. The run record
in the metadata store knows the process (host, pid, start time) and its heartbeat, so it decides.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlmodel import select

from catalog.meta.models import Run
from catalog.store.publish import alive
from flows.prefect_api import PrefectApi, call, flow_runs, set_state
from flows.server import FLOWS

if TYPE_CHECKING:
    from catalog.catalog import Catalog

ATTEMPTS = 5
SILENT_SECONDS = 1800.0
"""A run on another host counts as lost after this silence; on this host the process is looked at."""
UNSTARTED_SECONDS = 120.0
"""A run that was handed to a worker and never wrote its run record."""


def attempts(cat: Catalog, flow_run: str) -> list[Run]:
    """Run records of one flow run, newest first; each restart made one."""
    with cat.session() as session:
        return list(session.exec(select(Run).where(Run.prefect_id == flow_run).order_by(Run.started.desc())))  # type: ignore[attr-defined]


def recover(cat: Catalog, at: PrefectApi) -> Iterator[str]:
    """Put lost runs back; yields a line for each thing done."""
    for flow_run in flow_runs(at, FLOWS, ["RUNNING", "PENDING", "CANCELLING"]):
        tried = attempts(cat, flow_run["id"])
        if not _lost(flow_run, tried[0] if tried else None):
            continue
        # Workers on several machines look at the same runs: whoever comes second finds that the state has moved.
        if call(at, "GET", f"/flow_runs/{flow_run['id']}")["state"]["id"] != flow_run["state"]["id"]:
            continue
        name, asked = (
            flow_run["name"],
            flow_run["state_type"] == "CANCELLING" or (tried and tried[0].status == "cancelling"),
        )
        if asked:
            set_state(at, flow_run["id"], "CANCELLED", "Cancelled", "its process is gone")
            yield f"run {name} was being cancelled and its process is gone: cancelled"
        elif len(tried) >= ATTEMPTS:
            set_state(at, flow_run["id"], "CRASHED", "Crashed", f"its process was lost {len(tried)} times")
            yield f"run {name} was lost {len(tried)} times: given up"
        else:
            set_state(at, flow_run["id"], "SCHEDULED", "AwaitingRetry", "its process was lost; finished units are kept")
            yield f"run {name} lost its process: scheduled again"


def _lost(flow_run: dict[str, Any], newest: Run | None) -> bool:
    """Whether the process behind a run is known to be gone. Starting a live run twice would only waste work."""
    waited = _seconds_since(flow_run["state"]["timestamp"])
    if newest is not None and newest.status in ("running", "cancelling") and not _silent(newest):
        return False
    this_attempt = newest is not None and _seconds_since(newest.started) < waited
    if this_attempt and newest is not None and newest.status in ("running", "cancelling", "crashed"):
        return True
    # No record of this attempt yet, or it ended and Prefect is about to hear of it: give it time.
    return waited > UNSTARTED_SECONDS


def _silent(held: Run) -> bool:
    if held.host == socket.gethostname():
        return not alive(held.host, held.pid, held.process_start)
    return _seconds_since(held.heartbeat) > SILENT_SECONDS


def _seconds_since(stamp: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(stamp.replace("Z", "+00:00"))).total_seconds()
