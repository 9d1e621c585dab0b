"""What release notes must warn of, and the bump they suggest; by rules that are stated, without a number of their own."""

from __future__ import annotations

from typing import Any

from catalog.licences import USES, blocks

UNKNOWN = "unknown"
LONGEST = 64
"""Characters of somebody's name that the notes show."""
FALL = 0.01
"""By how much of the rows a column's coverage must fall before it is said."""
RULES = {
    "major": "a source, a column or a part is gone or made otherwise, a licence came in that forbids what none forbade, or more "
    "than a tenth of the rows are gone or changed",
    "minor": "rows, columns, sources or licences came in, or up to a tenth of the rows are gone",
    "patch": "up to a tenth of the rows changed their content, or nothing that readers see did",
}


def name(value: Any) -> str:
    """Somebody's name inside Markdown: in backticks, on one line, without what would end them."""
    return "`" + " ".join(str(value).replace("`", "'").replace("|", "/").split())[:LONGEST] + "`"


def named(values: list[str], most: int = 12) -> str:
    """Names with commas; those beyond are said to be in the diff."""
    return ", ".join(map(name, values[:most])) + (" and others, see the diff" if len(values) > most else "")


def gone(values: dict[str, dict[str, Any]]) -> list[str]:
    return [value for value, held in values.items() if held["a"] and not held["b"] and value != UNKNOWN]


def came(values: dict[str, dict[str, Any]]) -> list[str]:
    return [value for value, held in values.items() if held["b"] and not held["a"]]


def forbids(licences: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    """Licence that came in -> uses it forbids, or is not known to allow, and that no licence before did."""
    old = [value for value, held in licences.items() if held["a"]]
    found: dict[str, list[str]] = {}
    for value in came(licences):
        mine = [use for use in USES if _blocked(value, use) and not any(_blocked(one, use) for one in old)]
        if mine and old:
            found[value] = mine
    return found


def _blocked(licence: str, use: str) -> bool:
    return bool(blocks(None if licence == UNKNOWN else licence, use))


def fallen(diff: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """Column -> rows with a value before and now, where the share of rows that have one fell."""
    rows = diff["rows"]["a"], diff["rows"]["b"]
    if not all(rows):
        return {}
    counted = {alias: tuple(held["rows"]) for alias, held in diff["scores"].items()}
    if diff.get("tokens"):
        counted.setdefault("tokens", tuple(diff["tokens"]["counted_rows"]))
    return {
        alias: (a, b) for alias, (a, b) in sorted(counted.items()) if a / rows[0] - b / rows[1] > FALL
    }  # fmt: skip


def warnings_of(facts: dict[str, Any]) -> list[str]:
    """Sentences, worst first."""
    diff = facts["diff"]
    return _of_mix(diff) if facts["of"] == "mix" else _of_dataset(diff, facts["about"])


def _licences(licences: dict[str, dict[str, Any]]) -> list[str]:
    said = []
    for value, uses in forbids(licences).items():
        held = licences[value]
        what = "rows without a known licence" if value == UNKNOWN else f"licence {name(value)}"
        said.append(
            f"Licence widened: {what} came in ({held['b']:,} rows) and does not allow {', '.join(uses)}, which all rows did before."
        )
    worse = licences.get(UNKNOWN)
    if worse and worse["a"] and worse["change"] > 0:
        said.append(f"Rows without a known licence rose from {worse['a']:,} to {worse['b']:,}.")
    return said


def _of_dataset(diff: dict[str, Any], about: dict[str, Any]) -> list[str]:
    said = _licences(diff["licences"])
    if lost := gone(diff["sources"]):
        said.append(f"Sources vanished: {named(lost)}.")
    if lost := gone(diff["languages"]):
        said.append(f"Languages vanished: {named(lost)}.")
    if many_gone(diff):
        said.append(f"More than a tenth of the rows are gone: {diff['removed']:,} were removed.")
    for alias, (a, b) in fallen(diff).items():
        said.append(
            f"Coverage of {name(alias)} fell: {a:,} of {diff['rows']['a']:,} rows had a value, {b:,} of {diff['rows']['b']:,} have one."
        )
    if other := diff["columns"]["made_differently"]:
        said.append(f"Made by another recipe, so not to be compared with before: {named(other)}.")
    if open_evals := about.get("unchecked_evals"):
        said.append(f"Not checked against {named(open_evals)}: run `strata score {about['name']} eval_overlap`.")
    return said


def _of_mix(diff: dict[str, Any]) -> list[str]:
    said = _licences(diff["licences"])
    if lost := [part["dataset"] for part in diff["parts"] if part["status"] == "removed"]:
        said.append(f"Parts vanished: {named(lost)}.")
    if diff["contamination"][1] == "unchecked":
        said.append("Not every part is checked against every eval.")
    if not diff["same_order"] and diff["same"]:
        said.append("The order differs though the rows are the same.")
    return said


def many_gone(diff: dict[str, Any]) -> bool:
    return 10 * (diff["removed"] + diff["content_changed"]) > diff["rows"]["a"] > 0


def bump_of(facts: dict[str, Any]) -> tuple[str, str]:
    """("major" | "minor" | "patch", why), by RULES."""
    diff = facts["diff"]
    reasons = _mix_reasons(diff) if facts["of"] == "mix" else _dataset_reasons(diff)
    for bump in ("major", "minor"):
        if found := [why for level, why in reasons if level == bump]:
            return bump, "; ".join(found)
    return "patch", "nothing that readers rely on came or went"


def _dataset_reasons(diff: dict[str, Any]) -> list[tuple[str, str]]:
    columns = diff["columns"]
    return [
        (level, why)
        for level, why, holds in (
            ("major", "a source is gone", gone(diff["sources"])),
            ("major", "a column is gone", columns["only_in_a"]),
            ("major", "a column is made by another recipe", columns["made_differently"]),
            ("major", "a licence came in that forbids what none forbade", forbids(diff["licences"])),
            ("major", "more than a tenth of the rows are gone or changed", many_gone(diff)),
            ("minor", "rows came in", diff["added"]),
            ("minor", "rows are gone", diff["removed"]),
            ("minor", "columns came in", columns["only_in_b"]),
        )
        if holds
    ]


def _mix_reasons(diff: dict[str, Any]) -> list[tuple[str, str]]:
    statuses = {part["status"] for part in diff["parts"]}
    few = diff["rows_removed"]["count"] * 10 <= diff["distinct_samples"]["a"]
    return [
        (level, why)
        for level, why, holds in (
            ("major", "a part is gone", "removed" in statuses),
            ("major", "a licence came in that forbids what none forbade", forbids(diff["licences"])),
            ("major", "the unit, the seed or the order changed", diff["settings"]),
            ("major", "more than a tenth of the samples are gone", not few),
            ("minor", "a part came in", "added" in statuses),
            ("minor", "samples came in", diff["rows_added"]["count"]),
            ("minor", "samples are gone", diff["rows_removed"]["count"]),
            ("minor", "parts weigh otherwise", "changed" in statuses),
        )
        if holds
    ]
