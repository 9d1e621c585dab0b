"""Rules and row sets before anything is saved, as MCP tools: figures; the text of samples and filters over it need consent."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from catalog.query.withheld import refuse_text
from ui.mcp.consent import consents, length, withheld
from ui.shapes import plain

if TYPE_CHECKING:
    from catalog import Catalog

EXAMPLES = 5
"""Rows of each kind; a client that wants more asks `search` or `sql`."""


def register(tool: Callable[..., Any], who: Callable[[], Catalog], texts: bool) -> None:
    """Add the tools to a server. who: the catalog in the hands of the caller."""

    @tool
    def rules(ref: str, rules: list[str], missing: str = "error") -> dict[str, Any]:
        """What thresholds keep together of all rows: share, rows, tokens, by language and source, and what each takes away.

        rules: "word_count >= 60", or "quality >= 0.4, de: 0.3" with a line of its own for a language. missing: error, drop
        or keep rows without a value. `where` of the answer saves the same rows by `select`. Changes nothing."""
        cat, granted = who(), texts or consents(who(), ref)
        held = plain(cat.rules(ref, rules, missing=missing, examples=EXAMPLES))
        if granted:
            return held
        refuse_text(cat, ref, held["where"])
        for edge in held["edges"]:
            for side in ("kept", "dropped"):
                edge[side] = [_told(row) for row in edge[side]]
        return {**held, "facets": withheld(held["facets"])}

    @tool
    def selection_overlap(a: str, b: str, dataset: str | None = None, missing: str = "error") -> dict[str, Any]:
        """Rows of one dataset that only a holds, only b, and both. A side is a saved selection, a dataset version (all of
        its rows), or a filter over `dataset`. Rows are told apart by what they are, not by their text. Changes nothing."""
        from catalog.overlap import PARTS, overlap_of, side_of

        cat = who()
        sides = [side_of(cat, given, dataset, missing) for given in (a, b)]
        granted = texts or all(consents(cat, ref) for ref, _, _ in sides)
        for given, (ref, where, _) in zip((a, b), sides, strict=True):
            if not granted and where is not None and where == given:
                refuse_text(cat, ref, where)
        held = plain(overlap_of(cat, a, b, dataset=dataset, missing=missing, examples=EXAMPLES))
        if granted:
            return held
        told = {part: {**held[part], "examples": [_told(row) for row in held[part]["examples"]]} for part in PARTS}
        names = {side: withheld(held[side]) for side in ("a", "b")}
        return {**held, **told, **names}


def _told(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "text": length(row["text"])}
