"""The book of proposals on the page: a list, one proposal, and the three answers to it."""

from __future__ import annotations

from collections.abc import Callable

import orjson
import streamlit as st

from catalog import Catalog
from catalog.errors import BadInput, StrataError
from catalog.meta.proposals import Proposal
from ui.web.components import address, proposal, shell
from ui.web.components.markup import live

STATES = {"open": "wait for you", "done": "done", "rejected": "rejected", "": "all"}


def book(cat: Catalog) -> None:
    """The list on the left, the chosen one on the right."""
    from agents.proposals import find, proposals

    left, right = st.columns([1, 1.9], gap="medium")
    with left:
        wanted = address.choice("Show", "state", list(STATES), default="open", format_func=STATES.__getitem__)
        held = proposals(cat, wanted or None)
        chosen = address.get("proposal") or (held[0].id if held else "")
        live(proposal.listed(held, chosen), "proposals", lambda _, value: address.put(proposal=value))
    with right, shell.guarded():
        if not chosen:
            shell.show(shell.note("No proposal waits. Agents, MCP clients and `strata propose` write them; nothing is changed "
                                  "before a person says yes."))  # fmt: skip
            return
        one = find(cat, chosen)
        told(one.id)
        shell.show(proposal.shown(one))
        answers(cat, one)


def told(key: str) -> None:
    """What the last answer led to, said once."""
    said = st.session_state.pop(f"decided_{key}", None)
    if said is not None:
        shell.show(said)


def answers(
    cat: Catalog, held: Proposal, after: Callable[[Proposal], None] | None = None, *, editable: bool = True
) -> None:
    """Approve, reject, edit; nothing where it is decided. What is approved is what is shown here: its digest goes with it.

    after: what an approval leads to, in place of a line that it is done."""
    from agents.proposals import OPEN, approve, reject

    if held.status not in OPEN:
        return
    # as it was when the button was drawn that is pressed now
    seen = st.session_state.get(f"shown_{held.id}", held.seen)
    st.session_state[f"shown_{held.id}"] = held.seen
    why = st.text_input("Note", key=f"why_{held.id}", placeholder="why; kept with the decision").strip()
    yes, no, _ = st.columns([0.7, 0.7, 2.6], gap="small")
    label = "Approve again" if held.status == "interrupted" else "Approve"
    if yes.button(label, type="primary", key=f"yes_{held.id}", width="stretch", **shell.writes()):
        with st.spinner("doing it …"):
            _answer(held, lambda: approve(cat, held.id, seen=seen, note=why), "Done.", after)
    if no.button("Reject", key=f"no_{held.id}", width="stretch", **shell.writes()):
        _answer(held, lambda: reject(cat, held.id, why), "Rejected; it stays in the book.")
    if editable:
        with st.expander("Edit the arguments"):
            _edit(cat, held, why)


def _edit(cat: Catalog, held: Proposal, why: str) -> None:
    from agents.proposals import edit

    text = st.text_area(
        "Arguments, as JSON", proposal.pretty(held.args), key=f"args_{held.id}_{held.revision}", height=220
    )
    if st.button("Work out the effect again", key=f"edit_{held.id}", **shell.writes("propose")):

        def change() -> Proposal:
            try:
                args = orjson.loads(text)
            except orjson.JSONDecodeError as error:
                raise BadInput(f"the arguments are no JSON: {error}; mend them and try again") from None
            if not isinstance(args, dict):
                raise BadInput('the arguments are a JSON object: {"ref": ...}')
            return edit(cat, held.id, args, why)

        _answer(held, change, "Edited; the effect is new, look at it before you approve.")


def _answer(
    held: Proposal, act: Callable[[], Proposal], said: str, after: Callable[[Proposal], None] | None = None
) -> None:
    """Do it, and show what it led to on the page as it then is; a refusal is shown there too."""
    try:
        made = act()
    except StrataError as error:
        st.session_state[f"decided_{held.id}"] = shell.refusal(error)
    else:
        if after is not None:
            after(made)
        else:
            st.session_state[f"decided_{held.id}"] = shell.note(said, "ok")
    st.rerun()
