"""A question in words above the editor: its SQL goes into the editor, so that what runs is always seen."""

from __future__ import annotations

from typing import Any

import streamlit as st

from catalog import Catalog
from catalog.errors import StrataError
from ui.web.components import address, shell
from ui.web.components.markup import Markup, h, link, live

CHARTS = {"bar": "bar", "line": "line", "histogram": "bar", "scatter": "points"}
"""Chart of an answer -> what the page calls it."""


def ask_box(cat: Catalog, kinds: dict[str, str]) -> None:
    """The box, and below it the sentence of the last answer or what could be asked. kinds: charts that the page draws."""
    from flows.endpoints.account import budgets
    from flows.endpoints.registry import endpoints

    models, funds = list(endpoints(cat)), [held.name for held in budgets(cat)]
    boxes = st.columns([4, 1, 1] if models and funds else [1], gap="small", vertical_alignment="bottom")
    text = boxes[0].text_input("Ask in words", key="ask_words", placeholder="average chars by language of web")
    model = boxes[1].selectbox("With", ["", *models], key="ask_model", format_func=lambda name: name or "rules") if len(boxes) > 1 else ""  # fmt: skip
    fund = boxes[2].selectbox("Budget", funds, key="ask_budget", disabled=not model) if len(boxes) > 1 else None
    if text.strip() and st.session_state.get("ask_of") != (text, model, fund):
        st.session_state["ask_of"] = (text, model, fund)
        _answer(cat, text, model or None, fund if model else None, kinds)
    if said := st.session_state.get("ask_said"):
        live(said, "asked")


def _answer(cat: Catalog, text: str, model: str | None, fund: str | None, kinds: dict[str, str]) -> None:
    """Work the question out; its SQL and chart go into the address, what it says beside the box."""
    from ui.questions import question

    try:
        with st.spinner("working it out …"):
            held = question(cat, text, endpoint=model, budget=fund)
    except StrataError as error:
        st.session_state["ask_said"] = shell.refusal(error)
        return
    if held["sql"] is None:
        st.session_state["ask_said"] = _near(held)
        return
    drawn = held["chart"] or {}
    kind = CHARTS.get(drawn.get("kind", ""), "table")
    st.session_state["ask_said"] = shell.note(h("div", h("div", held["sentence"], cls="sx-head"), h("div", _how(held), cls="sx-soft")), "ok")  # fmt: skip
    st.session_state.pop("sql_result", None)
    kind = kind if kind in kinds else "table"
    address.put(
        q=held["sql"], saved=None, chart=kind if kind != "table" else None, x=drawn.get("x"), y=drawn.get("y"), by=None
    )
    st.rerun()


def _how(held: dict[str, Any]) -> str:
    return "; ".join([f"read by {held['by']}", *held["notes"]])


def _near(held: dict[str, Any]) -> Markup:
    """What to do with a question that nobody could read."""
    near = held["near"]
    kept = [h("a", item["name"], cls="sx-step", **link("sql", saved=item["name"])) for item in near["queries"]]
    pieces = [
        h("div", "No SQL could be written for this question.", cls="sx-head"),
        h("div", "Kept queries that come near: ", kept, cls="sx-wrap") if kept else None,
        h("div", f"Columns that come near: {', '.join(near['columns'])}") if near["columns"] else None,
        h("div", f"Questions that can be read: {'; '.join(near['questions'])}.", cls="sx-soft"),
        h("div", _how(held), cls="sx-soft"),
    ]
    return shell.note(h("div", [piece for piece in pieces if piece], cls="sx-stack", style="gap:6px"), "warn")
