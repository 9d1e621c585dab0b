"""The nutrition label of a whole mix: what its lock says, and what its datasets' labels say, weighted by what it serves.

No table is opened. Amounts and licences are those of the lock. Languages, checks and missing facts are stored for whole
dataset versions, so a filter of a part is not counted in; `filtered` names the parts where that matters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def part_refs(lock: Mapping[str, Any]) -> list[str]:
    """The dataset version behind every part."""
    return [f"{part['dataset']}@v{part['version']}" for part in lock["parts"]]


def whole_label(ref: str, lock: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A label as `catalog.nutrition.label` makes it, with `unit` and `filtered` more. known: labels by dataset version."""
    served = [int(part["samples"]) for part in lock["totals"]["parts"]]
    held = [(known[name], samples) for name, samples in zip(part_refs(lock), served, strict=True) if name in known]
    total = sum(served)
    return {
        "ref": ref,
        "unit": "samples",
        "rows": total,
        "chars": None,
        "tokens": lock["totals"]["tokens"],
        "tokens_rows": total,
        "licences": _licences(lock["parts"], served),
        "languages": _languages(held),
        "checks": _checks(held, total),
        "qualities": [],
        "missing": _missing(held),
        "filtered": [name for name, part in zip(part_refs(lock), lock["parts"], strict=True) if part["where"]],
    }


def _licences(parts: Sequence[Mapping[str, Any]], served: Sequence[int]) -> dict[str, int]:
    """Samples served under each licence, about: every row of a part comes as often as another."""
    found: dict[str, float] = {}
    for part, samples in zip(parts, served, strict=True):
        counts = {**part["licences"]["known"], "unknown": part["licences"]["unknown"]}
        rows = sum(counts.values())
        for name, count in counts.items():
            found[name] = found.get(name, 0.0) + (samples * count / rows if rows else 0.0)
    return {name: round(count) for name, count in sorted(found.items(), key=lambda item: -item[1]) if count >= 0.5}


def _languages(held: Sequence[tuple[Mapping[str, Any], int]]) -> dict[str, int]:
    found: dict[str, float] = {}
    for facts, samples in held:
        rows = sum(facts["languages"].values())
        for name, count in (facts["languages"] or {"unknown": 1}).items():
            found[name] = found.get(name, 0.0) + samples * count / (rows or 1)
    return {name: round(count) for name, count in found.items() if count >= 0.5}


def _checks(held: Sequence[tuple[Mapping[str, Any], int]], total: int) -> list[dict[str, Any]]:
    """Of each check the share of the samples that it looked at, and of those the share it found something in."""
    made = []
    for at, first in enumerate(held[0][0]["checks"] if held else []):
        looked = [(facts["checks"][at], samples) for facts, samples in held]
        covered = sum(samples * (check["coverage"] or 0.0) for check, samples in looked)
        told = [(check, samples) for check, samples in looked if check["coverage"]]
        known = covered > 0 and all(check["share"] is not None for check, _ in told)
        found = sum(samples * check["coverage"] * check["share"] for check, samples in told) if known else None
        made.append({
            "check": first["check"], "scorer": first["scorer"], "coverage": covered / total if total else None,
            "found": None if found is None else round(found) or int(found > 0),
            "share": None if found is None else found / covered,
        })  # fmt: skip
    return made


def _missing(held: Sequence[tuple[Mapping[str, Any], int]]) -> dict[str, float | None]:
    """Of the samples whose dataset is known under its name; a dataset that was renamed says nothing."""
    total = sum(samples for _, samples in held)
    names = list(held[0][0]["missing"]) if held else []
    shares = {name: [(facts["missing"][name], samples) for facts, samples in held] for name in names}
    return {
        name: sum((part or 0.0) * samples for part, samples in found) / total if total else None
        for name, found in shares.items()
    }
