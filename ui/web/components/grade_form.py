"""A new campaign: what is graded, under which rubric, by how many, in which order; frozen when it is made."""

from __future__ import annotations

from typing import Any

import streamlit as st

from catalog import Catalog, grades
from catalog.errors import BadInput
from ui.web.components import address, shell
from ui.web.components.grade_item import values
from ui.web.components.markup import Markup, h
from ui.web.components.parts import caps, chip
from ui.web.queries import campaigns

ORDERS = {
    "random": "random: a sample of the dataset",
    "given": "as they stand in the table",
    "stratified": "stratified: each value of a column in turn",
    "uncertain": "most uncertain: nearest to a threshold first",
    "disagreeing": "most disagreeing: columns furthest apart first",
}
FORMS = {
    "sample": "whole samples",
    "turn": "turns of conversations",
    "span": "samples and stretches of them",
    "pair": "pairs: which is better",
}
SHOWS = {"": "never", "after": "after a grader's own grade", "before": "beside the question"}
OWN = "write one"
STARTER = """name: clarity
about: How clear is the text?
scales:
  clarity:
    low: 1
    high: 5
    anchors:
      1: cannot be understood
      3: clear after reading twice
      5: every sentence is clear
labels:
  audience: {of: [children, public, experts]}
"""


def form(cat: Catalog) -> None:
    """The page of a new campaign, with the rubric as its graders will see it beside it."""
    shell.show(shell.title("New campaign", "its queue is worked out once and frozen"))
    left, right = st.columns([1.35, 1], gap="large")
    with left:
        asked = {**_rows(cat), **_what()}
        rubric_of = _rubric(asked["form"])
        asked |= _order(cat, asked["source"])
        asked |= _people(asked["form"])
    rubric = None
    with right, shell.guarded():
        rubric = (
            _pair() if asked["form"] == "pair" and not rubric_of else campaigns.rubric_from(*(rubric_of or ("", "")))
        )
        shell.show(shown(rubric, asked["form"]))
    with left, shell.guarded():
        asked |= _suggestions(cat, asked, rubric)
        if st.button("Create campaign", type="primary", **shell.writes(disabled=rubric is None)):
            made = _create(cat, asked, rubric or {})
            address.follow(f"grade?campaign={made}&tab=queue")


def _rows(cat: Catalog) -> dict[str, Any]:
    sources = campaigns.sources(cat)
    name, source = st.columns(2, gap="small")
    called = name.text_input("Name", key="campaign_name", placeholder="clarity")
    wanted = address.get("source")
    at = sources.index(wanted) if wanted in sources else None
    chosen = source.selectbox("Dataset or selection", sources, index=at, key="campaign_source", placeholder="choose one",
                              help="A dataset's newest version is pinned.")  # fmt: skip
    where, missing = st.columns([3, 1], gap="small")
    filter_ = where.text_input(
        "Only rows where",
        value=address.get("where"),
        key="campaign_where",
        placeholder="language = 'en' AND chars > 200",
    )
    rule = missing.selectbox("Missing values", ["error", "drop", "keep"], key="campaign_missing",
                             format_func={"error": "refuse", "drop": "drop row", "keep": "keep row"}.get)  # fmt: skip
    return {"name": called.strip(), "source": chosen or "", "where": filter_.strip() or None, "missing": rule}


def _what() -> dict[str, Any]:
    one, two = st.columns(2, gap="small")
    held = one.selectbox("What is graded", list(FORMS), key="campaign_form", format_func=FORMS.get)
    pairs = 0
    if held == "pair":
        pairs = two.number_input(
            "Rounds of comparisons", 1, 50, 3, key="campaign_pairs", help="Each sample is in about twice as many pairs."
        )
    return {"form": held, "pairs": int(pairs)}


def _rubric(what: str) -> tuple[str, str] | None:
    """(what is written, name of a shipped one); None for the plain question of pairs."""
    from flows.scorers.judge._rubric import shipped

    if what == "pair":
        st.caption("Pairs are answered by A, B or tie: which of the two is better training data?")
        return None
    known = [OWN, *shipped()]
    chosen = st.selectbox("Rubric", known, key="campaign_rubric", format_func=lambda name: name.replace("_", " "))
    if chosen != OWN:
        return "", chosen
    if "campaign_yaml" not in st.session_state:
        st.session_state["campaign_yaml"] = STARTER
    st.session_state["campaign_yaml"] = st.session_state["campaign_yaml"]  # kept while the box is not drawn
    return st.text_area("Rubric (YAML)", key="campaign_yaml", height=250), ""


def _pair() -> dict[str, Any]:
    return {"name": "preference", "about": "Which of the two is better training data?"}


def _order(cat: Catalog, source: str) -> dict[str, Any]:
    one, two, three = st.columns([1.5, 1.2, 0.8], gap="small")
    order = one.selectbox("Order", list(ORDERS), key="campaign_order", format_func=ORDERS.get)
    held: dict[str, Any] = {"order": order, "columns": None, "threshold": None, "seed": 0}
    columns: list[str] = []
    with shell.guarded():
        columns = campaigns.columns_of(cat, source)
    if order == "disagreeing":
        held["columns"] = two.multiselect("Columns", columns, key="campaign_columns")
    elif order in ("uncertain", "stratified"):
        by = two.selectbox("Column", columns, index=None, key="campaign_column", placeholder="choose one")
        held["columns"] = [by] if by else []
    if order == "uncertain":
        held["threshold"] = three.number_input("Threshold", value=0.5, format="%g", key="campaign_threshold")
    elif order != "given":
        held["seed"] = int(three.number_input("Seed", 0, 2**31 - 1, 0, key="campaign_seed"))
    return held


def _people(what: str) -> dict[str, Any]:
    one, two, three, four = st.columns(4, gap="small")
    graders = one.number_input(
        "Graders an item", 1, 20, 1, key="campaign_graders", help="They are blind to one another."
    )
    items = two.number_input("Items at most", 0, None, 200, key="campaign_items", help="0: every row.")
    hold = three.number_input("Hold, minutes", 1.0, 1440.0, 30.0, key="campaign_hold", format="%g",
                              help="A taken item goes to the next who asks after that.")  # fmt: skip
    gold = 0
    if what in ("sample", "span"):
        gold = four.number_input("Planted every", 0, 1000, 0, key="campaign_gold",
                                 help="After so many items a grader gets one whose answer is known; plant them under Setup.")  # fmt: skip
    note = st.text_input("Note", key="campaign_note", placeholder="why it exists")
    return {
        "graders": int(graders),
        "items": int(items) or None,
        "hold": 60.0 * hold,
        "gold_every": int(gold),
        "note": note.strip(),
    }


def _suggestions(cat: Catalog, asked: dict[str, Any], rubric: dict[str, Any] | None) -> dict[str, Any]:
    """Which columns suggest an answer, and when they are shown."""
    if rubric is None or asked["form"] not in ("sample", "span"):
        return {}
    reveal = st.selectbox("A model's suggestion is shown", list(SHOWS), key="campaign_reveal", format_func=SHOWS.get,
                          help="After: it cannot lead the grader. Beside: for correcting a model.")  # fmt: skip
    if not reveal:
        return {}
    columns, found = campaigns.columns_of(cat, asked["source"]), {}
    if not columns:
        shell.show(shell.note("Choose a dataset that has scores: a suggestion is a column of it."))
    for question in grades_questions(rubric):
        by = st.selectbox(f"Column that suggests {question.replace('_', ' ')}", columns, index=None,
                          key=f"campaign_suggest_{question}", placeholder="none")  # fmt: skip
        if by:
            found[question] = by
    return {"suggest": found, "reveal": reveal} if found else {}


def grades_questions(rubric: dict[str, Any]) -> dict[str, dict[str, Any]]:
    from catalog.grades.campaigns import questions

    return questions(rubric)


def _create(cat: Catalog, asked: dict[str, Any], rubric: dict[str, Any]) -> str:
    if not asked["name"]:
        raise BadInput("the campaign has no name; give it one, such as clarity")
    if not asked["source"]:
        raise BadInput("no dataset is chosen; say what is graded")
    given = {name: value for name, value in asked.items() if name not in ("name", "source", "form")}
    target = asked["form"] if asked["form"] != "pair" else "sample"
    return grades.create(cat, asked["name"], asked["source"], rubric, target=target, **given).name


def shown(rubric: dict[str, Any], what: str = "sample") -> Markup:
    """A rubric in words: every question with its values and what they mean."""
    if what == "pair":
        body: Any = [chip("A"), chip("B"), chip("tie")]
        return h(
            "div",
            caps("graders are asked"),
            h("p", rubric["about"], style="margin:6px 0"),
            h("div", body, cls="sx-wrap"),
            cls="sx-panel",
        )
    made = [_shown(name, held) for name, held in grades_questions(rubric).items()]
    name = h("span", rubric["name"].replace("_", " "), style="font-weight:600")
    cite = rubric.get("citation")
    return h(
        "div",
        caps("graders are asked"),
        h("p", name, ". ", rubric.get("about") or "", style="margin:6px 0 10px"),
        made,
        h("div", cite, cls="sx-faint", style="font-size:12.5px;margin-top:8px") if cite and cite != "ours" else None,
        cls="sx-panel",
    )


def _shown(name: str, body: dict[str, Any]) -> Markup:
    anchors = {str(value): meaning for value, meaning in (body.get("anchors") or {}).items()}
    if "of" in body:
        held: Any = h("div", [chip(value) for value in body["of"]], cls="sx-wrap")
    else:
        rows = [[h("dt", value), h("dd", anchors[str(value)])] for value in values(body) if str(value) in anchors]
        held = h("dl", rows, cls="sx-anchors")
    about = h("div", body["about"], cls="sx-soft", style="margin-bottom:3px") if body.get("about") else None
    return h("div", h("h2", name.replace("_", " "), cls="sx-h3"), about, held, style="margin-bottom:10px")
