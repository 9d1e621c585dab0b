"""Assistant: ask a language model that has the catalog's own tools, and decide on what it, or anybody, proposes."""

from __future__ import annotations

from typing import Any

import streamlit as st

from catalog import Catalog
from catalog.errors import StrataError
from ui.web.components import address, decide, shell
from ui.web.components.figures import plural
from ui.web.components.markup import Markup, h, link, live
from ui.web.components.parts import tabs

SETUP = """strata endpoint add vllm --url http://localhost:8000/v1 --model my-model --revision 2026-05-01
strata budget set assistant --money 5"""


def page() -> None:
    from agents.proposals import waiting

    cat = shell.catalog()
    shell.show(
        shell.title("Assistant", "it reads with the catalog's own tools; what it would change, a person decides")
    )
    held = "proposals" if address.get("tab") == "proposals" or address.get("proposal") else "ask"
    live(tabs("assistant", held, {"ask": "Ask", "proposals": ("Proposals", waiting(cat))}), "tabs")
    with shell.guarded():
        (decide.book if held == "proposals" else conversation)(cat)


def conversation(cat: Catalog) -> None:
    """Turns of this browser's session, and a box for the next question."""
    from flows.endpoints.account import budgets
    from flows.endpoints.registry import endpoints

    known = [name for name, item in endpoints(cat).items() if item.api != "transformers"]
    funds = [item.name for item in budgets(cat)]
    if not known or not funds:
        without(cat)
        return
    first, second, third, clear = st.columns([1, 1, 0.7, 0.6], gap="small", vertical_alignment="bottom")
    with first:
        endpoint = address.choice("Language model", "endpoint", known, default=known[0])
    with second:
        budget = address.choice("Budget", "budget", funds, default=funds[0])
    steps = third.number_input("Steps at most", 1, 60, 12, key="steps")
    turns: list[dict[str, Any]] = st.session_state.setdefault("turns", [])
    if clear.button("New conversation", disabled=not turns, width="stretch"):
        turns.clear()
        st.rerun()
    for number, turn in enumerate(turns):
        spoken(turn, number)
    if not turns:
        shell.show(shell.note(h("span", "Ask about what is held, why a row was dropped, what a mix would need. "
                                "Text of samples goes to a model elsewhere only from datasets whose owner consented, and never raw.", cls="sx-soft")))  # fmt: skip
    asked = st.chat_input("Ask", disabled=bool(shell.barred("propose")), max_chars=8000)
    if shell.barred("propose"):
        shell.show(shell.note(shell.barred("propose"), "warn"))
    if asked:
        answer(cat, asked, endpoint, budget, int(steps))


def answer(cat: Catalog, asked: str, endpoint: str, budget: str, steps: int) -> None:
    """One turn; each tool it uses is shown as it returns."""
    from ui.assistant import ask

    turns = st.session_state.turns
    history = turns[-1]["history"] if turns else "[]"
    with st.chat_message("user"):
        st.text(asked)
    with st.chat_message("assistant"):
        box = st.empty()
        used: list[str] = []
        with box, st.spinner("asking …"):
            try:
                turn = ask(cat, asked, endpoint=endpoint, budget=budget, history=history, steps=steps,
                           told=lambda step: used.append(step.tool))  # fmt: skip
            except StrataError as error:
                made: dict[str, Any] = {"error": shell.refusal(error), "history": history}
            else:
                made = vars(turn)
    turns.append({"asked": asked, **made})
    st.rerun()


def spoken(turn: dict[str, Any], number: int) -> None:
    """A question, the answer, the tools that were used and the proposals that came of it. Nothing of it is markup."""
    with st.chat_message("user"):
        st.text(turn["asked"])
    with st.chat_message("assistant"):
        if "error" in turn:
            shell.show(turn["error"])
            return
        st.text(turn["answer"] or "There is no answer.")
        made = [
            h("a", f"proposal {item[:8]}", cls="sx-link", **link("assistant", proposal=item))
            for item in turn["proposals"]
        ]
        if made:
            live(
                shell.note(h("div", "It proposes: ", made, ". Nothing is changed until a person approves."), "warn"),
                f"made_{number}",
            )
        notes = [*turn["notes"], f"{turn['usage']['tokens']:,} tokens, {turn['usage']['money']:.4f} spent"]
        with st.expander(f"{plural(len(turn['steps']), 'tool')} used · {' · '.join(notes)}"):
            for step in turn["steps"]:
                st.code(f"{step.tool}({step.args})\n{step.result[:2000]}", language=None)


def without(cat: Catalog) -> None:
    """What works with no language model, and how to set one up."""
    links = [
        ("Find data for a need", "discover", {}, "hybrid search over every card, with what is met and what is not"),
        ("Look for what is wrong with a dataset", "dataset", {"tab": "insight"}, "checks that show a query each"),
        ("Ask for a table", "sql", {}, "questions in words are read by rules and become SQL that you see"),
        ("Draft a mix for a goal", "mixes", {"mix": "new"}, "parts, filters and weights by a mixer"),
        ("Decide on what waits", "assistant", {"tab": "proposals"}, "proposals of agents, MCP clients and colleagues"),
    ]  # fmt: skip
    rows: list[Markup] = [
        h("a", h("b", name), h("span", about, cls="sx-soft"), cls="sx-menu-row", **link(page, **query))
        for name, page, query, about in links
    ]
    live(h("div", shell.note(h("div", h("div", "No language model is set up, or no budget for one.", cls="sx-head"),
                               h("div", "A conversation needs both. All of these do their work without:", cls="sx-soft"))),
           h("div", rows, cls="sx-frame"), cls="sx-stack"), "without")  # fmt: skip
    shell.show(h("div", h("div", "To set one up, at the command line:", cls="sx-soft"), h("pre", SETUP, cls="sx-pre")))


page()
