"""Incidents: what of an address, a sample, a text or an eval item is held and whom it reached; a takedown, and its receipt."""

from __future__ import annotations

import json
from typing import Any

import streamlit as st

from agents.proposals import find, proposals, propose
from catalog import Catalog
from catalog.errors import BadInput
from catalog.incidents import locate
from catalog.meta.proposals import Proposal
from catalog.receipts import receipt, receipts
from ui.web.components import address, incident, reach, shell
from ui.web.components.decide import answers, told
from ui.web.components.figures import count, plural
from ui.web.components.markup import h, link, live
from ui.web.queries.mixtures import heads

WIDE = 1_000
"""Samples from which on a takedown asks for their count to be typed."""
LONGEST = 1_500
"""Characters of a question that the address holds; a longer text stays in the session."""
HINT = "https://example.org/page, 9f3ab12c, a source, or the text itself"


def asked() -> str:
    """What is looked for: from the box, else from the address."""
    if "incident_text" not in st.session_state or address.get("q") not in (
        "",
        st.session_state.get("incident_held", ""),
    ):
        st.session_state["incident_text"] = st.session_state["incident_held"] = address.get("q")
    with st.form("incident", border=False):
        st.text_area("Address, sample id, source, text or eval item", key="incident_text", placeholder=HINT, height=90)
        if st.form_submit_button("Look", type="primary"):
            text = st.session_state["incident_text"].strip()
            st.session_state["incident_held"] = text if len(text) <= LONGEST else ""
            address.put(q=text if len(text) <= LONGEST else None, ids=None, wide=None, receipt=None, proposal=None)
    return st.session_state["incident_text"].strip()


def kept(key: tuple[Any, ...], name: str, make: Any) -> Any:
    """An answer that stays while nothing in the catalog changes."""
    held = st.session_state.get(name)
    if held is None or held[0] != key:
        st.session_state[name] = held = (key, make())
    return held[1]


def look(cat: Catalog, text: str) -> None:
    """The answer to a question: what is held, how far it reaches, and the way to take it out."""
    state = heads(cat)
    far = bool(address.get("nearest"))
    with st.spinner("looking through every dataset …"):
        found = kept((text, far, state), "incident_found", lambda: locate(cat, text, nearest=far))
    picked = [
        one for one in st.query_params.get_all("ids") if one in {held["sample_id"] for held in found["candidates"]}
    ]
    live(incident.found(found, picked, wide=bool(address.get("wide")), far=far), "found", answer)
    ask = dict(found["wider"]["ask"] if address.get("wide") and found.get("wider") else found["ask"] or {})
    if picked:
        ask = {"ids": sorted({*ask.get("ids", []), *picked})} if set(ask) <= {"ids"} else ask
    if ask:
        takedown(cat, ask, state)


def answer(name: str, value: str) -> None:
    if name == "pick":
        held = st.query_params.get_all("ids")
        address.put(ids=[one for one in held if one != value] if value in held else [*held, value])
    elif name in ("wide", "nearest"):
        address.put(**{name: value or None})


def takedown(cat: Catalog, ask: dict[str, Any], state: tuple[Any, ...]) -> None:
    """The blast radius with the options that widen it, and the proposal."""
    left, right, _ = st.columns([1, 1, 2.2], gap="small")
    copies = left.checkbox(
        "exact copies too", key="incident_copies", value=True, help="The same content under other ids."
    )
    children = right.checkbox("what was made from it too", key="incident_children", help="Rows whose parents it is.")
    options = {**ask, "copies": copies, "children": children}
    key = (json.dumps(options, sort_keys=True), state)
    with st.spinner("following it through mixes, pulls and ledgers …"):
        held = kept(key, "incident_reach", lambda: cat.retract(reason="a look", dry_run=True, **options))
    live(h("div", reach.strip(held), reach.radius(held, tiers(cat)), cls="sx-stack"), "radius")
    if not held["rows"]:
        return
    box, number, go = st.columns([2.6, 1.2, 1], gap="small", vertical_alignment="bottom")
    reason = box.text_input("Reason", key="incident_reason", placeholder="takedown request 17 of example.org",
                            help="Kept in the audit and on the receipt.")  # fmt: skip
    typed = True
    if held["samples"] > WIDE:
        said = number.text_input(
            f"Type {held['samples']} to confirm", key="incident_count", placeholder="number of samples"
        )
        typed = said.replace(",", "").strip() == str(held["samples"])
        shell.show(shell.note(
            f"This reaches {plural(held['samples'], 'sample')}. If that is more than was asked for, narrow it above; "
            "otherwise type their number.", "warn"))  # fmt: skip
    ready = bool(reason.strip()) and typed
    if go.button(
        "Propose the takedown", type="primary", width="stretch", **shell.writes("propose", disabled=not ready)
    ):
        made = propose(cat, "retract", {"reason": reason.strip(), **options}, title=f"Takedown: {reason.strip()}")
        address.put(proposal=made.id)
        st.rerun()


def tiers(cat: Catalog) -> dict[str, str]:
    return {dataset.name: dataset.tier for dataset in cat.datasets()}


def decide(cat: Catalog, given: str) -> None:
    """A proposal to take samples out: what it does, and yes or no."""
    held = find(cat, given)
    if held.verb != "retract":
        raise BadInput(f"proposal {held.id[:12]} is about {held.verb}; the assistant's page decides on it")
    live(incident.proposal(held, tiers(cat)), "proposal")
    if held.status == "done":
        live(h("a", "Open the receipt", cls="sx-step", **link("incidents", receipt=held.result["run"])), "done")
        return
    told(held.id)
    answers(cat, held, opened, editable=False)


def opened(done: Proposal) -> None:
    """A takedown that was carried out shows its receipt."""
    address.put(receipt=done.result["run"], proposal=None, q=None, ids=None)
    st.session_state.pop("incident_text", None)


def show_receipt(cat: Catalog, run: str) -> None:
    held = receipt(cat, run)
    live(h("a", "All incidents", cls="sx-link", **link("incidents")), "back")
    shell.show(shell.title("Receipt", f"{plural(held['samples'], 'sample')} taken out"))
    if not held.get("done"):
        shell.show(
            shell.note("This takedown was stopped half way: the same one again goes on with what is left.", "bad")
        )
    live(reach.receipt(held, tiers(cat)), "receipt")
    body = json.dumps(held, indent=2, ensure_ascii=False)
    st.download_button(
        "Download JSON", body, f"receipt-{held['run'][:8]}.json", "application/json", key="incident_download"
    )


def past(cat: Catalog) -> None:
    """What waits for a decision, and what was taken out."""
    if open_ := proposals(cat, "open", of="retract"):
        live(incident.waiting(open_), "incident_open")
    held = receipts(cat)
    if held:
        live(h("div", h("h2", "Receipts", cls="sx-h2"), reach.listing(held), cls="sx-block"), "incident_receipts")


def page() -> None:
    cat = shell.catalog()
    if run := address.get("receipt"):
        show_receipt(cat, run)
        return
    said = "what of it is held, whom it reached, and how it goes"
    shell.show(shell.title("Incidents", said))
    if not cat.datasets():
        sentence = "A takedown starts from what somebody names: an address, a sample id, a text, an item of an eval."
        shell.show(shell.empty("Nothing is held yet", sentence, "strata ingest FILE --as NAME"))
        return
    text = asked()
    with shell.guarded():
        if given := address.get("proposal"):
            decide(cat, given)
        elif text:
            look(cat, text)
        else:
            shell.show(shell.note(h("span", f"{count(len(cat.datasets()))} datasets are looked through, and every mix, "
                                    "pull and ledger. Nothing is changed before a person approves it.", cls="sx-soft")))  # fmt: skip
    with shell.guarded():
        past(cat)


page()
