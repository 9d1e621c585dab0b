"""Two datasets side by side: overlap, facts, shifts of scores and words, shared and unique prototypes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ui.web.charts.paired import paired
from ui.web.components.figures import compact, count, number, plural, share
from ui.web.components.label import label
from ui.web.components.markup import Markup, h, link
from ui.web.components.parts import asis, bar, caps, chip, panel, table

CLEAR = 0.1
"""Kolmogorov-Smirnov distance from which on a shift of scores is marked."""
SHIFTS, VALUES, TERMS = 12, 8, 14


def key(a: str, b: str) -> Markup:
    """Which colour is which side."""
    return h("div", h("span", h("i", cls="pa"), a), h("span", h("i", cls="pb"), b), cls="sx-key")


def labels(a: Mapping[str, Any], b: Mapping[str, Any]) -> Markup:
    """Both labels, each under its name, which opens the dataset."""
    sides = [
        h("div", label(held, h("a", held["ref"], cls=f"sx-side-{side}", **link("dataset", ref=held["ref"]))))
        for side, held in (("a", a), ("b", b))
    ]
    return h("div", sides, cls="sx-versus")


def shared(held: Mapping[str, Any], a: str, b: str) -> Markup:
    """Rows of each side that the other has too, word for word and nearly."""
    rows = held["rows"]
    lines = [
        _meter(h("span", "of ", h("b", name), ", the same content"), held["exact"][side], rows[side])
        for side, name in (("a", a), ("b", b))
    ]
    if held["near"] is not None:
        lines += [
            _meter(h("span", "of ", h("b", name), ", near copies too"), held["near"][side], rows[side])
            for side, name in (("a", a), ("b", b))
        ]
    foot = f"{plural(held['contents'], 'content')} in both, by content id. "
    foot += (
        "Near copies share a band of MinHash: an upper bound."
        if held["near"] is not None
        else f"Near copies are not known: {held['why']}."
    )
    return panel("Overlap", lines, h("div", foot, cls="sx-faint", style="margin-top:6px;font-size:12.5px"))


def _meter(name: Any, part: int, whole: int) -> Markup:
    said = f"{count(part)} of {count(whole)} · {share(part, whole)}"
    return h("div", name, bar(part / whole if whole else 0), h("span", said, cls="sx-num"), cls="sx-meter")


def facts(held: Mapping[str, Any], a: str, b: str) -> Markup:
    """Sizes, samples, licences, sources and languages."""
    sizes = [(name, count(held[name]["a"]), count(held[name]["b"]), _ratio(held[name])) for name in ("rows", "chars")]
    if held.get("tokens"):
        sizes.append(("tokens", count(held["tokens"]["a"]), count(held["tokens"]["b"]), _ratio(held["tokens"])))
    sizes.append(("samples in both", count(held["common"]), count(held["common"]), ""))
    first = table(["", asis(a), asis(b), "b / a"], sizes, numeric=(1, 2, 3))
    spreads = [_spread(name, held[name], a, b) for name in ("licences", "languages", "sources") if held.get(name)]
    return h("div", h("div", [first, *spreads], cls="sx-thirds"), _columns(held["columns"], a, b), cls="sx-stack")


def _ratio(item: Mapping[str, int]) -> str:
    return f"{item['b'] / item['a']:.2f}×" if item["a"] else "–"


def _spread(name: str, values: Mapping[str, Any], a: str, b: str) -> Markup:
    """Shares by value on both sides."""
    totals = [sum(item[side] for item in values.values()) for side in "ab"]
    ranked = sorted(values.items(), key=lambda item: -(item[1]["a"] + item[1]["b"]))
    rows = [
        (value, *(h("span", share(item[side], total), title=count(item[side])) for side, total in zip("ab", totals)))
        for value, item in ranked[:VALUES]
    ]
    return table([name, asis(a), asis(b)], rows, numeric=(1, 2))


def _columns(held: Mapping[str, Sequence[str]], a: str, b: str) -> Markup | None:
    names = {"only_in_a": f"only {a} has", "only_in_b": f"only {b} has", "made_differently": "made by another recipe"}
    lines = [h("div", h("b", names[part]), ": ", _few(held[part])) for part in names if held[part]]
    return panel("Columns", h("div", lines, style="font-size:13px")) if lines else None


def _few(names: Sequence[str], most: int = 12) -> Any:
    """The first names; all of them in the tooltip."""
    rest = (
        h("span", f" +{len(names) - most} more", cls="sx-faint", title=", ".join(names)) if len(names) > most else None
    )
    return [", ".join(names[:most]), rest]


def scores(held: Mapping[str, Any], a: str, b: str) -> Markup:
    """Histograms of the scores that both have under one recipe, the largest shift first."""
    found = held["scores"]
    if not found:
        return panel("Score shifts", h("span", "no score is on both sides under one recipe", cls="sx-faint"))
    moved = [(name, item) for name, item in found.items() if item.get("histogram")]
    cells = [_shift(name, item) for name, item in moved[:SHIFTS]]
    rest = len(found) - len(cells)
    note = f"{plural(rest, 'more score')} moved less or {'is' if rest == 1 else 'are'} one value" if rest else ""
    return panel(
        "Score shifts",
        h("div", key(a, b), style="margin-bottom:8px"),
        h("div", cells, cls="sx-shift") if cells else None,
        h("div", note, cls="sx-faint", style="margin-top:8px;font-size:12.5px") if note else None,
    )


def _shift(name: str, item: Mapping[str, Any]) -> Markup:
    distance = item["ks"]
    mark = chip(f"KS {distance:.3f}", "warn" if distance >= CLEAR else "", "Kolmogorov-Smirnov distance of both sides")
    means = f"mean {number(item['mean'][0])} → {number(item['mean'][1])}, on {count(min(item['ks_rows']))} rows a side at least"
    head = h("div", h("span", name, cls="sx-cut", style="font-weight:600", title=name), mark, cls="sx-between")
    return h("div", head, paired(item["histogram"]), h("div", means, cls="sx-faint", style="font-size:12px"))


def words(held: Mapping[str, Any], a: str, b: str) -> Markup:
    """Words and pairs that one side has more of, and how far the n-grams are apart."""
    sides = [
        h("div", caps(h("span", "more in ", asis(name))), h("div", [_term(item, side) for item in held[side][:TERMS]] or "nothing", cls="sx-terms", style="margin-top:6px"))
        for side, name in (("a", a), ("b", b))
    ]  # fmt: skip
    far = (
        f"KL divergence of hashed n-grams: {number(held['kl_b_from_a'])} nats of {b} from {a}, "
        f"{number(held['kl_a_from_b'])} back; on {count(held['rows']['a'])} and {count(held['rows']['b'])} texts, drawn by id. "
        "Terms by log odds with a Dirichlet prior (Monroe et al. 2008)."
    )
    return panel(
        "N-gram shift",
        h("div", sides, cls="sx-versus"),
        h("div", far, cls="sx-faint", style="margin-top:8px;font-size:12.5px"),
    )


def _term(item: Mapping[str, Any], side: str) -> Markup:
    title = f"z {abs(item['z']):.1f}; {number(round(item['a'], 1))} and {number(round(item['b'], 1))} times in a million words"
    return h("span", item["term"], h("span", compact(item[side]), cls="sx-faint"), cls="sx-chip", title=title)


def prototypes(held: Mapping[str, Any], a: str, b: str) -> Markup:
    """What both sides have of each joint prototype, the most one-sided first, with the rows nearest to it."""
    found, joint = held["prototypes"], held["clusters"]
    figures = [
        (f"of {plural(found['prototypes'], 'prototype')}, on both sides", count(found["shared"])),
        (h("span", "only in ", asis(a)), f"{count(found['only_a'])} · {share(found['rows_alone']['a'])} of its rows"),
        (h("span", "only in ", asis(b)), f"{count(found['only_b'])} · {share(found['rows_alone']['b'])} of its rows"),
        ("Jensen-Shannon distance of shares", number(joint["jensen_shannon"])),
        ("MMD squared", number(held["mmd"]["squared"])),
        ("effective different texts", f"{number(held['vendi']['a'])} and {number(held['vendi']['b'])}"),
    ]
    said = f"vectors of {count(held['rows']['a'])} and {count(held['rows']['b'])} rows, drawn alike"
    body = [_prototype(item) for item in found["listed"]]
    names = [h("span", "nearest in ", asis(name)) for name in (a, b)]
    heads = h("div", h("span", "share of rows"), *names, cls="sx-proto sx-caps")
    return h(
        "div",
        panel(
            "Prototypes",
            table(["", ""], figures, numeric=(1,)),
            h("div", said, cls="sx-faint", style="margin-top:6px;font-size:12.5px"),
        ),
        panel("The most one-sided", heads, body),
        cls="sx-stack",
    )


def _prototype(item: Mapping[str, Any]) -> Markup:
    only = chip(f"only in {item['only']}", "accent") if item["only"] else None
    shares = h("div", h("span", share(item["a"]), cls="sx-side-a"), " ", h("span", share(item["b"]), cls="sx-side-b"))
    bars = h("div", bar(item["a"]), bar(item["b"], "l2"), style="display:grid;gap:3px")
    sides = [
        h(
            "ul",
            [h("li", row["text"] or "(empty)") for row in item["examples"][side]] if item[side] else h("li", "none"),
        )
        for side in "ab"
    ]
    return h(
        "div", h("div", shares, bars, only, style="display:grid;gap:5px;align-content:start"), *sides, cls="sx-proto"
    )
