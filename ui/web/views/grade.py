"""Grade: campaigns, the queue, what they came to, conflicts, one grade for many, and how each was made."""

from __future__ import annotations

from typing import Any

import streamlit as st

from catalog import Catalog, grades
from catalog.meta.models import Campaign
from ui.web.components import (
    address,
    grade_bulk,
    grade_form,
    grade_list,
    grade_results,
    grade_settle,
    grade_setup,
    shell,
)
from ui.web.components.figures import count
from ui.web.components.grade_queue import queue
from ui.web.components.markup import Markup, h, link, live
from ui.web.components.parts import chip, tabs
from ui.web.queries import campaigns


def page() -> None:
    cat = shell.catalog()
    name = address.get("campaign")
    if address.get("new"):
        live(h("a", "← Campaigns", cls="sx-link", **link("grade")), "gradeback")
        grade_form.form(cat)
        return
    grader = campaigns.grader_of(cat, address.get("as"))
    if name:
        one(cat, grades.find(cat, name), grader)
        return
    every(cat, campaigns.lines(cat, grader), grader)


def every(cat: Catalog, lines: list[dict[str, Any]], grader: str) -> None:
    """The list of campaigns."""
    new = h("a", "New campaign", cls="sx-do go", **link("grade", new=1))
    if not lines:
        words = "A campaign asks people to grade samples under a rubric, blind to one another; what they said becomes a column."
        shell.show(shell.empty("No campaign yet", words, grade_list.EXAMPLE, whole=True))
        live(h("div", new, style="max-width:680px;margin:0 auto"), "newcampaign")
        return
    waiting = sum(line["waiting"] for line in lines)
    sub = f"{count(waiting)} items wait for you" if waiting else "nothing waits for you"
    left, right = st.columns([4, 1], gap="small", vertical_alignment="bottom")
    with left:
        live(h("div", shell.title("Grade", sub), new, cls="sx-between sx-grade-head"), "gradehead")
    with right:
        who(cat, grader)
    live(grade_list.listing(cat, lines), "campaigns")


def who(cat: Catalog, grader: str) -> None:
    """Who grades, where nobody signs in: a name, held in the address."""
    if getattr(cat, "grant", None) is None:
        address.text_box("Grading as", "as", placeholder=cat.settings.actor)
    else:
        shell.show(h("div", "Grading as ", h("b", grader), cls="sx-soft"))


def one(cat: Catalog, campaign: Campaign, grader: str) -> None:
    """A campaign with its tabs."""
    name = campaign.name
    line = next(line for line in campaigns.lines(cat, grader) if line["campaign"] == name)
    named = address.get("as")
    options: dict[str, Any] = {
        "queue": ("Grade", count(line["waiting"])), "results": "Results", "conflicts": "Conflicts", "bulk": "In bulk",
        "setup": "Setup",
    }  # fmt: skip
    tab = address.get("tab", "queue")
    tab = tab if tab in options else "queue"
    left, right = st.columns([5, 1], gap="small", vertical_alignment="bottom")
    with left:
        live(
            h(
                "div",
                _title(campaign, line),
                tabs("grade", tab, options, campaign=name, **{"as": named}),
                cls="sx-stack",
            ),
            "gradetabs",
        )
    with right:
        who(cat, grader)
    with shell.guarded():
        if tab == "queue":
            queue(name, grader)
        elif tab == "results":
            results(cat, campaign, line)
        elif tab == "conflicts":
            grade_settle.page(cat, line, grader)
        elif tab == "bulk":
            grade_bulk.page(cat, campaign, grader)
        else:
            grade_setup.setup(cat, campaign, line, grader)


def _title(campaign: Campaign, line: dict[str, Any]) -> Markup:
    back = h("a", "Grade", cls="sx-link", **link("grade"))
    closed = chip("closed", title=campaign.closed) if campaign.closed else None
    ref = h("a", campaign.ref, cls="sx-mono sx-soft", **link("dataset", ref=campaign.ref))
    return h("div", h("span", back, " / ", cls="sx-soft"), h("h1", campaign.name, cls="sx-h1"), closed, ref,
             h("span", campaign.rubric["name"].replace("_", " "), cls="sx-sub"), cls="sx-title")  # fmt: skip


def results(cat: Catalog, campaign: Campaign, line: dict[str, Any]) -> None:
    """Agreement, graders, and what leaves the campaign."""
    home, state = str(cat.settings.home), campaigns.state_of(line)
    status = campaigns.status(cat, home, state)
    shell.show(grade_results.head(line, status))
    with shell.guarded():
        grade_setup.outlet(cat, campaign, line)
    if not line["grades"]:
        shell.show(
            shell.note("Nobody has graded yet: agreement, speed and planted items are shown here once somebody has.")
        )
        return
    with st.spinner("measuring agreement …"):
        found = campaigns.agreement(cat, home, state, campaigns.RESAMPLES)
    shell.show(h("div", h("h2", "Graders", cls="sx-h2"), grade_results.graders(status, found),
                 h("h2", "Agreement", cls="sx-h2"), grade_results.agreement(found), cls="sx-stack"))  # fmt: skip


page()
