"""The Markdown of release notes and of a card draft. A section is a list of lines; every number is one of the diff's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agents.notes.warnings import RULES, UNKNOWN, name, named
from catalog.licences import USES, blocks, obligations

LISTED = 12
"""Rows of a table; what is beyond is in the diff."""
SHIFTS = 8
HARDLY = 0.02
"""Kolmogorov-Smirnov distance below which a shift of scores is not told."""


def notes(facts: Mapping[str, Any], warnings: Sequence[str], bump: str, why: str) -> list[list[str]]:
    """Release notes, section by section."""
    diff = facts["diff"]
    head = [[f"# {diff['b']}"], [f"What changed since {name(diff['a'])}."], [f"Suggested bump: **{bump}** ({why})."]]
    if warnings:
        head += [["## Warnings"], [f"- {line}" for line in warnings]]
    body = _mix(diff) if facts["of"] == "mix" else _dataset(diff)
    return [*head, *body, [f"Rule for {bump}: {RULES[bump]}."]]


def _dataset(diff: Mapping[str, Any]) -> list[list[str]]:
    if diff["same"] and not any(diff["columns"].values()):
        return [["Both hold the same rows and columns."]]
    lines = [f"- Rows: {_moved(diff['rows'])}.", f"- Characters: {_moved(diff['chars'])}."]
    if diff.get("tokens"):
        lines.append(f"- Tokens: {_moved(diff['tokens'])}.")
    lines.append(
        f"- Samples: {diff['added']:,} came in, {diff['removed']:,} are gone, {diff['common']:,} are in both; "
        f"{diff['content_changed']:,} of those have other content."
    )
    made = [["## Rows"], lines]
    for title in ("sources", "licences", "languages"):
        if table := _values(diff[title], title):
            made += [[f"## {title.capitalize()}"], table]
    return [*made, *_columns(diff["columns"]), *_scores(diff["scores"])]


def _moved(held: Mapping[str, Any]) -> str:
    if held["change"] is None:
        return "not counted on both sides"
    sign = "+" if held["change"] > 0 else "−" if held["change"] < 0 else ""
    return f"{held['a']:,} before, {held['b']:,} now" + (f" ({sign}{abs(held['change']):,})" if sign else "")


def _values(values: Mapping[str, Mapping[str, Any]], title: str) -> list[str]:
    """A table of the values that changed most; nothing where none did."""
    moved = [(value, held) for value, held in values.items() if held["change"]]
    if not moved:
        return []
    lines = [f"| {title} | rows before | rows now | change |", "|---|---|---|---|"]
    lines += [
        f"| {name(value)} | {held['a']:,} | {held['b']:,} | {_signed(held['change'])} |"
        for value, held in moved[:LISTED]
    ]
    return lines + (["", "Further values are in the diff."] if len(moved) > LISTED else [])


def _signed(change: int) -> str:
    return f"+{change:,}" if change > 0 else f"−{-change:,}"


def _columns(columns: Mapping[str, Sequence[str]]) -> list[list[str]]:
    words = {"only_in_b": "New", "only_in_a": "Gone", "made_differently": "Made by another recipe"}
    lines = [f"- {word}: {named(list(columns[key]))}." for key, word in words.items() if columns[key]]
    return [["## Columns"], lines] if lines else []


def _scores(scores: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    lines = []
    for alias, held in list(scores.items())[:SHIFTS]:
        if held["ks"] is None or held["ks"] < HARDLY:
            continue
        lines.append(
            f"- {name(alias)}: mean {figure(held['mean'][0])} before, {figure(held['mean'][1])} now; the distributions lie "
            f"{figure(held['ks'])} apart (Kolmogorov-Smirnov), over {held['ks_rows'][0]:,} and {held['ks_rows'][1]:,} rows."
        )
    return [["## Scores"], lines] if lines else []


def figure(value: float | None) -> str:
    """A number of the diff, rounded as far as it is written."""
    if value is None:
        return "none"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4f}".rstrip("0").rstrip(".") if abs(value) >= 0.0001 or not value else repr(value)


def _mix(diff: Mapping[str, Any]) -> list[list[str]]:
    if diff["same"]:
        return [["Both serve the same samples in the same order."]]
    lines = [
        f"- Samples served: {_moved(diff['samples'])}.",
        f"- Distinct samples: {_moved(diff['distinct_samples'])}.",
    ]
    if diff["tokens"]["change"] is not None:
        lines.append(f"- Tokens: {_moved(diff['tokens'])}.")
    lines.append(f"- {diff['rows_added']['count']:,} samples came in, {diff['rows_removed']['count']:,} are gone.")
    made = [["## Samples"], lines, ["## Parts"], _parts(diff["parts"])]
    if table := _values(diff["licences"], "licences"):
        made += [["## Licences"], table]
    told = [f"- {setting}: {name(old)} before, {name(new)} now." for setting, (old, new) in diff["settings"].items()]
    return [*made, *([["## Settings"], told] if told else [])]


def _parts(parts: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = ["| part | status | samples before | samples now |", "|---|---|---|---|"]
    for part in parts[:LISTED]:
        sides = [f"{part[side]['samples']:,}" if part[side] else "none" for side in ("a", "b")]
        filter_ = f" where {name(part['where'])}" if part["where"] else ""
        lines.append(f"| {name(part['dataset'])}{filter_} | {part['status']} | {sides[0]} | {sides[1]} |")
    return lines + (["", "Further parts are in the diff."] if len(parts) > LISTED else [])


def card_draft(facts: Mapping[str, Any], warnings: Sequence[str]) -> list[list[str]]:
    """A card for people to finish: what the newer side holds by the diff, and what is still to be written."""
    diff, about = facts["diff"], facts["about"]
    made = [[f"# {diff['b']}"], [about.get("note") or "*What this is for, in one sentence: to be written.*"]]
    if facts["of"] == "mix":
        amounts = [f"- {diff['samples']['b']:,} samples served, {diff['distinct_samples']['b']:,} of them distinct"]
        amounts += [f"- {diff['tokens']['b']:,} tokens"] if diff["tokens"]["b"] is not None else []
        made += [["## What it holds"], amounts, _parts([part for part in diff["parts"] if part["b"]])]
    else:
        amounts = [f"- {diff['rows']['b']:,} rows of kind {about['kind']}", f"- {diff['chars']['b']:,} characters"]
        amounts += [f"- {diff['tokens']['b']:,} tokens"] if diff.get("tokens") else []
        made += [["## What it holds"], amounts]
        for title in ("sources", "languages"):
            if table := _held(diff[title], title):
                made += [[f"## {title.capitalize()}"], table]
    made += [["## Licences"], _licences(diff["licences"], about)]
    if about.get("columns"):
        made += [["## Columns"], [f"Computed: {named(about['columns'], 40)}."]]
    limits = [f"- {line}" for line in warnings] or ["- none that the difference shows"]
    return [*made, ["## Known limits"], limits, ["## To be written"], list(TO_WRITE)]


TO_WRITE = (
    "- how the data was collected, and from whom", "- what it should not be used for",
    "- who answers for it, and how to have a row removed",
)  # fmt: skip


def _held(values: Mapping[str, Mapping[str, Any]], title: str) -> list[str]:
    """What the newer side holds of the values that the diff lists, the most first."""
    rows = sorted(
        ((held["b"], value) for value, held in values.items() if held["b"]), key=lambda item: (-item[0], item[1])
    )
    if not rows:
        return []
    lines = [f"| {title} | rows |", "|---|---|", *[f"| {name(value)} | {n:,} |" for n, value in rows[:LISTED]]]
    return lines + (["", "Further values are in the dataset."] if len(rows) > LISTED else [])


def _licences(licences: Mapping[str, Mapping[str, Any]], about: Mapping[str, Any]) -> list[str]:
    lines = ["| licence | rows | does not allow | asks for |", "|---|---|---|---|"]
    for value, held in licences.items():
        if held["b"]:
            known = None if value == UNKNOWN else value
            closed = ", ".join(use for use in USES if blocks(known, use)) or "nothing of what is known"
            lines.append(f"| {name(value)} | {held['b']:,} | {closed} | {', '.join(obligations(known)) or 'nothing'} |")
    if about:
        verified = about["licence_verified"]
        lines += ["", f"Verified by a person: {name(verified)}." if verified else "No person has verified the licence."]
    return lines
