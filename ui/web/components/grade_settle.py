"""Conflicts of a campaign, and settling one: the sample, what each grader said, and the final value."""

from __future__ import annotations

from typing import Any

import streamlit as st

from catalog import Catalog, grades
from catalog.errors import BadInput
from ui.web.components import address, samples, shell
from ui.web.components.figures import count, plural
from ui.web.components.grade_item import values
from ui.web.components.grade_results import conflicts, key_of
from ui.web.components.markup import Markup, h, live
from ui.web.components.pager import pager
from ui.web.components.parts import caps
from ui.web.queries import campaigns

PAGE = 20


def page(cat: Catalog, line: dict[str, Any], grader: str) -> None:
    one, two, _ = st.columns([1, 1, 2], gap="small", vertical_alignment="bottom")
    with one:
        apart = address.choice("On a scale, apart by", "apart", ["1", "2", "3", "4"], "1", clears=("at",))
    settled = two.checkbox("also those that were settled", key="conflicts_settled")
    rows = campaigns.conflicts(cat, str(cat.settings.home), campaigns.state_of(line), int(apart), settled)
    if said := st.session_state.pop("settled_said", None):
        shell.show(said)
    if not rows:
        words = (
            "No conflict is open."
            if line["complete"]
            else "No item has all its grades yet: conflicts are shown once nobody can be led by them."
        )
        shell.show(shell.note(words))
        return
    at = min(address.get_int("at"), max(0, (len(rows) - 1) // PAGE * PAGE))
    chosen = next((row for row in rows if key_of(row) == address.get("item")), rows[at])
    left, right = st.columns([1.3, 1], gap="medium")
    with left:
        words = h(
            "span",
            h("b", f"{count(at + 1)}–{count(min(at + PAGE, len(rows)))}"),
            f" of {plural(len(rows), 'conflict')}, widest first",
            cls="sx-soft",
        )
        body = h(
            "div", pager(words, at, PAGE, len(rows)), conflicts(rows, tuple(key_of(chosen).split(":", 2)), at, PAGE)
        )
        live(body, "conflicts", _step)
    with right, shell.guarded():
        _settle(cat, line, grader, chosen)


def _step(name: str, value: str) -> None:
    if name == "at":
        address.put(at=value if value != "0" else None, item=None)
    else:
        address.put(item=value)


def _settle(cat: Catalog, line: dict[str, Any], grader: str, row: dict[str, Any]) -> None:
    found = grades.sample_at(cat, line["campaign"], row["item"])
    shell.show(_sample(found, row))
    body = found["questions"][row["name"]]
    key = f"final_{line['campaign']}_{key_of(row)}"
    held = values(body)
    final = row["final"] if "of" in body else int(row["final"]) if row["final"] else None
    value = st.segmented_control(
        f"Final value of {row['name'].replace('_', ' ')}", held, key=key, default=final if final in held else None
    )
    note = st.text_input("Why", key=f"{key}_note", placeholder="stored with it")
    why = shell.barred()
    if st.button("Settle", type="primary", disabled=bool(why), help=why or None):
        if value is None:
            raise BadInput("no final value is chosen; choose one, then settle")
        grades.adjudicate(
            cat, line["campaign"], row["item"], {row["name"]: value}, by=grader, target=row["target"], note=note
        )
        st.session_state["settled_said"] = shell.note(
            f"Item {row['item']} is settled: {row['name'].replace('_', ' ')} {value}, by {grader}."
        )
        address.put(item=None)
        st.rerun()


def _sample(found: dict[str, Any], row: dict[str, Any]) -> Markup:
    said = h(
        "div", [h("span", f"{who} ", h("b", value), style="margin-right:14px") for who, value in row["values"].items()]
    )
    part = h("div", row["target"], cls="sx-mono sx-faint") if row["target"] else None
    if len(found["samples"]) > 1:
        body: Any = h("div", [h("div", h("div", name, cls="sx-side-name"), samples.content(one, found["sample_kind"]), cls="sx-side")
                              for name, one in zip("AB", found["samples"], strict=True)], cls="sx-sides")  # fmt: skip
    else:
        body = samples.content(found["samples"][0], found["sample_kind"])
    return h(
        "div",
        caps(f"item {row['item']}"),
        part,
        said,
        h("div", body, cls="sx-body", tabindex="0"),
        cls="sx-panel sx-stack",
    )
