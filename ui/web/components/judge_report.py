"""What a judge's column is worth, beside its distribution: answers read, position, agreement with people."""

from __future__ import annotations

from typing import Any

import streamlit as st

from catalog import Catalog
from catalog.catalog import Resolved
from catalog.meta.models import ColumnRecord
from ui.web.components import shell
from ui.web.components.figures import count, number, share
from ui.web.components.markup import Markup, h
from ui.web.components.parts import pairs, panel

RESAMPLES = 200
"""Of the bootstrap: enough to show how wide an interval is while a person waits."""


def draw(cat: Catalog, found: Resolved, column: ColumnRecord) -> None:
    """The panel of a judge's column; nothing for a column that no model gave."""
    from flows.judge_report import is_judge

    if not is_judge(column.scorer):
        return
    held = _read(cat, str(cat.settings.home), found.dataset.name, column.alias, _state(cat, found))
    shell.show(
        h(
            "div",
            _answers(held),
            _position(held),
            *[_people(row) for row in held["people"]],
            _notes(held),
            cls="sx-stack",
        )
    )


def _state(cat: Catalog, found: Resolved) -> tuple[Any, ...]:
    """What a report follows from: the table, the answers and the grades."""
    from sqlmodel import func, select

    from catalog.meta.calls import Call
    from catalog.meta.models import Grade

    with cat.session() as session:
        last = session.exec(select(func.max(Call.finished))).one(), session.exec(select(func.max(Grade.created))).one()
    return found.dataset.lance_version, *last


@st.cache_data(max_entries=64, show_spinner="Reading the judge's answers ...")
def _read(_cat: Catalog, home: str, dataset: str, column: str, state: tuple[Any, ...]) -> dict[str, Any]:
    from flows.judge_report import judge_report

    return judge_report(_cat, dataset, column, resamples=RESAMPLES)


def _answers(held: dict[str, Any]) -> Markup:
    answers = held["answers"]
    rows = [
        ("model", f"{held['model']} ({held['revision']})"),
        ("answers", count(answers["answered"])),
        (
            "could be read",
            share(answers["read"], answers["answered"]) if answers["answered"] else "none is stored here",
        ),
        ("malformed, kept as they came", count(answers["malformed"])),
        ("refused", count(answers["refused"])),
        ("cut off", count(answers["cut_off"])),
        ("sent again", count(answers["sent_again"])),
        ("comparisons", count(held["comparisons"]) if held["comparisons"] is not None else None),
        ("ties, as the verdict flips", count(held["ties"]) if held["ties"] is not None else None),
        ("paid", number(answers["money"])),
    ]
    return panel("The judge's answers", pairs([row for row in rows if row[1] is not None], numbers=True))


def _position(held: dict[str, Any]) -> Markup | None:
    position = held["position"]
    if not position or not position["both_orders_read"]:
        return None
    lines = [{"lengths": "all pairs", **position}, *position["by_length"]]
    head = h("tr", [h("th", name, scope="col") for name in ("texts", "pairs", "verdict flips", "says the first")])
    body = [
        h("tr", h("th", line["lengths"], scope="row"), h("td", count(line["pairs"])), h("td", interval(line["flipped"])),
          h("td", interval(line["said_first"])))
        for line in lines
    ]  # fmt: skip
    said = position["said_first"]
    verdict = "prefers the first text" if said["low"] > 0.5 else "prefers the second text" if said["high"] < 0.5 else (
        "shows no preference for a place")  # fmt: skip
    note = h("p", f"The judge {verdict}: 0.5 would be none. Each pair was asked in both orders.", cls="sx-sub")
    return panel("Place of the text", h("table", h("thead", head), h("tbody", body), cls="sx-table"), note)


def _people(row: dict[str, Any]) -> Markup:
    title = f"Beside people: {row['campaign']}, {row['question']}"
    if "same_order" in row:
        return panel(
            title, pairs([("comparisons", count(row["comparisons"])), ("same order", interval(row["same_order"]))])
        )
    names = {"kappa": "Cohen's kappa", "kappa_quadratic": "Cohen's kappa, quadratic", "alpha_nominal": "Krippendorff's alpha",
             "alpha_interval": "Krippendorff's alpha", "spearman": "Spearman's correlation"}  # fmt: skip
    lines = [("samples", count(row["samples"])), ("same grade", share(row["same"], 1))]
    lines += [(label, interval(row[name])) for name, label in names.items() if isinstance(row.get(name), dict)]
    if made := row["estimate"]:
        people = made["people_alone"]
        lines += [
            ("judge's mean over all rows", number(made["judge_alone"])),
            (
                "people's mean, graded rows alone",
                f"{number(people['mean'])} [{number(people['low'])}, {number(people['high'])}]",
            ),
            ("people's mean over all rows", f"{number(made['mean'])} [{number(made['low'])}, {number(made['high'])}]"),
        ]
    return panel(title, pairs(lines))


def _notes(held: dict[str, Any]) -> Markup | None:
    return shell.note(" · ".join(held["notes"])) if held["notes"] else None


def interval(held: dict[str, Any] | None) -> str:
    """A figure with its interval."""
    if held is None:
        return "none"
    value = held["share"] if "share" in held else held["value"]
    if value is None or value != value:
        return "undefined"
    if held["low"] is None or held["low"] != held["low"]:
        return number(value)
    return f"{number(value)} [{number(held['low'])}, {number(held['high'])}]"
