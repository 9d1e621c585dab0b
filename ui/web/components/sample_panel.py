"""One sample with everything known about it: content, verdicts, provenance, source fields, values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from catalog.meta.models import ColumnRecord
from ui.web.components import samples
from ui.web.components.figures import count
from ui.web.components.markup import Markup, act, h
from ui.web.components.parts import caps, chip, joined, pairs, short
from ui.web.components.values import values, verdicts


@dataclass(frozen=True)
class Extras:
    """What is shown of a sample besides its content. body: in place of the content; after: below it; steps: toggles
    that the sample has, (name in the address, label, whether it is on)."""

    body: Markup | None = None
    after: tuple[Markup | None, ...] = ()
    steps: tuple[tuple[str, str, bool], ...] = ()


def panel(
    row: dict[str, Any], kind: str, columns: Sequence[ColumnRecord], dataset: str, extras: Extras | None = None
) -> Markup:
    """The side panel of the sample browser."""
    extras = extras or Extras()
    marks = verdicts(row, columns)
    vectors = h("div", "vectors: ", ", ".join(row["_wide"]), cls="sx-faint") if row["_wide"] else None
    body = samples.content(row, kind) if extras.body is None else extras.body
    return h(
        "aside",
        _head(row, extras),
        h("div", marks, cls="sx-wrap") if marks else None,
        h("div", body, cls="sx-body", data_keep=f"body{row['_rowid']}"),
        extras.after,
        h("div", h("div", caps("provenance"), style="margin-bottom:6px"), pairs(_about(row))),
        _extra(row) if kind != "knowledge" else None,
        h("div", caps("values"), values(row, columns, dataset), vectors),
        cls="sx-panel sx-detail",
        data_keep="detail",
    )


def _head(row: dict[str, Any], extras: Extras) -> Markup:
    length = h("span", f"{count(row['chars'])} characters", cls="sx-faint", style="margin-right:auto")
    more = h("span", "More like this", cls="sx-step", **act("like", row["sample_id"])) if row["_wide"] else None
    trace = h("span", "Trace", cls="sx-step", title="find it in every tier and mix", **act("trace", row["sample_id"]))
    steps = [
        h("span", label, cls="sx-step on" if on else "sx-step", aria_pressed="true" if on else "false", **act(name, ""))
        for name, label, on in extras.steps
    ]
    return h("div", h("div", caps("sample"), short(row["sample_id"]), length, cls="sx-row"),
             h("div", steps, more, trace, cls="sx-wrap"), style="display:grid;gap:7px")  # fmt: skip


def _about(row: dict[str, Any]) -> list[tuple[str, Any]]:
    line = f"line {count(row['line'])}" if row["line"] is not None else None
    offset = f"byte {count(row['offset'])}" if row["offset"] is not None else None
    held = [
        ("id", h("span", row["sample_id"], cls="sx-mono")),
        ("content", h("span", row["content_id"], cls="sx-mono")),
        ("from", joined([row["file"], line, offset])),
        ("source", row["source"]),
        ("licence", chip(row["licence"]) if row["licence"] else chip("licence unknown", "warn")),
        ("url", _anchor(row["url"])),
        ("author", row["author"]),
        ("created", row["created"]),
        ("added in", f"v{row['added']}"),
        ("parents", ", ".join(row.get("parents") or [])),
    ]
    return [(name, value) for name, value in held if value not in (None, "")]


def _extra(row: dict[str, Any]) -> Markup | None:
    """Fields of the source record that the mapping left alone."""
    meta = samples.parsed(row.get("meta"))
    if not meta:
        return None
    body = h("pre", samples.pretty(meta), cls="sx-pre", style="margin-top:6px")
    return h("details", h("summary", f"source fields ({len(meta)})"), body)


def _anchor(url: str | None) -> Any:
    """A link for the schemes of the web; any other text stays text."""
    if not url or not url.startswith(("http://", "https://")):
        return url
    return h("a", url, cls="sx-link", href=url, target="_blank", rel="noopener noreferrer nofollow")
