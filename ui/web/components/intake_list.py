"""The register of sources as one table: status, licence with evidence, quarantine, overlap, promises, owner, next step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ui.intake import STATUSES
from ui.web.components.figures import ago, compact, count, plural, share
from ui.web.components.markup import Markup, act, h, link
from ui.web.components.pager import pager
from ui.web.components.parts import chip, licence_chips, table, tier

TONES = {
    "failed": "bad",
    "waiting": "",
    "licence": "warn",
    "quarantine": "warn",
    "overlap": "warn",
    "score": "",
    "ready": "accent",
    "in": "ok",
}
WEB = ("https://", "http://")


def filters(rows: Sequence[Mapping[str, Any]], wanted: str) -> Markup:
    """Statuses with their counts, as links."""
    held = Counter(row["status"] for row in rows)
    made = [_filter("all", len(rows), "", wanted == "")]
    made += [_filter(label, held[name], name, wanted == name) for name, label in STATUSES.items() if held[name]]
    return h("nav", made, cls="sx-filters", aria_label="status")


def _filter(label: str, number: int, name: str, on: bool) -> Markup:
    current = "page" if on else None
    return h(
        "a", label, h("b", count(number)), cls="on" if on else None, aria_current=current, **link("intake", status=name)
    )


def listing(
    rows: Sequence[Mapping[str, Any]], picked: Sequence[str], chosen: str, at: int, page: int, total: int
) -> Markup:
    """A page of sources; the first cell chooses them for what is done to many."""
    if not rows:
        return h("div", "No source matches.", cls="sx-soft")
    every = all(row["name"] in picked for row in rows)
    heads = [
        _box("all", "", every, "choose all that match"),
        "source",
        "status",
        "licence",
        "quarantine",
        "held already",
        "promises",
        "owner",
        "next",
    ]
    lines = [_line(row, row["name"] in picked) for row in rows]
    on = next((number for number, row in enumerate(rows) if row["name"] == chosen), None)
    body = table(heads, lines, nowrap=(0, 2), on=on)
    words = h(
        "span", h("b", plural(total, "source")), f", {count(len(picked))} chosen" if picked else "", cls="sx-soft"
    )
    steps = pager(words, at, page, total) if total > page else h("div", words, cls="sx-pager")
    return h("div", steps, h("div", body, cls="sx-long", data_keep="sources"))


def _box(name: str, value: str, on: bool, label: str) -> Markup:
    asked = {**act(name, value), "role": "checkbox", "aria_checked": "true" if on else "false", "aria_label": label}
    return h("span", "", cls="sx-check on" if on else "sx-check", **asked)


def _line(row: Mapping[str, Any], on: bool) -> tuple[Any, ...]:
    return (
        _box("pick", row["name"], on, f"choose {row['name']}"),
        _source(row),
        chip(STATUSES[row["status"]], TONES[row["status"]]),
        licence(row),
        quarantine(row),
        overlap(row),
        promises(row),
        row["owner"] or h("span", "–", cls="sx-faint"),
        h("span", row["next"], title=row["command"] or None),
    )


def _source(row: Mapping[str, Any]) -> Markup:
    name = h(
        "span", row["name"], cls="sx-link", style="color:var(--sx-accent);font-weight:600", **act("source", row["name"])
    )
    what = [tier(row["tier"]), f"{compact(row['rows'])} rows"] if row["rows"] is not None else []
    facts = h(
        "span",
        [what[0], " ", what[1]] if what else "nothing is held of it",
        f" · {row['role']}" if row["role"] else "",
        cls="sx-faint",
        style="font-size:12.5px",
    )
    why = h("span", row["reason"][:200], cls="sx-why", title=row["reason"]) if row["status"] == "failed" else None
    return h("div", name, facts, why, cls="sx-source")


def licence(row: Mapping[str, Any]) -> Markup:
    """Verified by whom, else as declared; and where it is stated."""
    if row["verified"]:
        head = chip(row["verified"], "ok", f"verified by {row['verified_by']}")
        by: Any = f"by {row['verified_by']}"
    else:
        rows = row["licences"] or ({row["licence"]: 1} if row["licence"] else {})
        head = h("span", licence_chips(rows), cls="sx-wrap") if rows else chip("none declared", "warn")
        by = "not verified"
    return h(
        "div",
        head,
        h("span", by, " · ", evidence(row["evidence"]), cls="sx-faint", style="font-size:12.5px"),
        cls="sx-source",
    )


def evidence(given: str | None) -> Markup:
    if not given:
        return h("span", "no evidence")
    if given.startswith(WEB):
        return h("a", "evidence", cls="sx-link", href=given, target="_blank", rel="noopener noreferrer", title=given)
    return h("span", given[:60], title=given)


def quarantine(row: Mapping[str, Any]) -> Any:
    if row["rows"] is None or not row["quarantined"]:
        return h("span", "–", cls="sx-faint") if row["rows"] is None else h("span", "none", cls="sx-soft")
    first = next(iter(sorted(row["reasons"], key=row["reasons"].get, reverse=True)))
    looked = row["quarantined"] <= row["looked"]
    note = "looked at" if looked else first
    return h(
        "div",
        h("span", plural(row["quarantined"], "row"), cls=None if looked else "sx-warn"),
        h("span", note, cls="sx-faint", style="font-size:12.5px"),
        cls="sx-source",
    )


def overlap(row: Mapping[str, Any]) -> Any:
    """What is held elsewhere and in mixes, and the evals it leaks."""
    held = row["overlap"]
    if row["rows"] is None:
        return h("span", "–", cls="sx-faint")
    if not held:
        return h("span", "not checked", cls="sx-faint")
    total = held["rows"] or 1
    most = ", ".join(f"{name} {count(rows)}" for name, rows in list(held["datasets"].items())[:5])
    leaks = held.get("leaks")
    said = (
        "evals not checked"
        if leaks is None
        else "no eval leaked"
        if not leaks
        else f"{count(sum(leaks.values()))} leak an eval"
    )
    near = h(
        "span", share(held["near"], total), title=most or None, cls="sx-warn" if held["near"] > total / 2 else None
    )
    tail = " (before the last delivery)" if row["stale_overlap"] else ""
    leaky = h("span", said, tail, cls="sx-bad" if leaks else "sx-faint", style="font-size:12.5px")
    return h("div", near, leaky, cls="sx-source")


def promises(row: Mapping[str, Any]) -> Any:
    """How many expectations were declared, and whether the last delivery kept them."""
    kept = {name: value for name, value in row["expectations"].items() if value not in (None, {}, [])}
    if not kept:
        return h("span", "none", cls="sx-faint")
    words = "; ".join(f"{name} {value}" for name, value in kept.items())
    if row["delivery"] == "failed expectation":
        return chip("broken", "bad", words)
    if row["rows"] is None:
        return chip("not tested", "", words)
    return chip(f"{len(kept)} kept", "ok", words)


def quarantined(held: Sequence[Any], total: int) -> Markup:
    """The first records that could not become samples."""
    lines = [
        (
            h("span", one.file.rsplit("/", 1)[-1], title=one.file),
            count(one.line),
            one.reason,
            one.detail[:160],
            h("span", one.excerpt[:120], cls="sx-mono sx-soft"),
        )
        for one in held
    ]
    body = table(["file", "line", "reason", "detail", "begins"], lines, numeric=(1,), nowrap=(0, 2))
    more = (
        h("div", f"{count(total - len(held))} more are in the download.", cls="sx-faint") if total > len(held) else None
    )
    return h("div", body, more, cls="sx-block")


def seen(row: Mapping[str, Any]) -> str:
    return ago(row["seen"]) if row["seen"] else "–"
