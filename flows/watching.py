"""Find, follow and cancel runs, wherever they run. The run record is the truth; Prefect knows those not yet started."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlmodel import or_, select

from catalog.access import check
from catalog.errors import BadInput, Missing, NotFound, StrataError
from catalog.meta.models import Run
from catalog.runs import cancel, mark_crashed
from flows.prefect_api import FINAL, PrefectApi, call, set_state, team_endpoint
from flows.recovery import attempts
from flows.server import FLOWS, status

if TYPE_CHECKING:
    from catalog.catalog import Catalog

Show = Callable[..., None]
ENDED = ("done", "failed", "cancelled", "crashed")


def look(cat: Catalog, at: PrefectApi, flow_run: str) -> dict[str, Any]:
    """State of a flow run: Prefect's state, and our newest run record where there is one."""
    held = call(at, "GET", f"/flow_runs/{flow_run}")
    state, tried = held.get("state") or {}, attempts(cat, flow_run)
    return {
        "flow_run": flow_run,
        "name": held["name"],
        "state": state.get("type"),
        "state_name": state.get("name"),
        "message": state.get("message"),
        "run": tried[0] if tried else None,
        "attempts": len(tried),
    }


def watch(
    cat: Catalog,
    at: PrefectApi,
    flow_run: str,
    show: Show | None = None,
    *,
    poll: float = 0.5,
    timeout: float | None = None,
) -> Run | None:
    """Wait for the end of a flow run, showing its progress. Raises the reason when it failed or was cancelled.

    Returns the run record, or None when there was nothing to compute.
    """
    deadline = time.monotonic() + timeout if timeout else None
    while (seen := look(cat, at, flow_run))["state"] not in FINAL:
        _progress(seen["run"], show)
        if deadline and time.monotonic() > deadline:
            raise StrataError(
                f"run {flow_run[:8]} is {seen['state']} after {timeout:.0f} s and goes on; see `strata runs list`"
            )
        time.sleep(poll)
    held: Run | None = seen["run"]
    _progress(held, show)
    if seen["state"] != "COMPLETED":
        reason = (
            (held.error if held is not None and held.status != "done" else None) or seen["message"] or "no reason given"
        )
        state = str(seen["state"]).lower()
        raise StrataError(f"run {flow_run[:8]} {state}: {str(reason).splitlines()[0]}", state=state)
    return held


def _progress(held: Run | None, show: Show | None) -> None:
    if show is not None and held is not None and held.progress:
        show(held.progress.get("done", 0), held.progress.get("total", 0), held.progress.get("unit", "rows"))


def find_run(cat: Catalog, run: str) -> dict[str, Any]:
    """A run by the beginning of its id or of its flow run's id: {"run": Run | None, "flow_run": id | None, "endpoint"}."""
    check(cat, "read", "runs")
    mark_crashed(cat)
    with cat.session() as session:
        begins = or_(Run.id.startswith(run), Run.prefect_id.startswith(run))  # type: ignore[union-attr, attr-defined]
        held = session.exec(select(Run).where(begins).order_by(Run.started.desc())).first()  # type: ignore[attr-defined]
    if held is not None:
        return {"run": held, "flow_run": held.prefect_id, "endpoint": None, "verb": held.verb, "dataset": held.dataset}
    for at in endpoints(cat):
        for found in _flow_runs(at):
            if found["id"].startswith(run):
                state = (found.get("state") or {}).get("name")
                return {
                    "run": None,
                    "flow_run": found["id"],
                    "endpoint": at,
                    "verb": found["name"].partition(" ")[0],
                    "dataset": found["name"],
                    "status": state,
                }
    raise NotFound("run", run, remedy="see `strata runs list`")


def endpoints(cat: Catalog) -> list[PrefectApi]:
    """Servers a run may be on: the home's, where it runs, and the team's."""
    home = status(cat)
    return [at for at in (home.endpoint if home else None, team_endpoint()) if at is not None]


def _flow_runs(at: PrefectApi) -> list[dict[str, Any]]:
    body = {"flows": {"name": {"any_": list(FLOWS)}}, "sort": "START_TIME_DESC", "limit": 200}
    try:
        return call(at, "POST", "/flow_runs/filter", body)
    except Missing:
        return []


def follow(cat: Catalog, run: str, show: Show | None = None, *, poll: float = 0.5) -> dict[str, Any]:
    """Wait until a run has ended, however it ended; a lost one that is started again is followed on."""
    while True:
        seen = find_run(cat, run)
        held: Run | None = seen["run"]
        _progress(held, show)
        if (
            held is not None
            and held.status in ENDED
            and not (held.status == "crashed" and held.prefect_id and endpoints(cat))
        ):
            return seen
        if held is None and str(seen.get("status")).upper() in FINAL:
            return seen
        if held is not None and held.status == "crashed":
            _raise_if_final(cat, held)
        time.sleep(poll)


def _raise_if_final(cat: Catalog, held: Run) -> None:
    for at in endpoints(cat):
        try:
            state = look(cat, at, str(held.prefect_id))["state"]
        except NotFound:
            continue
        if state in FINAL and state != "COMPLETED":
            raise StrataError(
                f"run {held.id[:8]} {str(state).lower()}: its process was lost; repeat the command to resume"
            )


def cancel_run(cat: Catalog, run: str) -> str:
    """Cancel a run; returns what was done. One that computes stops at its next batch, one that waits never starts."""
    seen = find_run(cat, run)
    held: Run | None = seen["run"]
    check(cat, "write", f"run {run}")
    if held is not None and held.status == "running":
        cancel(cat, held.id)
        return f"run {held.id[:8]} stops at its next batch; what is finished is kept"
    if held is not None and (held.status != "crashed" or not held.prefect_id):
        raise BadInput(f"run {held.id[:8]} is {held.status}, there is nothing to cancel")
    for at in [seen["endpoint"]] if seen["endpoint"] else endpoints(cat):
        state = look(cat, at, seen["flow_run"])["state"]
        if state not in FINAL:
            set_state(at, seen["flow_run"], "CANCELLED", "Cancelled", f"cancelled by {cat.settings.actor}")
            return f"run {seen['flow_run'][:8]} is cancelled: it will not start"
    raise BadInput(f"run {seen['flow_run'][:8]} has ended, there is nothing to cancel")
