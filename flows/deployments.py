"""Scoring as a Prefect deployment: registered by a worker, triggered by name, watched and cancelled from any face.

    python -m flows.deployments cpu       # register pool and deployment, then become its worker
    trigger(cat, at, "alpaca", ["perplexity"], {...})      # no Prefect import: five REST calls

The deployment names the flow by module path, so a worker on another machine finds it wherever Strata is installed.
No credentials travel: a worker opens its own catalog from its environment and refuses a run for another one.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from catalog.errors import BadInput, Missing, NotFound, StrataError
from catalog.meta.models import Run
from flows.prefect_api import FINAL, Endpoint, call, online_workers, set_state
from flows.recovery import attempts
from flows.server import FLOW, QUIET

if TYPE_CHECKING:
    from catalog.catalog import Catalog

Show = Callable[[int, int, str], None]


def register(pool: str) -> None:
    """Create the work pool where it is missing and (re)create the deployment; needs the Prefect library."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

    from flows.score_flow import score_flow

    with get_client(sync_client=True) as client:
        try:
            client.read_work_pool(pool)
        except ObjectNotFound:
            with suppress(ObjectAlreadyExists):  # another worker may be faster
                client.create_work_pool(WorkPoolCreate(name=pool, type="process"))
    from prefect.deployments.runner import EntrypointType

    score_flow.to_deployment(
        name=pool, work_pool_name=pool, entrypoint_type=EntrypointType.MODULE_PATH, tags=["strata"]
    ).apply()


def main() -> None:
    """Register, then become the worker: one process, one import of Prefect before the exec."""
    pool = sys.argv[1]
    os.environ.update({name: value for name, value in QUIET.items() if name not in os.environ})
    register(pool)
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool, "--type", "process"]
    os.execv(sys.executable, command)


def pick_pool(at: Endpoint, costs: Sequence[str]) -> str:
    """ "gpu" when a step wants it and a worker of that pool is online, else "cpu"."""
    if "gpu" in costs and online_workers(at, "gpu"):
        return "gpu"
    return "cpu"


def trigger(
    cat: Catalog,
    at: Endpoint,
    dataset: str,
    scorers: Sequence[str],
    options: dict[str, Any],
    *,
    pool: str = "cpu",
    place: str = "home",
) -> str:
    """Create a run of the deployment; returns its flow run id. A worker starts it within seconds."""
    found = cat.resolve(dataset)
    try:
        deployment = call(at, "GET", f"/deployments/name/{FLOW}/{pool}")
    except NotFound:
        raise Missing(
            f"the Prefect server at {at.url} has no deployment {FLOW}/{pool}: start a worker with `strata server worker --pool {pool}`"
        ) from None
    parameters = {
        "dataset": found.ref,
        "scorers": list(scorers),
        "options": options,
        "dataset_id": found.dataset.id,
        "place": place,
    }
    body = {"name": f"score {found.ref} {' '.join(scorers)}"[:120], "parameters": parameters, "tags": ["strata", f"dataset:{found.dataset.name}"],
            "state": {"type": "SCHEDULED", "message": f"triggered by {cat.settings.actor}"}}  # fmt: skip
    return call(at, "POST", f"/deployments/{deployment['id']}/create_flow_run", body)["id"]


def await_deployment(at: Endpoint, pool: str, wait: float = 90.0) -> None:
    """A home's worker registers its deployment some seconds after the server answers."""
    deadline = time.monotonic() + wait
    while True:
        try:
            call(at, "GET", f"/deployments/name/{FLOW}/{pool}")
            return
        except NotFound:
            if time.monotonic() > deadline:
                raise Missing(
                    f"no worker of pool {pool} has registered at {at.url} within {wait:.0f} s; see the server's log"
                ) from None
            time.sleep(0.5)


def look(cat: Catalog, at: Endpoint, flow_run: str) -> dict[str, Any]:
    """State of a triggered run: Prefect's state, and our run record with progress where there is one."""
    held = call(at, "GET", f"/flow_runs/{flow_run}")
    state = held.get("state") or {}
    tried = attempts(cat, flow_run)
    return {"id": flow_run, "name": held["name"], "state": state.get("type"), "state_name": state.get("name"),
            "message": state.get("message"), "run": tried[0] if tried else None, "attempts": len(tried)}  # fmt: skip


def watch(
    cat: Catalog,
    at: Endpoint,
    flow_run: str,
    show: Show | None = None,
    *,
    poll: float = 0.5,
    timeout: float | None = None,
) -> Run | None:
    """Wait for the end of a run, showing its progress. Raises the reason when it failed or was cancelled.

    Returns the run record, or None when there was nothing to compute.
    """
    deadline = time.monotonic() + timeout if timeout else None
    while True:
        seen = look(cat, at, flow_run)
        held: Run | None = seen["run"]
        if show and held is not None and held.progress:
            show(held.progress.get("done", 0), held.progress.get("total", 0), held.progress.get("unit", "rows"))
        if seen["state"] in FINAL:
            break
        if deadline and time.monotonic() > deadline:
            raise StrataError(
                f"run {flow_run[:8]} is still {seen['state']} after {timeout:.0f} s; it goes on, see `strata runs`"
            )
        time.sleep(poll)
    if seen["state"] != "COMPLETED":
        reason = (held.error if held and held.status != "done" else None) or seen["message"] or "no reason given"
        raise StrataError(
            f"run {flow_run[:8]} {str(seen['state']).lower()}: {str(reason).splitlines()[0]}", state=seen["state"]
        )
    return held


def cancel(cat: Catalog, at: Endpoint | None, run: str) -> str:
    """Cancel by the id (or its beginning) of a run record or a flow run; returns what was done.

    A run that computes stops at its next batch and keeps what it finished; one that waits never starts.
    """
    from catalog.runs import cancel as ask
    from catalog.runs import runs

    held = next(
        (r for r in runs(cat, limit=1000) if r.id.startswith(run) or (r.prefect_id or "").startswith(run)), None
    )
    if held is not None and held.status == "running":
        ask(cat, held.id)
        return f"run {held.id[:8]} stops at its next batch; what is finished is kept"
    if at is None:
        if held is None:
            raise NotFound("run", run, remedy="see `strata runs`")
        raise BadInput(f"run {held.id[:8]} is {held.status}, there is nothing to cancel")
    flow_run = held.prefect_id if held is not None and held.prefect_id else run
    seen = look(cat, at, flow_run)
    if seen["state"] in FINAL:
        raise BadInput(f"run {flow_run[:8]} is {str(seen['state']).lower()}, there is nothing to cancel")
    set_state(at, flow_run, "CANCELLED", "Cancelled", f"cancelled by {cat.settings.actor} before it started")
    return f"run {flow_run[:8]} was cancelled before it started"


if __name__ == "__main__":
    main()
