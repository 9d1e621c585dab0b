"""What a lock says about licences and contamination. It reports; it does not forbid."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from catalog.evals import evals as registered
from catalog.evals import stamp
from catalog.mixes.parts import FoundPart, Leaks, licence_counts

if TYPE_CHECKING:
    from catalog.catalog import Catalog


def licence_verdict(parts: list[FoundPart]) -> dict[str, Any]:
    """Rows by licence over all parts, and the parts that hold rows of unknown licence."""
    known: Counter[str] = Counter()
    unknown = {}
    for found in parts:
        counts = licence_counts(found)
        known.update(counts["known"])
        if counts["unknown"]:
            unknown[found.found.ref] = unknown.get(found.found.ref, 0) + counts["unknown"]
    return {
        "verdict": "unknown licences" if unknown else "known",
        "rows": dict(sorted(known.items())),
        "unknown": unknown,
    }


def contamination_verdict(cat: Catalog, parts: list[FoundPart]) -> dict[str, Any]:
    """For every dataset of role eval: was every row of every part compared with its newest version, what overlapped?"""
    evals = []
    for entry in registered(cat):
        mark = stamp(entry)
        rows = [_against(found, mark) for found in parts]
        checked = all(row["status"] == "checked" for row in rows)
        declared = {"leak": entry["leak"]} if "leak" in entry else {}
        status = "checked" if checked else "unchecked"
        evals.append({"eval": entry["ref"], "stamp": mark, "status": status, "parts": rows, **declared})
    open_evals = [entry["eval"] for entry in evals if entry["status"] == "unchecked"]
    verdict = "no eval datasets" if not evals else ("unchecked" if open_evals else "checked")
    return {"verdict": verdict, "unchecked": open_evals, "evals": evals}


def _against(found: FoundPart, mark: str) -> dict[str, Any]:
    """A part against one eval: the best-covering column whose recipe names that eval version and declaration.

    `overlapping` counts rows that hold a part of an item of this eval, `leaking` those over its declared share,
    `leaked_items` the items these hold; a column that names no items counts rows that overlap any of its evals.
    `too_short` are items nothing can be compared with.
    """
    best = {"part": found.found.ref, "status": "unchecked", "covered": 0, "rows": found.rows.rows}
    for check in found.checks:
        covered, overlapping = found.checked[check.column.physical]
        if mark not in check.evals or covered < best["covered"]:
            continue
        status = "checked" if covered == found.rows.rows else "unchecked"
        ref, more = check.evals[mark], {}
        if check.items:
            held = found.leaks[check.column.physical].get(ref, Leaks())
            overlapping, more = held.overlapping, {"leaking": held.leaking, "leaked_items": len(held.items)}
        best |= {
            "status": status,
            "covered": covered,
            "column": check.column.alias,
            "fingerprint": check.column.fingerprint,
            "overlapping": overlapping,
            "overlapping_share": round(overlapping / covered, 9) if covered else 0.0,
            **more,
            **_items(check.column.report, ref),
        }
    return best


def _items(report: dict[str, Any], ref: str) -> dict[str, int]:
    """Items of the eval and how many were too short to look for, where the column's report tells."""
    for entry in report.get("evals") or []:
        if isinstance(entry, dict) and entry.get("ref") == ref:
            return {name: entry[name] for name in ("items", "too_short", "only_phrases") if name in entry}
    return {}
