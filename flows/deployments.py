"""Scoring and training as Prefect deployments: registered by a worker, triggered by name from any face.

    python -m flows.deployments cpu       # register pool and deployments, then become their worker
    trigger(cat, at, "alpaca", ["perplexity"], {...})      # no Prefect import: five REST calls

A deployment names its flow by module path, so a worker on another machine finds it wherever Strata is installed.
No credentials travel: a worker opens its own catalog from its environment and refuses a run for another one.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from catalog.errors import BadInput, Missing, NotFound
from flows.prefect_api import PrefectApi, call, online_workers
from flows.server import FLOW, QUIET

if TYPE_CHECKING:
    from catalog.catalog import Catalog
    from flows.places import Place
    from flows.planner import Plan


def register(pool: str) -> None:
    """Create the work pool where it is missing and (re)create the deployments; needs the Prefect library."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

    from flows.proxy.flow import trial_flow
    from flows.score_flow import score_flow

    with get_client(sync_client=True) as client:
        try:
            client.read_work_pool(pool)
        except ObjectNotFound:
            with suppress(ObjectAlreadyExists):  # another worker may be faster
                client.create_work_pool(WorkPoolCreate(name=pool, type="process"))
    from prefect.types.entrypoint import EntrypointType

    flows: list[Any] = [trial_flow, score_flow]  # their methods are sync or async by where they are called
    for deploy in flows:
        deploy.to_deployment(
            name=pool, work_pool_name=pool, entrypoint_type=EntrypointType.MODULE_PATH, tags=["strata"]
        ).apply()


def main() -> None:
    """Register, then become the worker: one process, one import of Prefect before the exec."""
    pool = sys.argv[1]
    os.environ.update({name: value for name, value in QUIET.items() if name not in os.environ})
    register(pool)
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool, "--type", "process"]
    os.execv(sys.executable, command)


def pick_pool(at: PrefectApi, costs: Sequence[str]) -> str:
    """ "gpu" when a step wants it and a worker of that pool is online, else "cpu"."""
    if "gpu" in costs and online_workers(at, "gpu"):
        return "gpu"
    return "cpu"


def trigger(
    cat: Catalog,
    at: PrefectApi,
    dataset: str,
    scorers: Sequence[str],
    options: dict[str, Any],
    *,
    pool: str = "cpu",
    place: str = "home",
) -> str:
    """Create a run of the deployment; returns its flow run id. A worker starts it within seconds."""
    found = cat.resolve(dataset)
    parameters = {
        "dataset": found.ref,
        "scorers": list(scorers),
        "options": options,
        "dataset_id": found.dataset.id,
        "place": place,
    }
    name = f"score {found.ref} {' '.join(scorers)}"
    return create_run(cat, at, FLOW, pool, name, parameters, [f"dataset:{found.dataset.name}"])


def create_run(
    cat: Catalog, at: PrefectApi, flow: str, pool: str, name: str, parameters: dict[str, Any], tags: Sequence[str] = ()
) -> str:
    """Create a run of a flow's deployment in a pool; returns its flow run id."""
    try:
        deployment = call(at, "GET", f"/deployments/name/{flow}/{pool}")
    except NotFound:
        raise Missing(
            f"the Prefect server at {at.url} has no deployment {flow}/{pool}: start a worker with `strata server worker --pool {pool}`"
        ) from None
    # The key makes a repeated request the same run.
    body = {"name": name[:120], "idempotency_key": uuid4().hex, "parameters": parameters, "tags": ["strata", *tags],
            "state": {"type": "SCHEDULED", "message": f"triggered by {cat.settings.actor}"}}  # fmt: skip
    return call(at, "POST", f"/deployments/{deployment['id']}/create_flow_run", body)["id"]


def submit(
    cat: Catalog,
    place: Place,
    planned: Plan,
    scorers: Sequence[str],
    options: dict[str, Any],
    *,
    say: Callable[[str], None] = lambda line: None,
) -> tuple[PrefectApi, str]:
    """Trigger a plan on the server of a place, starting the home's where it is asked for; returns server and run."""
    from flows.server import ensure

    at = place.endpoint
    if place.kind == "home":
        at = ensure(cat, say).endpoint
    if at is None:
        raise BadInput("an inline run needs no server")
    pool = pick_pool(at, [step.plugin.cost for step in planned.todo])
    if place.kind == "home":
        await_deployment(at, pool)
    flow_run = trigger(cat, at, planned.ref, scorers, _json_options(options), pool=pool, place=place.kind)
    say(f"run {flow_run[:8]} in pool {pool}: `strata runs show {flow_run[:8]}` watches, `strata runs cancel` stops it")
    return at, flow_run


def _json_options(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value not in (None, {}, False)}


def await_deployment(at: PrefectApi, pool: str, flow: str = FLOW, wait: float = 90.0) -> None:
    """A home's worker registers its deployments some seconds after the server answers."""
    deadline = time.monotonic() + wait
    while True:
        try:
            call(at, "GET", f"/deployments/name/{flow}/{pool}")
            return
        except NotFound:
            if time.monotonic() > deadline:
                raise Missing(
                    f"no worker of pool {pool} has registered at {at.url} within {wait:.0f} s; see the server's log"
                ) from None
            time.sleep(0.5)


if __name__ == "__main__":
    main()
