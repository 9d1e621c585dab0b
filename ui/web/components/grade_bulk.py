"""One grade for every row of a filter: look what it reaches, give it, take it back."""

from __future__ import annotations

from typing import Any

import streamlit as st

from catalog import Catalog, grades
from catalog.errors import BadInput
from catalog.grades.campaigns import questions
from catalog.meta.models import Campaign
from ui.web.components import address, samples, shell
from ui.web.components.figures import count, plural
from ui.web.components.grade_item import values
from ui.web.components.grade_results import acts
from ui.web.components.markup import Markup, h, live
from ui.web.components.parts import facts, table
from ui.web.queries import rows

EXAMPLES = 5


def page(cat: Catalog, campaign: Campaign, grader: str) -> None:
    if campaign.kind == "pair" or campaign.target == "turn":
        shell.show(
            shell.note(
                f"This campaign grades {'pairs' if campaign.kind == 'pair' else 'turns'}: only whole samples take one grade for many."
            )
        )
        return
    words = ("The items that match and that nobody has touched get this grade, as one act in your name. They are asked no more; "
             "what people say of single items stands before it, and it counts in no agreement.")  # fmt: skip
    shell.show(h("div", words, cls="sx-soft"))
    filter_, missing = st.columns([3, 1], gap="small")
    with filter_:
        where = address.text_box("Rows where", "where", placeholder="chars < 40")
    with missing:
        rule = address.choice("Missing values", "missing", ["error", "drop", "keep"], "error",
                              format_func={"error": "refuse", "drop": "drop row", "keep": "keep row"}.get)  # fmt: skip
    chosen = _choices(campaign)
    with shell.guarded():
        if where:
            _reach(cat, campaign, grader, where, rule, chosen)
    with shell.guarded():
        held = acts(grades.bulk_acts(cat, campaign.name, history=True))
        if held:
            live(held, "acts", lambda _, act: _undo(cat, campaign.name, grader, act))
    if said := st.session_state.pop("bulk_said", None):
        shell.show(said)


def _choices(campaign: Campaign) -> dict[str, Any]:
    asked = questions(campaign.rubric)
    columns, chosen = st.columns(min(4, len(asked)), gap="small"), {}
    for at, (name, body) in enumerate(asked.items()):
        held = columns[at % len(columns)].selectbox(name.replace("_", " "), values(body), index=None, placeholder="choose",
                                                    key=f"bulk_{campaign.name}_{name}")  # fmt: skip
        if held is not None:
            chosen[name] = held
    return chosen


def _reach(cat: Catalog, campaign: Campaign, grader: str, where: str, missing: str, chosen: dict[str, Any]) -> None:
    """What the filter matches and what of it is free, some of it, and the button."""
    asked = questions(campaign.rubric)
    trial = chosen if len(chosen) == len(asked) else {name: values(body)[0] for name, body in asked.items()}
    found = grades.bulk(cat, campaign.name, trial, where=where, missing=missing, grader=grader, dry_run=True)
    shell.show(facts([("rows that match", count(found["rows"])), ("items to grade", count(found["items"])),
                      ("with people", count(found["left"])), ("in another act", count(found["covered"])),
                      ("not in the queue", count(found["rows"] - found["items"] - found["left"] - found["covered"]))],
                     large=2))  # fmt: skip
    if found["rows"]:
        shell.show(_examples(cat, campaign, where, missing))
    note, go = st.columns([3, 1], gap="small", vertical_alignment="bottom")
    said = note.text_input("Note", key="bulk_note", placeholder="why all of them")
    why = shell.barred()
    label = f"Grade {plural(found['items'], 'item')}"
    if go.button(label, type="primary", width="stretch", disabled=bool(why) or not found["items"], help=why or None):
        if lacking := [name for name in asked if name not in chosen]:
            raise BadInput(f"the grade lacks {', '.join(lacking)}; choose a value for each question")
        done = grades.bulk(cat, campaign.name, chosen, where=where, missing=missing, grader=grader, note=said)
        st.session_state["bulk_said"] = shell.note(
            h("span", f"{plural(done['items'], 'item')} graded as one act. Undo is in the list.")
        )
        st.rerun()


def _examples(cat: Catalog, campaign: Campaign, where: str, missing: str) -> Markup:
    from catalog.grades.campaigns import dataset_of

    dataset = dataset_of(cat, campaign)
    view = rows.view(cat, f"{dataset.name}@{campaign.ref.partition('@')[2]}", where=where, missing=missing)
    held = rows.take(cat, view, rows.table_ids(cat, view, 0, EXAMPLES), samples.fields(dataset.kind))
    lines = [
        (h("span", row["sample_id"][:8], cls="sx-mono sx-faint"), samples.preview(row, dataset.kind) or "(empty)")
        for row in held
    ]
    return table(["sample", f"the first {len(lines)} that match"], lines, nowrap=(0,))


def _undo(cat: Catalog, name: str, grader: str, act: str) -> None:
    with shell.guarded():
        done = grades.bulk_undo(cat, name, act, by=grader)
        st.session_state["bulk_said"] = shell.note(
            f"Taken back: {plural(done['items'], 'item')} of the queue are asked again."
        )
