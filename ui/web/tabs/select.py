"""Choose rows within a budget by a selector, and see every choice beside plain random and rounds of RS2."""

from __future__ import annotations

from typing import Any

import streamlit as st

from catalog import Catalog
from catalog.catalog import Resolved
from catalog.plugins import plugins
from catalog.refs import parse_ref
from catalog.selections import selections
from catalog.selectors import Selector
from ui.selecting import HEADS, beside, described, save_selection
from ui.web.components import address, params, shell
from ui.web.components.figures import count, number, share
from ui.web.components.markup import Markup, h, link, live
from ui.web.components.parts import caps, facts, pairs, panel, table

MISSING = {"error": "refuse", "drop": "drop row"}


def draw(cat: Catalog, found: Resolved) -> None:
    saved = [made for made in selections(cat) if parse_ref(made.dataset).name == found.dataset.name]
    known = {name: held for name, held in plugins("selector").items() if not held.experimental}
    with st.expander("Choose rows by a method", expanded=not saved):
        name = address.choice("Method", "selector", list(known), "topk", format_func=lambda one: _label(known[one]))
        _form(cat, found, known[name], [made.name for made in saved])
    if not saved:
        shell.show(shell.note("No selection of this dataset is saved. One is a frozen choice, or a filter."))
        return
    chosen = address.get("selection", f"{saved[-1].name}@v{saved[-1].version}")
    rows = [
        [f"{made.name}@v{made.version}", made.dataset, made.where, made.owner or "", made.note or ""] for made in saved
    ]
    at = next((place for place, row in enumerate(rows) if row[0] == chosen), None)
    heads = ["selection", "of", "rows where", "owner", "note"]
    live(table(heads, rows, actions=[("selection", row[0]) for row in rows], on=at, nowrap=(0, 1)), "saved", _open)
    live(_shown(described(cat, chosen)), "selection")


def _open(name: str, value: str) -> None:
    address.put(**{name: value})


def _label(held: Selector) -> str:
    return f"{held.name}: {held.summary}"


def _form(cat: Catalog, found: Resolved, held: Selector, stages: list[str]) -> None:
    """The budget, the method's own parameters, and the button that chooses."""
    boxes = st.columns([1.4, 1.4, 1, 1, 0.7, 1], gap="small", vertical_alignment="bottom")
    label = boxes[0].text_input("Name", key="choice_name", placeholder="best-pages")
    source = boxes[1].selectbox(
        "From", [found.ref, *stages], key="choice_from", help="A saved selection makes a stage."
    )
    budget = boxes[2].number_input("Budget", 1, value=min(1000, max(1, found.dataset.rows)), key="choice_budget")
    unit = boxes[3].selectbox("Of", ["samples", "tokens"], key="choice_unit")
    seed = boxes[4].number_input("Seed", 0, value=0, key="choice_seed")
    missing = boxes[5].selectbox("Missing values", list(MISSING), format_func=MISSING.get, key="choice_missing")
    where = st.text_input("Only rows where", key="choice_where", placeholder="SQL, optional")
    given = params.form([held], _columns(cat, found, held))
    if st.button("Choose", type="primary", key="choice_go", **shell.writes(disabled=not label.strip())):
        with shell.guarded(), st.spinner("choosing …"):
            made = save_selection(cat, label.strip(), source, selector=held.name, budget=int(budget), unit=unit,
                                  params=given, where=where.strip() or None, missing=missing, seed=int(seed))  # fmt: skip
            address.put(selection=f"{made.name}@v{made.version}")
            st.rerun()


def _columns(cat: Catalog, found: Resolved, held: Selector) -> dict[str, list[str]]:
    """The columns that each parameter of the method may name: vectors for `vectors`, values for the others."""
    columns = cat.columns(found.dataset.name)
    vectors = [column.alias for column in columns if column.type.startswith("fixed_size_list<")]
    values = [
        "chars",
        *(column.alias for column in columns if not column.type.startswith(("fixed_size_list<", "list<"))),
    ]
    named = [read[1:-1] for read in held.reads if read.startswith("{")]
    return {name: vectors if name == "vectors" else values for name in named}


def _shown(held: dict[str, Any]) -> Markup:
    """One selection: how it was chosen, and its figures beside the baselines."""
    look = link("dataset", ref=held["dataset"], tab="samples", where=held["where"],
                missing=held["missing"] if held["missing"] != "error" else None)  # fmt: skip
    items = [("rows", count(held["rows"])), ("in the samples", h("a", "look at them", cls="sx-link", **look))]
    report = held.get("report")
    if not report:
        return h("div", h("div", held["selection"], cls="sx-name"), facts(items, large=1), cls="sx-stack")
    if "budget" not in report:
        query = h("pre", report["recipe"].get("query"), cls="sx-pre")
        head = h("div", h("div", held["selection"], cls="sx-name"), facts(items, large=1), cls="sx-stack")
        return h("div", head, panel("Frozen from the rows of this query", query), cls="sx-stack")
    recipe, budget, overlap = report["recipe"], report["budget"], report["overlap"]
    items += [
        ("method", f"{recipe['selector']}, seed {recipe['seed']}"),
        ("spent", f"{count(budget['spent'])} of {count(budget['amount'])} {budget['unit']}"),
        ("candidates", count(report["rows"]["candidates"])),
        ("shared with random", f"{share(overlap['of chosen'])}, by chance {share(overlap['by chance'])}"),
    ]
    rounds = report.get("rounds")
    about = f"Beside a random choice of equal budget{f' and {rounds} rounds of RS2' if rounds else ''}"
    told, within = beside(report)
    lines = [[name, *(number(value) for value in values)] for name, *values in told]
    note = f"{within} more columns lie where random rounds put them." if within else ""
    method = [(name, str(value)) for name, value in {**recipe["params"], **report.get("method", {})}.items()]
    return h(
        "div",
        h("div", held["selection"], cls="sx-name"),
        facts(items, large=1),
        h(
            "div",
            caps(about),
            table(HEADS, lines, numeric=tuple(range(1, len(HEADS)))),
            h("div", note, cls="sx-dim") if note else None,
        ),
        panel("What the method took and says", pairs(method)) if method else None,
        cls="sx-stack",
    )
