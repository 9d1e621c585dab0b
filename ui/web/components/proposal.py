"""A proposal as people decide on it: what it asks for, what that would do, why, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from ui.web.components.figures import ago, compact, count, share
from ui.web.components.markup import Markup, act, h, link
from ui.web.components.parts import caps, chip, facts, joined, licence_chips, table
from ui.web.components.shell import note

if TYPE_CHECKING:
    from catalog.meta.proposals import Proposal

TONES = {"open": "warn", "failed": "bad", "interrupted": "bad", "done": "ok", "applying": "accent"}
"""Tone of each state; a rejected one has none."""


def listed(held: Sequence[Proposal], on: str) -> Markup:
    """The book, newest first; a row opens its proposal."""
    if not held:
        return h("div", "Nothing here.", cls="sx-faint")
    rows = [
        h("div",
          h("div", h("b", item.title, cls="sx-cut"), chip(item.status, TONES.get(item.status, "")), cls="sx-between"),
          h("div", joined([item.verb, item.actor, ago(item.created)]), cls="sx-soft sx-cut"),
          cls="sx-menu-row on" if item.id == on else "sx-menu-row", **act("open", item.id))
        for item in held
    ]  # fmt: skip
    return h("div", rows, cls="sx-frame sx-menu")


def shown(held: Proposal) -> Markup:
    """All of one proposal."""
    by = [f"asked for by {held.actor}, {ago(held.created)}"]
    by += [f"{held.status} by {held.decided_by}, {ago(held.decided)}"] if held.decided_by else []
    by += [f"with {held.model}"] if held.model else []
    pieces: list[Any] = [
        h("div", h("h2", held.title, cls="sx-h2"), chip(held.verb), chip(held.status, TONES.get(held.status, "")), cls="sx-wrap"),
        h("div", joined(by), cls="sx-soft"),
        note(held.error, "bad") if held.error else None,
        h("div", caps("what it would do" if held.status != "done" else "what it was to do"), effect(held.effect, held.title),
          cls="sx-block"),
        reasons(held.reasons),
        h("div", caps("arguments"), h("pre", outline(held.args), cls="sx-pre"), cls="sx-block"),
        _edits(held.history),
        h("div", caps("result"), h("pre", pretty(held.result), cls="sx-pre"), cls="sx-block") if held.result else None,
        h("div", f"“{held.note}”", cls="sx-soft") if held.note else None,
    ]  # fmt: skip
    return h("div", [piece for piece in pieces if piece], cls="sx-stack")


def effect(body: Mapping[str, Any], title: str = "") -> Markup:
    """The dry run: its sentence, figures, and the table that its verb has."""
    money = body.get("money")
    figures = [(name, value) for name, value in (
        ("rows", None if body.get("rows") is None else count(body["rows"])),
        ("tokens", None if body.get("tokens") is None else compact(body["tokens"])),
        ("money", None if money is None else f"{money:.4g}"),
        ("licences", h("div", licence_chips(_rows(body["licences"]), 3), cls="sx-wrap") if _rows(body.get("licences")) else None),
    ) if value is not None]  # fmt: skip
    said = body.get("summary", "")
    pieces = [h("div", said) if said != title else None, facts(figures, 3) if figures else None]
    pieces += [note(line, "warn") for line in body.get("warnings", [])]
    pieces += [_rules(body), _steps(body), _parts(body), _reach(body)]
    return h("div", [piece for piece in pieces if piece], cls="sx-stack", style="gap:10px")


def _rows(licences: Any) -> dict[str, int]:
    return (
        {name: rows for name, rows in licences.items() if isinstance(rows, int)}
        if isinstance(licences, Mapping)
        else {}
    )


def _rules(body: Mapping[str, Any]) -> Markup | None:
    """What each rule of a promotion removes, in sequence."""
    if not body.get("rules"):
        return None
    rows = [(name, count(removed[0]), compact(removed[1])) for name, removed in body["rules"].items()]
    return table(["rule", "removes rows", body.get("unit", "")], rows, numeric=(1, 2))


def _steps(body: Mapping[str, Any]) -> Markup | None:
    if not body.get("steps"):
        return None
    rows = [(step["scorer"], step["cost"], count(step["missing"]), compact(step["tokens"]),
             "" if step["money"] is None else f"{step['money']:.4g}") for step in body["steps"]]  # fmt: skip
    return table(["step", "cost", "missing", "tokens", "money"], rows, numeric=(2, 3, 4))


def _parts(body: Mapping[str, Any]) -> Markup | None:
    """Parts of a mix with their share, beside what the newest mix of this name serves."""
    if not body.get("parts"):
        return None
    before = body.get("before") or {}
    then = {part["part"].partition("@")[0]: part for part in before.get("parts", [])}
    whole, old = sum(p["samples"] for p in body["parts"]) or 1, sum(p["samples"] for p in then.values()) or 1
    rows = []
    for part in body["parts"]:
        was = then.get(part["part"].partition("@")[0])
        rows.append((part["part"], part.get("where") or "", count(part["samples"]), share(part["samples"] / whole),
                     *([share(was["samples"] / old) if was else "new"] if before else [])))  # fmt: skip
    heads = ["part", "where", "samples", "share", *([f"in {before['ref']}"] if before else [])]
    return table(heads, rows, numeric=(2, 3, 4))


def _reach(body: Mapping[str, Any]) -> Markup | None:
    """What a retraction reaches."""
    if "mixes" not in body or not isinstance(body.get("datasets"), Mapping):
        return None
    rows = [
        (h("a", name, cls="sx-link", **link("dataset", ref=name)), count(rows))
        for name, rows in body["datasets"].items()
    ]
    mixes = ", ".join(body["mixes"]) if body["mixes"] else "no mix"
    return h(
        "div",
        table(["dataset", "rows"], rows, numeric=(1,)),
        h("div", f"served by {mixes}", cls="sx-soft"),
        cls="sx-block",
    )


def reasons(held: Sequence[Mapping[str, Any]]) -> Markup | None:
    """Why, with the samples that show it; each opens."""
    if not held:
        return None
    lines = []
    for reason in held:
        cited = [
            h("a", sample[:10], cls="sx-mono sx-link", title=sample, **link("incidents", q=sample))
            for sample in reason["samples"]
        ]
        lines.append(h("li", reason["text"], " " if cited else None, joined(cited, " ")))
    return h("div", caps("because"), h("ul", lines, style="margin:0"), cls="sx-block")


def _edits(history: Sequence[Mapping[str, Any]]) -> Markup | None:
    if not history:
        return None
    rows = [
        (ago(item["until"]), item["by"], item["note"], h("span", pretty(item["args"]), cls="sx-mono"))
        for item in history
    ]
    return h("div", caps("before it was edited"), table(["until", "by", "why", "arguments"], rows), cls="sx-block")


def pretty(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def outline(value: Any) -> str:
    """Arguments in few lines, as YAML."""
    import yaml

    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, default_flow_style=False).rstrip()
