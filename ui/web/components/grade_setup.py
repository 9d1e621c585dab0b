"""How a campaign was made, its planted items, its end, and what leaves it: columns and files."""

from __future__ import annotations

from typing import Any

import streamlit as st

from catalog import Catalog, grades
from catalog.grades.campaigns import questions
from catalog.meta.models import Campaign
from ui.web.components import shell
from ui.web.components.figures import count, duration, plural, stamp
from ui.web.components.grade_form import shown
from ui.web.components.grade_item import values
from ui.web.components.markup import Markup, h, link, live
from ui.web.components.parts import pairs, panel
from ui.web.queries import campaigns

RULES = {"majority": "majority, a tie is undefined", "mean": "mean", "median": "median"}


def setup(cat: Catalog, campaign: Campaign, line: dict[str, Any], grader: str) -> None:
    left, right = st.columns([1, 1.1], gap="medium")
    with left:
        shell.show(_recipe(campaign, line))
        with shell.guarded():
            _plant(cat, campaign, grader)
        with shell.guarded():
            _close(cat, campaign)
    with right:
        shell.show(shown(campaign.rubric, "pair" if campaign.kind == "pair" else "sample"))


def _recipe(campaign: Campaign, line: dict[str, Any]) -> Markup:
    recipe = campaign.recipe
    suggest = ", ".join(f"{name} by {column}" for name, column in (recipe.get("suggest") or {}).items())
    held = [
        ("samples of", h("span", campaign.ref, cls="sx-mono")),
        ("where", h("span", recipe["where"], cls="sx-mono") if recipe["where"] else None),
        ("order", recipe["order"] + (f" by {', '.join(recipe['columns'])}" if recipe["columns"] else "")
         + (f", threshold {recipe['threshold']:g}" if recipe["threshold"] is not None else "") + f", seed {recipe['seed']}"),
        ("items", count(campaign.items)), ("graders an item", campaign.graders), ("held for", duration(campaign.hold)),
        ("planted", f"one after {campaign.gold_every} others" if campaign.gold_every else "none"),
        ("suggestions", f"{suggest}, shown {recipe['reveal']} the own grade" if suggest else "none"),
        ("made by", f"{campaign.actor}, {stamp(campaign.created)}"), ("note", campaign.note or None),
        ("rubric digest", h("span", campaign.rubric_digest[:16], cls="sx-mono", title=campaign.rubric_digest)),
        ("closed", stamp(campaign.closed) if campaign.closed else "no"),
    ]  # fmt: skip
    return panel("how it was made", pairs([one for one in held if one[1] is not None]))


def _plant(cat: Catalog, campaign: Campaign, grader: str) -> None:
    if campaign.kind == "pair" or campaign.target == "turn":
        return
    with st.expander("Plant an item whose answer is known"):
        if not campaign.gold_every:
            st.caption("This campaign asks for no planted items: make one with “Planted every” above 0.")
        sample = st.text_input("Sample id, or its beginning", key="plant_sample")
        answer = {}
        for name, body in questions(campaign.rubric).items():
            held = st.selectbox(
                f"Right answer, {name.replace('_', ' ')}",
                values(body),
                index=None,
                key=f"plant_{name}",
                placeholder="not known",
            )
            if held is not None:
                answer[name] = held
        if st.button("Plant it", **shell.writes(disabled=not sample.strip())):
            done = grades.plant(cat, campaign.name, sample.strip(), answer, actor=grader)
            shell.show(
                shell.note(
                    f"Planted {done['sample_id'][:8]}; {plural(done['planted'], 'item')} planted. You are never given it."
                )
            )


def _close(cat: Catalog, campaign: Campaign) -> None:
    why = shell.barred()
    label = "Open it again" if campaign.closed else "Close the campaign"
    words = "Closed, it asks for no more grades; what was graded stays."
    if st.button(label, disabled=bool(why), help=why or words):
        grades.close(cat, campaign.name, reopen=bool(campaign.closed))
        st.rerun()


def outlet(cat: Catalog, campaign: Campaign, line: dict[str, Any]) -> None:
    """Publish as columns, and download."""
    left, right = st.columns([1.4, 1], gap="large")
    with left, shell.guarded():
        _publish(cat, campaign)
    with right, shell.guarded():
        _download(cat, campaign, line)
    with left, shell.guarded():
        _edits(cat, campaign)


def _publish(cat: Catalog, campaign: Campaign) -> None:
    one, two, three = st.columns([1.2, 0.8, 1], gap="small", vertical_alignment="bottom")
    pair = campaign.kind == "pair"
    rules = {"majority": "Bradley-Terry strength"} if pair else RULES
    rule = one.selectbox("As columns, by", list(rules), format_func=rules.get, key="publish_rule", disabled=pair)
    least = two.number_input("Graders at least", 1, 20, 1, key="publish_least")
    why = shell.barred()
    if three.button("Publish as column", type="primary", width="stretch", disabled=bool(why), help=why or None):
        done = grades.publish_grades(cat, campaign.name, rule=rule, least=int(least))
        live(shell.note(h("div", [_published(done["dataset"], one) for one in done["columns"]])), "published")


def _published(dataset: str, one: dict[str, Any]) -> Markup:
    name = h(
        "a", one["column"], cls="sx-link sx-mono", **link("dataset", ref=dataset, tab="columns", column=one["column"])
    )
    more = [
        f"{plural(one[key], 'sample')} {words}"
        for key, words in (("undecided", "undecided"), ("changed", "changed since"))
        if one[key]
    ]
    words = f" holds {plural(one['samples'], 'sample')}" + (f", {', '.join(more)}" if more else "")
    return h("div", name, words, "" if one["published"] else "; it was there already")


def _edits(cat: Catalog, campaign: Campaign) -> None:
    """What graders wrote better, as a dataset of new samples; nothing where nobody wrote anything."""
    held = grades.edits_so_far(cat, campaign.name)
    if not held["edits"]:
        return
    one, two = st.columns([2, 1], gap="small", vertical_alignment="bottom")
    label = f"{plural(held['edits'], 'edit')}, as new samples of"
    to = one.text_input(label, f"{campaign.ref.partition('@')[0]}-edits", key="edits_to")
    ready = held["edits"] > held["waiting"]
    if two.button("Publish edits", width="stretch", **shell.writes(disabled=not to.strip() or not ready)):
        done = grades.publish_edits(cat, campaign.name, to.strip())
        rows = f" holds {plural(done['rows'], 'sample')}: {done['added']} added, {done['removed']} taken out"
        name = h("a", done["dataset"], cls="sx-link sx-mono", **link("dataset", ref=done["dataset"]))
        live(shell.note(h("div", name, rows if done["published"] else " was there already")), "edits_published")
    if held["waiting"]:
        words = f"Not yet: {plural(held['waiting'], 'edit')} of items that still wait for a grader."
        shell.show(h("div", words, cls="sx-soft"))


def _download(cat: Catalog, campaign: Campaign, line: dict[str, Any]) -> None:
    whole = st.checkbox(
        "also items that still wait for a grader", key="export_whole", help="Ends blindness for who reads it."
    )
    one, two = st.columns(2, gap="small")
    for place, form, mime in ((one, "jsonl", "application/x-ndjson"), (two, "csv", "text/csv")):
        place.download_button(f"Grades as .{form}", lambda form=form: campaigns.written(grades.export(cat, campaign.name, whole=whole), form),
                              file_name=f"{campaign.name}.{form}", mime=mime, key=f"export_{form}", width="stretch", on_click="ignore")  # fmt: skip
