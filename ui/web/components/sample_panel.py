"""One sample with everything known about it: content, verdicts, provenance, source fields, values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from catalog.meta.models import ColumnRecord
from ui.web.components import samples
from ui.web.components.figures import count
from ui.web.components.markup import Markup, act, h
from ui.web.components.parts import caps, chip, joined, pairs, short
from ui.web.components.values import values, verdicts


def panel(
    row: dict[str, Any], kind: str, columns: Sequence[ColumnRecord], dataset: str, everywhere: Markup | None = None
) -> Markup:
    """The side panel of the sample browser. everywhere: the sample's trace, once somebody asked for it."""
    marks = verdicts(row, columns)
    vectors = h("div", "vectors: ", ", ".join(row["_wide"]), cls="sx-faint") if row["_wide"] else None
    return h(
        "aside",
        _head(row),
        h("div", marks, cls="sx-wrap") if marks else None,
        h("div", samples.content(row, kind), cls="sx-body", data_keep=f"body{row['_rowid']}"),
        everywhere,
        h("div", h("div", caps("provenance"), style="margin-bottom:6px"), pairs(_about(row))),
        _extra(row) if kind != "knowledge" else None,
        h("div", caps("values"), values(row, columns, dataset), vectors),
        cls="sx-panel sx-detail",
        data_keep="detail",
    )


def _head(row: dict[str, Any]) -> Markup:
    length = h("span", f"{count(row['chars'])} characters", cls="sx-faint", style="margin-right:auto")
    more = h("span", "More like this", cls="sx-step", **act("like", row["sample_id"])) if row["_wide"] else None
    trace = h("span", "Trace", cls="sx-step", title="find it in every tier and mix", **act("trace", row["sample_id"]))
    return h("div", caps("sample"), short(row["sample_id"]), length, more, trace, cls="sx-row")


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
