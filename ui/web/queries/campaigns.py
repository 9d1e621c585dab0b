"""Campaigns as the page asks for them: what is stored of each is read once per state of its grades."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import streamlit as st

from catalog import Catalog, grades
from catalog.errors import BadInput

MOST = 100_000
"""Grades from which on the list of campaigns leaves agreement to the campaign's own page."""
RESAMPLES = 200
"""Resamples of an interval on the page; `strata grade agree` draws 1,000."""


def grader_of(cat: Catalog, wanted: str) -> str:
    """Who grades: whoever is signed in. At one's own machine, where nobody signs in, a name that is said (as in the CLI)."""
    return cat.settings.actor if getattr(cat, "grant", None) is not None else wanted.strip() or cat.settings.actor


def lines(cat: Catalog, grader: str) -> list[dict[str, Any]]:
    return grades.overview(cat, grader)


def state_of(line: dict[str, Any]) -> tuple[Any, ...]:
    """What a cached figure of a campaign follows from."""
    return line["campaign"], line["grades"], line["last"], line["in_bulk"], line["complete"], line["closed"]


@st.cache_data(show_spinner=False, max_entries=64)
def agreement(_cat: Catalog, home: str, state: tuple[Any, ...], resamples: int) -> dict[str, Any]:
    return grades.agreement_of(_cat, state[0], resamples=resamples)


@st.cache_data(show_spinner=False, max_entries=64)
def status(_cat: Catalog, home: str, state: tuple[Any, ...]) -> dict[str, Any]:
    return {**grades.status(_cat, state[0]), "gold": grades.gold_report(_cat, state[0])}


@st.cache_data(show_spinner=False, max_entries=32)
def conflicts(_cat: Catalog, home: str, state: tuple[Any, ...], apart: int, settled: bool) -> list[dict[str, Any]]:
    return grades.conflicts(_cat, state[0], apart=apart, settled=settled)


def alphas(cat: Catalog, line: dict[str, Any]) -> list[tuple[str, dict[str, Any], int]]:
    """(question, coefficient, items shared) of a campaign with two graders or more; none when there are none yet."""
    if line["graders"] < 2 or not line["grades"] or line["grades"] > MOST:
        return []
    found = agreement(cat, str(cat.settings.home), state_of(line), 0)["questions"]
    out = []
    for question, body in found.items():
        held = body["alpha"].get("interval") or body["alpha"].get("nominal")
        if held and held["value"] == held["value"]:
            out.append((question, held, body["shared"]))
    return out


def written(rows: list[dict[str, Any]], form: str) -> str:
    """Grades as JSON lines or CSV."""
    if form == "jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    out = io.StringIO()
    if rows:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return out.getvalue()


def sources(cat: Catalog) -> list[str]:
    """What a campaign may be made from: datasets with rows, and saved selections."""
    from catalog.selections import selections

    datasets = [held.name for held in cat.datasets() if held.head]
    return [*datasets, *(f"{made.name}@v{made.version}" for made in selections(cat))]


def columns_of(cat: Catalog, source: str) -> list[str]:
    """Columns that a source's queue may be ordered by, or that may suggest: numbers, flags and texts."""
    from catalog.refs import parse_ref
    from catalog.selections import find_selection

    if not source:
        return []
    ref = find_selection(cat, source).dataset if cat._noun(parse_ref(source).name) == "selection" else source
    return sorted(column.alias for column in cat.columns(cat.resolve(ref).dataset.name))


def rubric_from(text: str, shipped: str) -> dict[str, Any]:
    """A rubric that was written in YAML, or one that comes with Strata; anchors are asked of every scale."""
    import yaml

    from flows.scorers.judge._rubric import read_rubric
    from flows.scorers.judge._rubric import shipped as known

    if shipped:
        return json.loads(known()[shipped].model_dump_json())
    try:
        body = yaml.safe_load(text)
    except yaml.YAMLError as error:
        at = getattr(error, "problem_mark", None)
        where = f" in line {at.line + 1}" if at else ""
        raise BadInput(f"the rubric is no YAML{where}; see the example on the right") from None
    if not isinstance(body, dict):
        raise BadInput("the rubric is empty; write a name, what it is about, and a scale or a label")
    return json.loads(read_rubric(body).model_dump_json())
