"""Small pieces of markup that every page uses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ui.web.components.figures import count, share
from ui.web.components.markup import Markup, act, around, h, link, text

TIER_NAMES = {"L0": "raw", "L1": "filtered", "L2": "selected", "L3": "refined", "L4": "organized"}
UNKNOWN = "unknown"


def chip(body: Any, tone: str = "", title: str | None = None) -> Markup:
    return h("span", body, cls=f"sx-chip {tone}".strip(), title=title)


def tier(name: str) -> Markup:
    return h("span", name, cls=f"sx-tier {name.lower()}", title=f"{name} {TIER_NAMES[name]}")


def caps(body: Any) -> Markup:
    return h("span", body, cls="sx-caps")


def asis(name: str) -> Markup:
    """A name inside a heading, in its own letters."""
    return h("span", name, style="text-transform:none;letter-spacing:0")


def panel(heading: Any, *body: Any) -> Markup:
    return h("section", h("h2", heading, cls="sx-caps") if heading else None, *body, cls="sx-panel")


def tabs(page: str, held: str, options: Mapping[str, Any], *, name: str = "tab", **query: Any) -> Markup:
    """Tabs as links. options: tab -> label, or (label, count). name: what the address calls the tab."""
    made = []
    for tab, label in options.items():
        title, number = label if isinstance(label, tuple) else (label, None)
        made.append(
            h(
                "a",
                title,
                h("span", number, cls="sx-n") if number is not None else None,
                cls="on" if tab == held else None,
                aria_current="page" if tab == held else None,
                **link(page, **query, **{name: tab}),
            )
        )
    return h("nav", made, cls="sx-tabs", aria_label=f"{page} {name}")


def facts(items: Sequence[tuple[str, Any]], large: int = 0) -> Markup:
    """A strip of labelled figures, the first `large` of them big."""
    cells = [
        h("div", caps(label), h("div", value, cls="sx-v" if at < large else "sx-v small"))
        for at, (label, value) in enumerate(items)
    ]
    return h("div", cells, cls="sx-facts")


def pairs(items: Iterable[tuple[Any, Any]], *, numbers: bool = False) -> Markup:
    """A definition list; an absent value is a dash."""
    rows = [[h("dt", name), h("dd", value if value not in (None, "") else "–")] for name, value in items]
    return h("dl", rows, cls="sx-kv num" if numbers else "sx-kv", style="margin:0")


def table(
    heads: Sequence[Any],
    rows: Iterable[Sequence[Any]],
    *,
    numeric: Sequence[int] = (),
    actions: Sequence[Any] = (),
    on: int | None = None,
    nowrap: Sequence[int] = (),
) -> Markup:
    """A table in a frame. numeric: columns set right; actions: per row, (name, value) of a click or None."""

    def kind(at: int) -> str | None:
        return "sx-num" if at in numeric else "sx-nowrap" if at in nowrap else None

    head = h("tr", [h("th" if name else "td", name, cls=kind(at)) for at, name in enumerate(heads)])
    body = []
    for number, row in enumerate(rows):
        asked = actions[number] if actions else None
        cells = [text(cell) for cell in row]
        if asked:
            _open(cells, asked, number == on)
        body.append(
            h(
                "tr",
                [h("td", cell, cls=kind(at)) for at, cell in enumerate(cells)],
                cls="on" if number == on else None,
                **(around(*asked) if asked else {}),
            )
        )
    return h(
        "div", h("div", h("table", h("thead", head), h("tbody", body), cls="sx-table"), cls="sx-scroll"), cls="sx-frame"
    )


def _open(cells: list[Markup], asked: Any, on: bool) -> None:
    """Make a button of the first cell that has words and no control of its own: a row stays a row when it is read out."""
    for at, cell in enumerate(cells):
        if cell and "data-act" not in cell and "href" not in cell:
            cells[at] = h("span", cell, cls="sx-open", aria_current="true" if on else None, **act(*asked))
            return


def bar(part: float, tone: str | None = None, title: str | None = None) -> Markup:
    """A thin bar filled to `part` of one."""
    colour = f";background:var(--sx-{tone})" if tone else ""
    return h("div", h("i", style=f"width:{100 * min(max(part, 0), 1):.2f}%{colour}"), cls="sx-bar", title=title)


def licence_chips(licences: Mapping[str, int], limit: int = 2) -> list[Markup]:
    """Licences by rows; rows without one are called unknown and stand out."""
    total = sum(licences.values())
    known = [(name, rows) for name, rows in licences.items() if name != UNKNOWN]
    made = [chip(name, title=f"{count(rows)} rows declare {name}") for name, rows in known[:limit]]
    if len(known) > limit:
        made.append(chip(f"+{len(known) - limit} licences", title=", ".join(name for name, _ in known[limit:])))
    if missing := licences.get(UNKNOWN):
        label = "licence unknown" if missing == total else f"unknown {share(missing, total)}"
        made.append(chip(label, "warn", f"{count(missing)} of {count(total)} rows declare no licence"))
    return made


def ranked(counts: Mapping[str, int], total: int, limit: int = 8) -> Markup:
    """Values with their share as bars."""
    rows = []
    for name, rows_with in list(counts.items())[:limit]:
        rows.append(
            h(
                "div",
                h(
                    "div",
                    h("span", name, cls="sx-cut"),
                    h("span", f"{count(rows_with)} · {share(rows_with, total)}", cls="sx-num sx-soft"),
                    cls="sx-between",
                ),
                bar(rows_with / total if total else 0),
                style="display:grid;gap:3px",
            )
        )
    if len(counts) > limit:
        rest = sum(list(counts.values())[limit:])
        rows.append(h("div", f"{len(counts) - limit} more values, {count(rest)} rows", cls="sx-faint"))
    return h("div", rows or h("span", "no values", cls="sx-faint"), style="display:grid;gap:9px;font-size:13px")


def short(digest: str | None, length: int = 8) -> Markup:
    """A long id, cut; the whole of it in the tooltip."""
    return h("span", (digest or "–")[:length], cls="sx-mono", title=digest)


def joined(items: Iterable[Any], separator: str = " · ") -> Markup:
    made: list[Any] = []
    for item in items:
        if item in (None, ""):
            continue
        made += [h("span", separator, cls="sx-faint"), item] if made else [item]
    return text(made)
