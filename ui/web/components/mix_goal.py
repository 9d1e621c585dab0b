"""A goal in words above the spec: the draft fills it, its reasons are a view of the editor, and it can be proposed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from catalog import Catalog
from catalog.errors import StrataError
from ui.web.components import shell
from ui.web.components.figures import count, plural, share
from ui.web.components.lock import swatch
from ui.web.components.markup import Markup, h, link
from ui.web.components.parts import bar, caps, pairs, table
from ui.web.queries import mixtures

DRAFT, NEXT, WORDS = "mix_draft", "mix_spec_next", "mix_goal_words"
EXAMPLE = "maths-heavy 2M tokens, commercial use, at most 4 epochs, no eval leaks"
USES = {"research": "research", "commercial": "commercial use", "share": "to be shared", "share-commercial": "to be shared commercially"}  # fmt: skip


def goal_box(cat: Catalog) -> bool:
    """The box; True where a draft was made and fills the spec on the next run. A refusal stays below the box."""
    st.session_state[WORDS] = st.session_state.get(WORDS, "")
    about = "How much, of which sorts, for what use, how often a row may come. Nothing is written."
    text = st.text_area("A goal in words", key=WORDS, placeholder=EXAMPLE, help=about, height=80)
    endpoint, budget = _model(cat)
    if not st.button(
        "Draft", key="mix_draft_go", width="stretch", disabled=not text.strip(), help="Fills the spec below."
    ):
        return False
    return _drafted(cat, text, endpoint, budget)


def _model(cat: Catalog) -> tuple[str | None, str | None]:
    """A language model is asked only where one is chosen, and there is a budget for it."""
    from flows.endpoints.account import budgets
    from flows.endpoints.registry import endpoints

    names, funds = list(endpoints(cat)), [held.name for held in budgets(cat)]
    if not names or not funds:
        return None, None
    one, two = st.columns(2, gap="small")
    name = one.selectbox("Read by", ["", *names], key="mix_goal_model", format_func=lambda held: held or "rules")
    fund = two.selectbox("Budget", funds, key="mix_goal_budget", disabled=not name)
    return (name, fund) if name else (None, None)


def _drafted(cat: Catalog, text: str, endpoint: str | None, budget: str | None) -> bool:
    from ui.questions import draft

    try:
        with st.spinner("looking for data …"):
            held = draft(cat, text, endpoint=endpoint, budget=budget)
    except StrataError as error:
        shell.show(shell.refusal(error))
        return False
    written = mixtures.written(mixtures.tidy(held["spec"])).strip() + "\n" if held["spec"] else None
    st.session_state[DRAFT] = {"held": held, "written": written, "model": endpoint or ""}
    if written:
        st.session_state[NEXT] = written
    return True


def reasons(cat: Catalog, text: str) -> None:
    """Why the draft is as it is, what it lacks, and what was left out."""
    kept = st.session_state.get(DRAFT)
    if kept is None:
        shell.show(shell.note(h("span", "Write a goal in words and press Draft: datasets that fit become parts, with their reasons here. For example: ", h("code", EXAMPLE))))  # fmt: skip
        return
    held = kept["held"]
    changed = kept["written"] is not None and kept["written"] != text
    pieces = [
        shell.note("The spec was changed since; this is about the draft.") if changed else None,
        None if held["spec"] else shell.note("No dataset of the catalog fits the goal, so the spec stays as it was.", "warn"),
        _understood(held["goal"], held["understood"]),
        _lines("what is short", held["shortfalls"], "warn"),
        _parts(held),
        _left_out(held["left_out"]),
        _trials(held["trials"]),
        _lines("notes", held["notes"]),
    ]  # fmt: skip
    shell.show(h("div", [piece for piece in pieces if piece], cls="sx-stack"))


def _understood(goal: str, held: Mapping[str, Any]) -> Markup:
    """What was read, so that a person sees what was not."""
    total = f"{count(held['total'])} {held['unit']}" if held["total"] else "as much as there is"
    wants = ", ".join(
        f"{want['words']} {share(want['share'])}" if want["share"] is not None else want["words"]
        for want in held["wants"]
    )
    rows = [("wanted", wants), ("how much", total), ("use", USES.get(held["use"] or "", held["use"] or "not said")),
            ("a row comes", f"at most {plural(int(held['epochs']), 'time')}" if float(held["epochs"]).is_integer() else f"at most {held['epochs']:g} times"),
            ("eval leaks", "left out" if held["no_leaks"] else "not asked about")]  # fmt: skip
    rows += [("tier", held["tier"])] if held["tier"] else []
    rows += [("without", ", ".join(held["without"]))] if held["without"] else []
    return h(
        "section", h("div", "“", goal, "”", style="margin-bottom:8px"), caps("read as"), pairs(rows), cls="sx-panel"
    )


def _lines(heading: str, lines: list[str], tone: str = "") -> Markup | None:
    if not lines:
        return None
    items = h("ul", [h("li", line) for line in lines], style="margin:4px 0 0;padding-left:18px")
    return h("div", h("div", caps(heading), items), cls=f"sx-note {tone}") if tone else h("div", caps(heading), items, cls="sx-soft")  # fmt: skip


def _parts(held: Mapping[str, Any]) -> Markup | None:
    """Each part with its weight, why it is there, and samples that show it."""
    if not held["spec"]:
        return None
    parts = held["spec"]["parts"]
    whole = sum(part.get("weight", 1.0) for part in parts)
    rows = []
    for at, part in enumerate(parts):
        ref, weight = part["dataset"], part.get("weight", 1.0) / whole
        mine = [reason for reason in held["reasons"] if _about(reason["text"]) == ref]
        name = h("a", ref, cls="sx-link", **link("dataset", ref=ref))
        rows.append((h("div", swatch(at), name, cls="sx-row"),
                     h("div", share(weight), bar(weight), style="display:grid;gap:3px"), _why(ref, mine)))  # fmt: skip
    said = held["weights"]["mixer"] if held["weights"] else None
    about = (
        h("div", "weights by ", h("code", said), cls="sx-faint", style="margin-top:6px;font-size:12.5px")
        if said
        else None
    )
    return h("div", table(["part", "weight", "because"], rows, numeric=(1,), nowrap=(0,)), about)


def _about(text: str) -> str:
    """The dataset that a reason begins with."""
    return text.split(" ", 1)[0].rstrip(":")


def _why(ref: str, held: list[Mapping[str, Any]]) -> Markup:
    lines = []
    for reason in held:
        words = reason["text"].removeprefix(ref).removeprefix(":").strip()
        cited = [h("a", sample[:8], cls="sx-mono sx-link", title=sample, **link("incidents", q=sample)) for sample in reason["samples"]]  # fmt: skip
        lines.append(h("div", words, *([h("span", " see ", cls="sx-faint"), *_spaced(cited)] if cited else [])))
    return h("div", lines, cls="sx-soft", style="display:grid;gap:3px")


def _spaced(items: list[Markup]) -> list[Any]:
    return [piece for item in items for piece in (item, " ")][:-1]


def _left_out(held: list[Mapping[str, str]]) -> Markup | None:
    if not held:
        return None
    rows = [(h("a", item["dataset"], cls="sx-link", **link("dataset", ref=item["dataset"])), h("span", item["why"], cls="sx-soft"))
            for item in held]  # fmt: skip
    return h("details", h("summary", f"Left out: {plural(len(held), 'dataset')}", cls="sx-soft"), table(["dataset", "why"], rows, nowrap=(0,)))  # fmt: skip


def _trials(held: Mapping[str, Any] | None) -> Markup | None:
    if held is None:
        return None
    return h("details", h("summary", f"To learn the weights instead: {plural(held['runs'], 'small run')}", cls="sx-soft"),
             h("div", held["why"], cls="sx-soft", style="margin:6px 0"), h("pre", "\n".join(held["commands"]), cls="sx-pre"))  # fmt: skip


def propose(cat: Catalog, text: str) -> None:
    """Ask somebody else to publish the spec; reasons of the draft stay with the parts that are still in it."""
    from agents import proposals
    from catalog.mixes.spec import read_spec

    kept, spec = st.session_state.get(DRAFT), read_spec(text)
    parts = spec.get("parts")
    named = {part.get("dataset") for part in parts if isinstance(part, dict)} if isinstance(parts, list) else set()
    cited = [reason for reason in kept["held"]["reasons"] if _about(reason["text"]) in named] if kept else []
    drafted = {"agent": "mix", "model": kept["model"]} if kept and cited else {}
    made = proposals.propose(cat, "mix_publish", {"spec": spec}, reasons=cited, **drafted)
    opened = h("a", f"proposal {made.id[:8]}", cls="sx-link", **link("assistant", proposal=made.id))
    shell.show(shell.note(h("span", "Somebody with the right to write may approve it: ", opened, "."), "ok"))
