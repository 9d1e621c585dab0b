"""What a lock says about licences and contamination. It reports; only a use that is declared forbids."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from catalog.errors import Refused
from catalog.evals import evals as registered
from catalog.evals import stamp
from catalog.licences import blocks, obligations
from catalog.mixes.parts import FoundPart, Leaks, licence_counts
from catalog.mixes.spec import Waiver, part_name

if TYPE_CHECKING:
    from catalog.catalog import Catalog


def licence_verdict(
    parts: list[FoundPart], use: str | None = None, waivers: list[Waiver] | None = None
) -> dict[str, Any]:
    """Rows by licence over all parts, and the parts that hold rows of unknown licence.

    With a use, also what blocks it: {"use", "blocked": [{part, licence, rows, why, find}], "waived", "obligations"}; `find`
    is a filter that shows the rows. Without one a lock reports and nothing is blocked.
    """
    known: Counter[str] = Counter()
    unknown = {}
    for found in parts:
        counts = licence_counts(found)
        known.update(counts["known"])
        if counts["unknown"]:
            unknown[found.found.ref] = unknown.get(found.found.ref, 0) + counts["unknown"]
    rows = dict(sorted(known.items()))
    if use is None:
        return {"verdict": "unknown licences" if unknown else "known", "rows": rows, "unknown": unknown}
    blocked, waived = [], []
    for found in parts:
        counts = licence_counts(found)
        for licence, count in [*counts["known"].items(), *([(None, counts["unknown"])] if counts["unknown"] else [])]:
            if not (why := blocks(licence, use)):
                continue
            entry = {
                "part": part_name(found.part),
                "licence": licence,
                "rows": count,
                "why": why,
                "find": _find(found, licence),
            }
            pardon = next((w for w in waivers or [] if _waives(w, entry)), None)
            (waived.append({**entry, "by": pardon.by, "reason": pardon.reason}) if pardon else blocked.append(entry))
    asked = sorted({(what, licence) for licence in rows for what in obligations(licence)})
    return {
        "verdict": "blocked" if blocked else "allowed", "use": use, "rows": rows, "unknown": unknown, "blocked": blocked,
        "waived": waived, "obligations": {what: [name for kind, name in asked if kind == what] for what in dict(asked)},
    }  # fmt: skip


def _waives(waiver: Waiver, entry: dict[str, Any]) -> bool:
    return waiver.part in (None, entry["part"]) and waiver.licence == (entry["licence"] or "unknown")


def _find(found: FoundPart, licence: str | None) -> str:
    """A filter over the part's dataset that holds for the rows of a licence."""
    default = found.found.dataset.licence
    own = "licence IS NULL" if licence in (None, default) else ""
    named = f"licence = '{licence.replace(chr(39), chr(39) * 2)}'" if licence else ""
    held = " OR ".join(clause for clause in (named, own) if clause)
    return f"{found.where} AND ({held})" if found.where else held


def refuse_blocked(lock: dict[str, Any]) -> None:
    """Refuse to publish what its own use does not allow; the first block is named, all are counted."""
    blocked = lock["licences"].get("blocked")
    if not blocked:
        return
    first, rows = blocked[0], sum(entry["rows"] for entry in blocked)
    licence = first["licence"] or "unknown"
    raise Refused(
        f"mix {lock['name']}: use {lock['licences']['use']} is blocked by {rows:,} rows: {first['rows']:,} of {first['part']} "
        f"({licence}): {first['why']}; leave them out (where: NOT ({first['find']})), change the use, or waive it by name: "
        f"waive: [{{licence: {licence}, by: WHO, reason: WHY}}]",
        missing=[f"{entry['part']}: {entry['licence'] or 'unknown'}" for entry in blocked],
    )


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
