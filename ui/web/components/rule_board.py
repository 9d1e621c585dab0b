"""Thresholds that are dragged: one line a column, with lines of their own for some languages, counted on all rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import streamlit as st

from catalog import Catalog
from catalog.catalog import Resolved
from catalog.meta.models import ColumnRecord
from catalog.rules import DECK_ROWS, OPERATORS, Deck, Rule, deck, parse_rules, write_rules
from ui.web.charts.histogram import thumbnail
from ui.web.components import address, shell
from ui.web.components.figures import compact, count, share
from ui.web.components.markup import Markup, h, live
from ui.web.components.selections import save_chosen

EXAMPLES = 20
RULES = 6
LINES = 8
"""Languages with a line of their own at most."""
MISSING = {"drop": "drop row", "keep": "keep row", "error": "refuse"}
SIGNS = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than"}
Kept = Callable[[Resolved, dict[str, Any]], Markup]


@st.cache_resource(show_spinner="reading the columns …", max_entries=2)
def _deck(_cat: Catalog, home: str, state: int, ref: str, columns: tuple[str, ...]) -> Deck:
    return deck(_cat, ref, columns)


def draw(cat: Catalog, found: Resolved, columns: list[ColumnRecord], numbers: list[ColumnRecord], kept: Kept) -> None:
    """The board alone runs again when a line is moved."""
    st.fragment(_board)(cat, found, columns, numbers, kept)


def _board(cat: Catalog, found: Resolved, columns: list[ColumnRecord], numbers: list[ColumnRecord], kept: Kept) -> None:
    with shell.guarded():
        rules = [rule for rule in parse_rules(address.get("rules")) if rule.column in {c.alias for c in numbers}]
        left, right = st.columns([4, 1], gap="small", vertical_alignment="bottom")
        with left:
            rules = _chosen(numbers, rules)
        with right:
            missing = address.choice("Missing values", "missing", list(MISSING), "drop", format_func=MISSING.get)
        if not rules:
            shell.show(shell.note(_nothing(found, numbers)))
            return
        languages = _languages(columns)
        for rule in rules:
            _rule(rule, next(column for column in numbers if column.alias == rule.column), languages)
        _result(cat, found, rules, missing, kept)


def _nothing(found: Resolved, numbers: list[ColumnRecord]) -> str:
    if not numbers:
        return f"No column of numbers yet. strata score {found.dataset.name} gopher_quality makes some."
    return (
        "Choose the columns that rules are about. Every line you draw is counted on all rows at once, by language and "
        "source, with the rows just above and below it. Nothing is changed until you save a selection."
    )


def _chosen(numbers: list[ColumnRecord], rules: list[Rule]) -> list[Rule]:
    """The columns with a rule; a new one starts where it keeps the better three quarters."""
    names = [column.alias for column in numbers]
    held = {rule.column: rule for rule in rules}
    st.session_state["rule_columns"] = list(held)

    def changed() -> None:
        asked = st.session_state["rule_columns"]
        _hold([held.get(name) or _first(next(c for c in numbers if c.alias == name)) for name in asked])

    st.multiselect(
        "Rules on", names, key="rule_columns", on_change=changed, max_selections=RULES, placeholder="choose columns"
    )
    return rules


def _hold(rules: list[Rule]) -> None:
    written = write_rules(rules)
    if written != address.get("rules"):
        address.put(rules=written)


def _first(column: ColumnRecord) -> Rule:
    quantiles = column.statistics.get("quantiles") or {}
    operator = "<=" if column.better == "lower" else ">="
    return Rule(column.alias, operator, float(f"{quantiles.get('75' if operator == '<=' else '25', 0.0):.4g}"))


def _languages(columns: list[ColumnRecord]) -> list[str]:
    held = next((column for column in columns if column.output == "language"), None)
    return list((held.statistics.get("facets") or {}) if held else {})


def _rule(rule: Rule, column: ColumnRecord, languages: list[str]) -> None:
    """The row of one rule: its side, its line, and the languages that have their own. Widgets write the address."""
    boxes = st.columns([1.2, 0.9, 3, 1, 1.6], gap="small", vertical_alignment="bottom")
    with boxes[0]:
        live(
            h("div", h("b", rule.column, cls="sx-cut"), thumbnail(column.statistics, 150, 26)), f"rule_of_{rule.column}"
        )
    side, spoken, own = f"rule_{rule.column}_side", f"rule_{rule.column}_languages", dict(rule.languages)
    st.session_state[side], st.session_state[spoken] = rule.operator, [name for name in own if name in languages]

    def turned() -> None:
        _change(replace(rule, operator=st.session_state[side]))

    def spoke() -> None:
        _change(replace(rule, languages=tuple((name, own.get(name, rule.line)) for name in st.session_state[spoken])))

    boxes[1].selectbox(f"Keep {rule.column}", OPERATORS, format_func=SIGNS.get, key=side, on_change=turned)
    _line(boxes[2], boxes[3], column, rule.line, "line", lambda value: _change(replace(rule, line=value)))
    boxes[4].multiselect("Own lines for", languages, key=spoken, max_selections=LINES, placeholder="languages",
                         disabled=not languages, on_change=spoke)  # fmt: skip
    for language, line in rule.languages:
        cells = st.columns([1.2, 0.9, 3, 1, 1.6], gap="small", vertical_alignment="bottom")
        with cells[1]:
            shell.show(h("div", f"in {language}", cls="sx-soft", style="padding-bottom:9px;text-align:right"))
        _line(cells[2], cells[3], column, line, language, _own(rule, language))


def _own(rule: Rule, language: str) -> Callable[[float], None]:
    """What moves the line of one language."""
    return lambda value: _change(
        replace(rule, languages=tuple((name, value if name == language else line) for name, line in rule.languages))
    )


def _change(rule: Rule) -> None:
    _hold([rule if held.column == rule.column else held for held in parse_rules(address.get("rules"))])


def _line(
    left: Any, right: Any, column: ColumnRecord, held: float, label: str, change: Callable[[float], None]
) -> None:
    """A slider over what most rows have, and a box for any number; moving the one moves the other."""
    quantiles = column.statistics.get("quantiles") or {}
    low, high = float(quantiles.get("1", 0.0)), float(quantiles.get("99", 1.0))
    low, high = min(low, held), max(high, held)
    high = high if high > low else low + 1.0
    whole = column.type.startswith(("int", "uint"))
    step = float(max(1, round((high - low) / 400))) if whole else (high - low) / 400
    slider, box = f"rule_{column.alias}_{label}_slider", f"rule_{column.alias}_{label}_box"
    st.session_state[slider] = st.session_state[box] = held

    def moved(source: str) -> Callable[[], None]:
        return lambda: change(float(f"{st.session_state[source]:.6g}"))

    left.slider(f"{column.alias}, {label}", low, high, step=step, key=slider, on_change=moved(slider),
                label_visibility="collapsed", format="%.4g")  # fmt: skip
    right.number_input(f"{column.alias}, {label}, exactly", key=box, on_change=moved(box), format="%.6g", step=step,
                       label_visibility="collapsed")  # fmt: skip


def _result(cat: Catalog, found: Resolved, rules: list[Rule], missing: str, kept: Kept) -> None:
    rows = found.version.rows if found.version else 0
    if rows > DECK_ROWS:
        shell.show(shell.note(f"{count(rows)} rows are counted by a scan, which takes some seconds; below "
                              f"{count(DECK_ROWS)} a line can be dragged."))  # fmt: skip
    report = _counted(cat, found, rules, missing)
    shell.show(h("div", _sentence(report), cls="sx-sentence", role="status"))
    live(kept(found, report), "rules_kept")
    with st.expander("Save as a selection"):
        save_chosen(cat, found, report["where"], "rules tried on all rows", missing=missing)


def _counted(cat: Catalog, found: Resolved, rules: list[Rule], missing: str) -> dict[str, Any]:
    home, state = str(cat.settings.home), found.dataset.lance_version
    return cat.rules(found.ref, rules, missing=missing, examples=EXAMPLES,
                     hold=lambda columns: _deck(cat, home, state, found.ref, columns))  # fmt: skip


def _sentence(report: dict[str, Any]) -> str:
    return (
        f"Keeps {share(report['kept'], report['rows'])}: {count(report['kept'])} of {count(report['rows'])} rows, "
        f"{compact(report['kept_total'])} {report['weight']}; {EXAMPLES} examples just above and below each line."
    )
