"""Insight: what is odd about a dataset version or a selection, each finding with a query that shows it.

    insight(cat, "web@v3")["findings"]

A capture-the-flag style profile: some fifty small checks (the modules beside this one) look for anomalies, leaks, near-empty
fields, skews and suspicious templates over all rows. Every finding has a severity, the rows concerned, a read-only query, up
to five sample ids and what to do. No model is asked without endpoint and budget; with them it words a hypothesis for each
finding and says what to look at first. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents.asking import both_or_none
from agents.insight.look import CHECKS, SEVERITIES, Check, Finding, Flag, Look, count_flags, said
from catalog.access import check as may
from catalog.errors import NotFound

if TYPE_CHECKING:
    from catalog.catalog import Catalog

OFF = "the language model is off: findings are ranked by severity and rows; --endpoint E --budget B turns it on"


@cache
def checks() -> dict[str, Check]:
    """Every check, by name."""
    folder = Path(__file__).parent
    for path in sorted(folder.glob("[a-z]*.py")):
        import_module(f"agents.insight.{path.stem}")
    return CHECKS


def insight(
    cat: Catalog,
    ref: str,
    *,
    only: Sequence[str] = (),
    endpoint: str | None = None,
    budget: str | None = None,
    memory: str = "2GB",
) -> dict[str, Any]:
    """{"ref", "rows", "findings": [...], "checked": [names], "quiet": [names], "notes": [...]}, worst finding first.

    ref: a dataset version, or a saved selection, of which the rows it holds today. only: names of checks, in place of all.
    endpoint, budget: both or none. memory: of the SQL engine, which spills to disk beyond it.
    """
    may(cat, "read", ref)
    wanted = _wanted(only)
    both_or_none(endpoint, budget)
    look = _open(cat, ref, memory)
    try:
        run = [one for one in wanted if not one.kinds or look.dataset.kind in one.kinds]
        found = _found(look, run) if look.count else []
    finally:
        look.close()
    found.sort(
        key=lambda item: (SEVERITIES.index(item.severity), -item.count / max(item.rows, 1), item.check, item.title)
    )
    held: dict[str, Any] = {
        "ref": look.found.ref, "asked": ref, "kind": look.dataset.kind, "rows": look.count,
        "findings": [{"id": f"f{at}", **asdict(item), "title": said(item.title)} for at, item in enumerate(found, 1)],
        "checked": [one.name for one in run],
        "quiet": sorted({one.name for one in run} - {item.check for item in found}),
        "notes": list(dict.fromkeys(look.notes)),
    }  # fmt: skip
    if not look.count:
        held["notes"].append(f"{ref} has no rows: nothing to look at")
    if endpoint is None or budget is None:
        held["notes"].append(OFF)
    else:
        from agents.insight.model import worded

        worded(cat, held, endpoint, budget)
    return held


def _wanted(only: Sequence[str]) -> list[Check]:
    known = checks()
    for name in only:
        if name not in known:
            raise NotFound("check", name, list(known), "strata insight --checks lists them")
    return [known[name] for name in dict.fromkeys(only)] if only else list(known.values())


def _open(cat: Catalog, ref: str, memory: str) -> Look:
    """The rows of a dataset version, or of a selection."""
    from catalog.refs import parse_ref
    from catalog.selections import find_selection

    if cat._noun(parse_ref(ref).name) != "selection":
        return Look(cat, cat.resolve(ref), memory=memory)
    held = find_selection(cat, ref)
    return Look(cat, cat.resolve(held.dataset), held, memory)


def _found(look: Look, run: list[Check]) -> list[Finding]:
    """What the checks find: those that count themselves first, then all conditions in one pass."""
    found: list[Finding] = []
    flags: list[tuple[str, Flag]] = []
    for one in run:
        look.checked = one.name
        for item in one.function(look):
            if isinstance(item, Flag):
                flags.append((one.name, item))
            else:
                found.append(item)
    return found + count_flags(look, flags)


def without_text(held: dict[str, Any]) -> dict[str, Any]:
    """The same findings without what quotes samples, for whoever may not have their text."""
    return {**held, "findings": [{**item, "quote": None} for item in held["findings"]]}


def listed() -> list[dict[str, Any]]:
    """Name, what it looks for and the kinds of datasets, of every check."""
    return [{"check": one.name, "looks_for": one.doc, "kinds": list(one.kinds)} for one in checks().values()]
