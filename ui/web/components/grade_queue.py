"""The queue of a campaign: take an item, choose by keys, store, and the next one is there.

Choosing happens in the browser; a stored grade is one round trip, which brings the next item with it. Only this fragment
of the page is drawn again.
"""

from __future__ import annotations

import hashlib
import logging
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import streamlit as st

from catalog import Catalog, grades
from catalog.errors import BadInput, NotFound, Refused, StrataError
from ui.web.components import shell
from ui.web.components.grade_item import asked, desk, nothing_left, response, side_note, strip
from ui.web.components.markup import Markup, h, link, text

log = logging.getLogger("strata.web")
State = dict[str, Any]
"""view: the item in hand or None; mine: items graded; last: what became of the one before; said: what went wrong."""


@cache
def _script() -> str:
    return (Path(__file__).parent / "grade_desk.js").read_text(encoding="utf-8")


def opened(cat: Catalog, name: str, grader: str) -> State:
    """A desk as it is when the page opens: the item in hand, or the next one."""
    line = next((line for line in grades.overview(cat, grader) if line["campaign"] == name), None)
    state: State = {"mine": line["mine"] if line else 0, "answers": {}}
    return advance(cat, name, grader, state)


def advance(cat: Catalog, name: str, grader: str, state: State) -> State:
    """The next item, or none; a campaign that takes no more grades is said so."""
    state |= {"view": None, "stopped": None}
    try:
        state["view"] = grades.next_item(cat, name, grader)
    except Refused as error:
        state["stopped"] = error
    if state["view"]:
        state["answers"] = state.pop("again", None) or {}
        state["edit"] = state.pop("edit_again", None) or state["view"]["edit"]
    return state


def heard(cat: Catalog, name: str, grader: str, state: State, body: dict[str, Any]) -> State:
    """What a grader asked for: put, skip or undo. A mistake keeps the item and what was chosen; the rest goes on."""
    state["said"] = state["focus"] = None
    what, item = body.get("do"), str(body.get("item") or "")
    try:
        if what == "put":
            _put(cat, grader, state, item, body)
        elif what == "skip":
            grades.skip(cat, item, grader=grader, note=str(body.get("note") or ""))
            state["last"] = {"did": "skipped", "words": [], "item": item}
        elif what == "undo":
            _undo(cat, name, grader, state)
        else:
            raise BadInput(f"the page knows put, skip and undo, not {what!r}")
    except BadInput as error:
        state["said"], state["answers"] = shell.refusal(error), _answers(body.get("values"))
        state["edit"] = body["edit"] if isinstance(body.get("edit"), str) else None
        return state
    except (Refused, NotFound) as error:
        state["said"] = side_note(*_missed(error, body))
    return advance(cat, name, grader, state)


def _put(cat: Catalog, grader: str, state: State, item: str, body: dict[str, Any]) -> None:
    values, seconds, edit = body.get("values"), body.get("seconds"), body.get("edit")
    if not isinstance(values, dict) or not isinstance(edit, str | None):
        raise BadInput("the page sent no grade; choose again")
    timed = float(seconds) if isinstance(seconds, (int, float)) and 0 <= seconds < 86_400 else None
    done = grades.put(cat, item, values, grader=grader, note=str(body.get("note") or ""), seconds=timed, edit=edit)
    view = state.get("view") or {}
    state["mine"] += not done["repeated"] and not view.get("mine")
    said = grades.look(cat, item, grader)["suggestions"] if view.get("reveal") == "after" else {}
    did = "stored" if edit is None else "stored with your edit"
    state["last"] = {
        "did": did,
        "item": item,
        "values": values,
        "words": _words(values),
        "suggestions": said,
        "edit": edit,
    }


def _undo(cat: Catalog, name: str, grader: str, state: State) -> None:
    last, done = state.get("last") or {}, grades.undo(cat, name, grader)
    state["mine"] -= done["undone"] == "grade"
    state["last"] = {"did": f"took back a {done['undone']}", "words": [], "item": done["item"]}
    if last.get("item") == done["item"] and "values" in last:
        state["again"], state["edit_again"] = _answers(last["values"]), last.get("edit")


def _answers(values: Any) -> dict[str, dict[str, Any]]:
    """What was chosen, by target, as the page's script holds it."""
    if not isinstance(values, dict):
        return {}
    whole = {name: value for name, value in values.items() if not isinstance(value, dict)}
    parts = {name: value for name, value in values.items() if isinstance(value, dict)}
    return ({"": whole} if whole else {}) | parts


def _words(values: dict[str, Any]) -> list[str]:
    flat = [f"{name.replace('_', ' ')} {value}" for name, value in values.items() if not isinstance(value, dict)]
    return (flat + [target for target, value in values.items() if isinstance(value, dict)])[:4]


def _missed(error: StrataError, body: dict[str, Any]) -> tuple[str, str]:
    """Why something was not stored, and that the next item is there."""
    head = error.message.partition("; ")[0]
    chosen = ", ".join(_words(body["values"])) if isinstance(body.get("values"), dict) else ""
    lost = f"Nothing was stored of what you chose ({chosen})." if chosen else "Nothing was changed."
    return head[:1].upper() + head[1:], f"{lost} The queue goes on below."


def mounted(name: str, grader: str) -> str:
    return f"desk_{hashlib.sha256(f'{name} {grader}'.encode()).hexdigest()[:12]}"


def queue(name: str, grader: str) -> None:
    """The desk of one grader. A page that is opened asks for the item anew; the fragment then keeps it."""
    key = f"{mounted(name, grader)}_state"
    held = st.session_state.get(key)
    if held is not None:
        with shell.guarded():
            held |= opened(shell.catalog(), name, grader)
    _desk(name, grader)


@st.fragment
def _desk(name: str, grader: str) -> None:
    with shell.guarded():
        cat, key = shell.catalog(), mounted(name, grader)
        state = st.session_state.get(f"{key}_state")
        if state is None:
            state = st.session_state[f"{key}_state"] = opened(cat, name, grader) | {"version": 0}
        elif state["view"] is None:
            advance(cat, name, grader, state)
        _mount(cat, name, grader, key, state)


def _mount(cat: Catalog, name: str, grader: str, key: str, state: State) -> None:
    view = state["view"]
    markup = h("div", drawn(cat, name, grader, state), cls="sx-stack")
    data: dict[str, Any] = {"html": text(markup), "version": f"{state['version']}:{view['item'] if view else ''}"}
    if view:
        turns = len(view["samples"][0].get("messages") or [])
        data |= {"item": view["item"], "mode": view["target"], "turns": turns, "questions": asked(view),
                 "answers": state["answers"], "response": response(view), "edit": state.get("edit")}  # fmt: skip
    mount = st.components.v2.component(
        "strata_desk", html='<div class="sx-live"></div>', js=_script(), isolate_styles=False
    )
    mount(key=key, data=data, on_act_change=lambda: _asked(name, grader, key))
    if view is None and st.button("Look again", key=f"{key}_again"):
        st.rerun(scope="fragment")


def _asked(name: str, grader: str, key: str) -> None:
    """Called before the fragment is drawn again, so that one run brings the next item."""
    sent = getattr(st.session_state.get(key), "act", None)
    state = st.session_state.get(f"{key}_state")
    if not sent or state is None:
        return
    try:
        body = orjson.loads(sent)
        state = heard(shell.catalog(), name, grader, state, body if isinstance(body, dict) else {})
    except StrataError as error:
        state["said"] = shell.refusal(error)
    except Exception as error:
        log.exception("a grade was not stored")
        state["said"] = shell.breakdown(error)
    state["version"] += 1
    st.session_state[f"{key}_state"] = state


def drawn(cat: Catalog, name: str, grader: str, state: State) -> list[Markup | None]:
    """What the desk shows: what went wrong, one line of progress, then the item or why there is none."""
    said = state.get("said")
    if state["view"]:
        return [said, strip(state, name), desk(state["view"], state)]
    if state["stopped"] is not None:
        return [said, stopped(state["stopped"], name)]
    line = next(line for line in grades.overview(cat, grader) if line["campaign"] == name)
    return [said, strip(state, name), nothing_left(line)]


def stopped(error: StrataError, name: str) -> Markup:
    """The campaign takes no grades from this person: closed, its dataset gone, or no right to write."""
    head, _, remedy = error.message.partition("; ")
    links = h("a", "Results", cls="sx-step", **link("grade", campaign=name, tab="results"))
    return h("div", h("h2", head[:1].upper() + head[1:]), h("p", remedy or "What was graded stays, and can be published."),
             links, cls="sx-empty", role="alert")  # fmt: skip
