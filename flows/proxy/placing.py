"""Where a command of the laboratory runs: here, on the home's Prefect server, or on the team's. Imports no Prefect."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from catalog.errors import BadInput
from flows.deployments import await_deployment, create_run, pick_pool
from flows.places import KINDS, Place
from flows.prefect_api import PrefectApi, team_endpoint
from flows.proxy.work import answer_of, marks_of, perform
from flows.server import TRIAL_FLOW, ensure, status
from flows.watching import watch
from flows.worker import POOLS

if TYPE_CHECKING:
    from catalog.catalog import Catalog

Say = Callable[[str], None]


def place_of(cat: Catalog, requested: str | None) -> Place:
    """A place by its name. Nothing tells how long a training takes here, so that nothing is placed unasked."""
    if requested not in (None, *KINDS):
        raise BadInput(f"--on {requested!r} is not one of {', '.join(KINDS)}")
    if requested == "home":
        held = status(cat)
        return Place("home", "training on the home's server, as asked", held.endpoint if held else None)
    if requested == "team":
        team = team_endpoint()
        if team is None:
            raise BadInput("--on team needs PREFECT_API_URL (and PREFECT_API_AUTH_STRING or PREFECT_API_KEY)")
        return Place("team", f"training on the team's server {team.url}, as asked", team)
    return Place("inline", "training inline (--on home or --on team trains on a worker)")


def run_work(
    cat: Catalog, place: Place, method: str, body: dict[str, Any], *, pool: str | None = None, detach: bool = False,
    show: Any = None, say: Say = lambda line: None,
) -> dict[str, Any]:  # fmt: skip
    """{"place", "answer"} of a command; detached or stopped watching, {"place", "flow_run", "server"} of what goes on."""
    if pool is not None and pool not in POOLS:
        raise BadInput(f"pool {pool!r} is not one of {', '.join(POOLS)}")
    if place.kind == "inline":
        return {"place": "inline", "answer": perform(cat, method, body, show=show, say=say)}
    at, flow_run = submit_work(cat, place, method, body, pool=pool, say=say)
    running = {"place": place.kind, "flow_run": flow_run, "server": at.url}
    if detach:
        return running
    try:
        held = watch(cat, at, flow_run, show)
    except KeyboardInterrupt:
        return running  # only the watching ends; the training goes on where it is
    # Without a record there was nothing to train: the answer is read, here as there.
    answer = answer_of(cat, held.id) if held is not None else perform(cat, method, body, show=show, say=say)
    return {**running, "run_id": held.id if held else None, "answer": answer}


def submit_work(
    cat: Catalog, place: Place, method: str, body: dict[str, Any], *, pool: str | None = None,
    say: Say = lambda line: None,
) -> tuple[PrefectApi, str]:  # fmt: skip
    """Hand a command to the server of a place, starting the home's where it is asked for; returns server and flow run."""
    marks = marks_of(cat, body)  # also says, before anything starts, which mix or dataset is not there
    at = ensure(cat, say).endpoint if place.kind == "home" else place.endpoint
    assert at is not None
    wants = "cpu" if str(body.get("device") or "").startswith("cpu") else "gpu"
    pool = pool or pick_pool(at, [wants])
    if place.kind == "home":
        await_deployment(at, pool, TRIAL_FLOW)
    parameters = {"method": method, "body": body, "marks": marks, "place": place.kind}
    name = f"trial {method} {' '.join(marks)}"
    flow_run = create_run(cat, at, TRIAL_FLOW, pool, name, parameters)
    say(f"run {flow_run[:8]} in pool {pool}: `strata runs show {flow_run[:8]}` watches, `strata runs cancel` stops it")
    return at, flow_run
