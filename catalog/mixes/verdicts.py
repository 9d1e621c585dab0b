"""What a lock says about licences and contamination. It reports; it does not forbid."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from catalog.mixes.parts import FoundPart, licence_counts

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
    for dataset in cat.datasets():
        if dataset.role != "eval" or not dataset.head:
            continue
        held = cat.resolve(dataset.name)
        digest = held.version.digest if held.version else ""
        rows = [_against(found, digest) for found in parts]
        checked = all(entry["status"] == "checked" for entry in rows)
        evals.append({"eval": held.ref, "status": "checked" if checked else "unchecked", "parts": rows})
    open_evals = [entry["eval"] for entry in evals if entry["status"] == "unchecked"]
    verdict = "no eval datasets" if not evals else ("unchecked" if open_evals else "checked")
    return {"verdict": verdict, "unchecked": open_evals, "evals": evals}


def _against(found: FoundPart, digest: str) -> dict[str, Any]:
    """A part against one eval: the best-covering column whose recipe names that eval version.

    `overlapping` counts rows that overlap any eval of that column; `too_short` are items nothing can be compared with.
    """
    best = {"part": found.found.ref, "status": "unchecked", "covered": 0, "rows": found.rows.rows}
    for check in found.checks:
        covered, overlapping = found.checked[check.column.physical]
        if digest not in check.evals or covered < best["covered"]:
            continue
        status = "checked" if covered == found.rows.rows else "unchecked"
        best |= {
            "status": status,
            "covered": covered,
            "column": check.column.alias,
            "fingerprint": check.column.fingerprint,
            "overlapping": overlapping,
            "overlapping_share": round(overlapping / covered, 9) if covered else 0.0,
            **_items(check.column.report, check.evals[digest]),
        }
    return best


def _items(report: dict[str, Any], ref: str) -> dict[str, int]:
    """Items of the eval and how many were too short to look for, where the column's report tells."""
    for entry in report.get("evals") or []:
        if isinstance(entry, dict) and entry.get("ref") == ref:
            return {name: entry[name] for name in ("items", "too_short") if name in entry}
    return {}
