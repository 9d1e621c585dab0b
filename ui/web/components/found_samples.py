"""Samples that were found in several datasets: where, why, and the words that matched, marked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from catalog.query.words import stem, terms_of
from ui.web.components.figures import plural
from ui.web.components.markup import Markup, act, h
from ui.web.components.parts import chip, short
from ui.web.queries.discovering import Found, Hit


def hits(found: Found, words: str, chosen: str, like: str, searched: Sequence[str]) -> Markup:
    """The hits as a list; a click picks one. chosen: "dataset@v:row" of the open one."""
    of = f"best hits in {plural(len(searched), 'dataset')}"
    head: list[Any] = [h("b", str(len(found.hits))), f" {of}: {', '.join(searched)}"]
    if like:
        back = {**act("like", ""), "title": "search by words again"}
        head.append(h("span", f"like {like.rpartition(':')[2][:8]} ×", cls="sx-chip accent", **back))
    rows = [_hit(hit, words, key(hit) == chosen) for hit in found.hits]
    return h(
        "div",
        h("div", head, cls="sx-pager sx-soft", style="justify-content:flex-start"),
        h("div", rows, cls="sx-frame"),
    )


def told(notes: Sequence[str]) -> Markup:
    """What the search does not cover, folded: every dataset may have something to say."""
    if not notes:
        return Markup("")
    lines = h("ul", [h("li", line) for line in notes], cls="sx-gaps", style="margin-top:6px")
    return h("details", h("summary", plural(len(notes), "note"), " on what was searched and how"), lines, cls="sx-soft")


def key(hit: Hit) -> str:
    return f"{hit.ref}:{hit.row}"


def _hit(hit: Hit, words: str, on: bool) -> Markup:
    more = h("span", f"also in {', '.join(hit.also)}", cls="sx-faint") if hit.also else None
    why = h("span", hit.why, cls="sx-faint")
    head = h("div", chip(hit.ref, "plain"), short(hit.sample_id), more, why, cls="sx-wrap", style="font-size:12.5px")
    body = h("div", marked(hit.text, words) or "(empty)", cls="sx-two")
    return h("div", head, body, cls="sx-hit on" if on else "sx-hit", **act("row", key(hit)))


def marked(body: str, words: str) -> list[Any]:
    """A text in pieces, those that a term of the words begins marked; every piece is escaped by whoever shows it."""
    terms = [re.escape(stem(term)) for term in terms_of(words)]
    if not terms:
        return [body] if body else []
    longest = "|".join(sorted(terms, key=len, reverse=True))
    pieces = re.split(rf"(?<!\w)((?:{longest})\w*)", body, flags=re.IGNORECASE)
    return [h("mark", piece) if at % 2 else piece for at, piece in enumerate(pieces) if piece]
