"""Flows: choose columns to compute, see what will run, start it, watch it, stop it."""

from __future__ import annotations

from typing import Any

import streamlit as st

from catalog import Catalog
from catalog.catalog import Resolved
from catalog.errors import StrataError
from catalog.meta.models import Run
from catalog.plugins import FAILED, Scorer, get_scorer
from ui.web.components import address, offers, params, shell
from ui.web.components.figures import count
from ui.web.components.history import details, history, running
from ui.web.components.markup import h, live
from ui.web.components.runs import ACTIVE
from ui.web.queries import choosing, jobs

PLACES = {
    "": "where it fits best",
    "inline": "in this machine's background",
    "home": "on the home's Prefect server",
    "team": "on the team's Prefect server",
}
NEWEST = 100  # runs that the history lists
HINT = "Choose scorers on the left. The planner adds what they build on and skips every row that has its value already."


@st.cache_resource(show_spinner=False)
def started(home: str) -> list[jobs.Job]:
    """Commands that this server started, newest last; shared by its sessions."""
    return []


def jobs_of(cat: Catalog) -> list[jobs.Job]:
    return started(str(cat.settings.home))


def toggle(name: str, value: str) -> None:
    held = st.query_params.get_all("scorer")
    address.put(scorer=[item for item in held if item != value] if value in held else [*held, value])


def choose(cat: Catalog, found: Resolved) -> None:
    """The menu of scorers, and beside it what a choice means."""
    grouped = choosing.offers(cat, found)
    usable = {offer.scorer.name for group in grouped.values() for offer in group if not offer.reason}
    held = [name for name in dict.fromkeys(st.query_params.get_all("scorer")) if name in usable]
    left, right = st.columns([1.15, 1], gap="medium")
    with left:
        live(offers.menu(grouped, held, found.dataset.rows, FAILED), "menu", toggle)
    with right:
        st.fragment(activity, run_every=1.0 if busy(cat) else 5.0)()
        if not held:
            shell.show(shell.note(h("span", HINT, cls="sx-soft")))
            return
        with shell.guarded():
            prepare(cat, found, held)


def prepare(cat: Catalog, found: Resolved, held: list[str]) -> None:
    """Options, the plan, the command, and the buttons that run it."""
    from flows import plan

    given = options(cat, found, choosing.upstream([get_scorer(name) for name in held]))
    planned = plan(
        cat, found.dataset.name, held, params=given.get("params"), target=given["target"], sample=given["sample"]
    )
    command = jobs.score_command(found.dataset.name, held, given)
    line = h("pre", "strata " + " ".join(command), cls="sx-pre", style="margin-top:8px")
    shell.show(offers.steps(planned))
    shell.show(h("div", h("div", offers.total(planned), cls="sx-soft"), line))
    go, time, _ = st.columns([0.8, 1, 2], gap="small")
    if go.button("Start", type="primary", width="stretch", **shell.writes(disabled=not planned.todo)):
        jobs_of(cat).append(jobs.start(cat, found.ref, command))
        st.rerun()
    about = "Runs each scorer on a few rows, writes nothing, and remembers the rate."
    if time.button("Estimate time", disabled=not planned.todo, width="stretch", help=about):
        from flows.estimate import estimate

        with st.spinner("timing each scorer on a few rows …"):
            costs = estimate(cat, planned)
        shell.show(offers.costs(costs))


def options(cat: Catalog, found: Resolved, every: list[Scorer]) -> dict[str, Any]:
    """Target, sample, place and parameters of the scorers and of those they build on."""
    left, middle, right = st.columns(3, gap="small")
    about = "A uniform sample; a larger one contains it. The other rows count as not sampled."
    sample = left.number_input("Sample of rows", 1, value=None, placeholder="all rows", key="sample", help=about)
    needed = any(scorer.fit_on == "target" for scorer in every)
    targets = [held for held in cat.datasets() if held.role != "eval"]
    names = [held.name for held in targets]
    first = next((at for at, held in enumerate(targets) if held.role == "target"), None)
    target = middle.selectbox(
        "Target",
        names,
        index=first if needed else None,
        placeholder="choose a dataset" if needed else "not needed",
        disabled=not needed,
        key=f"target_{needed}",
        help="The dataset that says what good text looks like.",
    )
    place = right.selectbox("Run", list(PLACES), format_func=PLACES.get, key="place")
    given: dict[str, Any] = {"sample": sample, "target": target if needed else None, "on": place}
    if params.fields(every):
        with st.expander("Parameters"):
            given["params"] = params.form(every, _endpoints(cat) if any(s.cost == "api" for s in every) else None)
    return given


def busy(cat: Catalog) -> bool:
    return any(job.running for job in jobs_of(cat)) or any(run.status in ACTIVE for run in cat.runs(limit=20))


def activity() -> None:
    """What goes on, drawn again every second while something does; when that changes, the whole page is."""
    with shell.guarded():
        cat = shell.catalog()
        runs, held = cat.runs(limit=NEWEST), jobs_of(cat)
        active, waiting = [run for run in runs if run.status in ACTIVE], unrecorded(runs, held)
        signs = sorted([run.id for run in active] + [str(job.log) for job in waiting])
        changed = st.session_state.get("signs", signs) != signs
        st.session_state["signs"] = signs
        if changed:
            st.rerun()
        if said := st.session_state.pop("said", None):
            st.toast(said)
        if active or waiting:
            live(running(active, waiting), "running", answer)


def unrecorded(runs: list[Run], held: list[jobs.Job]) -> list[jobs.Job]:
    """Commands without a run record yet, and those that ended badly without one."""
    known = {run.pid for run in runs}
    return [job for job in held if job.process.pid not in known and (job.running or job.failed)]


def answer(name: str, value: str) -> None:
    if name == "cancel":
        from flows.watching import cancel_run

        try:
            st.session_state["said"] = cancel_run(shell.catalog(), value)
        except StrataError as error:
            st.session_state["said"] = error.message
    elif name == "run":
        address.put(run=None if address.get("run") == value else value)
    elif name == "clear":
        held = jobs_of(shell.catalog())
        held[:] = [job for job in held if job.running]


def past(cat: Catalog) -> None:
    """Every recorded run, and the chosen one in full."""
    runs, chosen = cat.runs(limit=NEWEST), address.get("run")
    live(history(runs, chosen), "history", answer)
    picked = next((run for run in runs if chosen and run.id.startswith(chosen)), None)
    if picked is not None:
        live(details(picked), "run", answer)


def page() -> None:
    cat = shell.catalog()
    names = [dataset.name for dataset in cat.datasets()]
    if not names:
        sentence = "A flow computes columns of a dataset; ingest one first."
        shell.show(shell.empty("Nothing to compute on yet", sentence, "strata ingest FILE --as NAME", whole=True))
        return
    left, right = st.columns([2.4, 1], gap="medium")
    with right:
        name = address.choice("Dataset", "dataset", names, names[0], ("scorer",), label_visibility="collapsed")
    found = cat.resolve(name)
    with left:
        shell.show(shell.title("Flows", f"compute columns of {found.ref}, {count(found.dataset.rows)} rows"))
    choose(cat, found)
    past(cat)


page()


def _endpoints(cat: Catalog) -> dict[str, list[str]]:
    """What the parameters of judges may name."""
    from flows.endpoints.account import budgets
    from flows.endpoints.registry import endpoints

    return {"endpoint": list(endpoints(cat)), "budget": ["", *(held.name for held in budgets(cat))]}
