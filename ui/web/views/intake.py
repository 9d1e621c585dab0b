"""Intake: every source with where it stands and what is to be done next; many are settled at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import streamlit as st

from catalog import Catalog
from catalog.access import check
from catalog.errors import BadInput, Busy, Refused
from catalog.ingest.sources import load_sources
from ui.intake import STATUSES, intake_rows
from ui.web.components import address, intake_acts, intake_list, shell
from ui.web.components.figures import count, plural
from ui.web.components.markup import h, live
from ui.web.queries import jobs

PAGE = 50
FILE = """sources:
  - {name: web, uri: data/web-*.jsonl.gz, licence: CC-BY-4.0, licence_evidence: https://example.org/licence, owner: ana}"""


class Work(NamedTuple):
    """A command that runs beside the server, and what it is in words."""

    job: jobs.Job
    words: str


@st.cache_resource(show_spinner=False)
def started(home: str) -> list[Work]:
    """Commands about sources that this server started, newest last; shared by its sessions."""
    return []


def running(cat: Catalog) -> list[Work]:
    return [work for work in started(str(cat.settings.home)) if work.job.running]


def begin(cat: Catalog) -> Callable[[Sequence[str], str], None]:
    """Starts a command beside the server, one at a time, and draws the page again."""

    def run(command: Sequence[str], words: str) -> None:
        if held := running(cat):
            raise Busy(f"{held[-1].words} still runs; wait until it is done")
        started(str(cat.settings.home)).append(Work(jobs.start(cat, "intake", command), words))
        address.put(pick=None)
        st.rerun()

    return run


def take_in(cat: Catalog) -> None:
    """Read a sources file that lies where the server runs; what it names is looked at first."""
    box, go = st.columns([4, 1], gap="small", vertical_alignment="bottom")
    about = "A file on the machine that serves this page; paths in it are relative to it."
    path = box.text_input("Sources file", key="intake_file", placeholder="/data/sources.yaml", help=about).strip()
    if not path:
        shell.show(h("pre", FILE, cls="sx-pre"))
        return
    with shell.guarded():
        if why := shell.barred("admin"):
            raise Refused(why)
        specs = load_sources(path)
        known = {row["name"] for row in intake_rows(cat)}
        fresh = sum(spec.name not in known for spec in specs)
        shell.show(h("div", f"{plural(len(specs), 'source')}, {count(fresh)} of them new", cls="sx-soft"))
        if go.button(
            "Take in",
            type="primary",
            width="stretch",
            key="intake_go",
            **shell.writes("admin", disabled=bool(running(cat))),
        ):
            check(cat, "admin", f"file {path}")
            begin(cat)(["ingest", "--sources", path], f"reading {plural(len(specs), 'source')}")


def activity() -> None:
    """What runs just now; drawn again by itself until it is done, then the whole page is."""
    with shell.guarded():
        cat = shell.catalog()
        active = running(cat)
        before, st.session_state["intake_active"] = st.session_state.get("intake_active", 0), len(active)
        if before and not active:
            st.rerun()
        if words := st.session_state.pop("intake_said", None):
            st.toast(words)
        held = started(str(cat.settings.home))
        for work in active:
            waiting = (
                sum(row["status"] == "waiting" for row in intake_rows(cat)) if work.job.command[0] == "ingest" else 0
            )
            more = f", {count(waiting)} to go" if waiting else ""
            shell.show(
                shell.note(h("span", h("b", work.words[:1].upper() + work.words[1:]), more, " …", role="status"))
            )
        if (
            held and not active and held[-1].job.process.poll() not in (0, 2)
        ):  # 2: some failed, each says why in the table
            shell.show(shell.note(h("pre", intake_acts.said(held[-1].job), cls="sx-pre"), "bad"))


def handle(name: str, value: str) -> None:
    picked = st.query_params.get_all("pick")
    if name == "pick":
        address.put(pick=[one for one in picked if one != value] if value in picked else [*picked, value])
    elif name == "all":
        shown = st.session_state.get("intake_shown", [])
        address.put(pick=None if set(shown) <= set(picked) else list(dict.fromkeys([*picked, *shown])))
    elif name == "source":
        address.put(source=None if address.get("source") == value else value)
    elif name == "at":
        address.put(at=value if value != "0" else None)


def page() -> None:
    cat = shell.catalog()
    rows = intake_rows(cat)
    shell.show(shell.title("Intake", "where every source stands, and what is to be done next"))
    st.fragment(activity, run_every=1.0 if running(cat) else None)()
    if not rows:
        sentence = "A sources file names many at once, each with its licence, owner and what it promises; one that cannot be read stays listed with the reason."
        shell.show(shell.empty("No source yet", sentence, "strata ingest --sources sources.yaml"))
        take_in(cat)
        return
    wanted = address.get("status")
    wanted = wanted if wanted in STATUSES else ""
    left, right = st.columns([3.2, 1], gap="medium", vertical_alignment="bottom")
    with left:
        live(intake_list.filters(rows, wanted), "intake_filters")
    with right:
        words = address.text_box("Find a source", "q", ("at",), placeholder="name or owner").lower()
    shown = [
        row for row in rows
        if (not wanted or row["status"] == wanted) and (words in row["name"].lower() or words in (row["owner"] or "").lower())
    ]  # fmt: skip
    at = min(address.get_int("at"), max(0, len(shown) - 1)) // PAGE * PAGE
    names = {row["name"] for row in rows}
    picked = [name for name in st.query_params.get_all("pick") if name in names]
    st.session_state["intake_shown"] = [row["name"] for row in shown]
    chosen = address.get("source")
    live(intake_list.listing(shown[at : at + PAGE], picked, chosen, at, PAGE, len(shown)), "intake_list", handle)
    if picked:
        with shell.guarded():
            intake_acts.bulk(cat, [row for row in rows if row["name"] in picked], begin(cat))
    if chosen:
        with shell.guarded():
            held = next((row for row in rows if row["name"] == chosen), None)
            if held is None:
                raise BadInput(f"no source {chosen!r} is on the list; it was taken off or renamed")
            intake_acts.details(cat, held, begin(cat))
    with shell.guarded():
        intake_acts.waiting(cat, begin(cat))
    with st.expander("Take in a sources file"):
        take_in(cat)


page()
