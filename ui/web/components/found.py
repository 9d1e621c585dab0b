"""Datasets that were found: why each matched, which demands it meets, slices that answer, and its label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ui.web.components.figures import count, plural
from ui.web.components.label import label
from ui.web.components.markup import Markup, act, h, link
from ui.web.components.parts import caps, chip, short, tier

TONES = {"met": "ok", "partly": "warn", "unknown": "", "against": "bad"}
FITS = {0: "bad", 1: "warn", 2: "", 3: "ok"}
SHOWN = 12
"""Characters of a sample's id in a link."""


def results(held: Mapping[str, Any], labels: Mapping[str, Mapping[str, Any]], picked: str) -> Markup:
    """Found datasets, best first. picked: the dataset that waits for another one to be compared with."""
    body = [_found(item, labels.get(item["ref"]), place, picked) for place, item in enumerate(held["datasets"], 1)]
    return h("div", body, cls="sx-found")


def _found(item: Mapping[str, Any], facts: Mapping[str, Any] | None, place: int, picked: str) -> Markup:
    checks = [_check(held) for held in item["checks"]]
    slices = [_slice(part, item["ref"]) for part in item["slices"]]
    body = [
        _head(item, place, picked),
        h("div", item["note"], cls="sx-soft sx-two") if item["note"] else None,
        _why(item),
        h("div", checks, style="display:grid;gap:4px") if checks else None,
        h("div", caps("slices that answer"), h("div", slices, cls="sx-slices", style="margin-top:5px"))
        if slices
        else None,
        _samples(item),
        _model(item.get("language_model")),
    ]
    return h("article", h("div", body), h("div", label(facts, wide=True)) if facts else None, cls="sx-find")


def _head(item: Mapping[str, Any], place: int, picked: str) -> Markup:
    name = item["ref"].partition("@")[0]
    marks = [
        tier(item["tier"]),
        chip(item["kind"]),
        chip("far from the need", "warn", "no word of the need, and a cosine below 0.25") if item.get("far") else None,
        [chip(text, "warn") for text in item.get("warnings", [])],
    ]
    return h(
        "div",
        h("span", f"{place}.", cls="sx-faint sx-num") if place else None,
        h("a", item["ref"], cls="sx-name", **link("dataset", ref=name)),
        marks,
        h("span", style="flex:1"),
        versus(name, picked),
        cls="sx-wrap",
    )


def versus(name: str, picked: str) -> Markup:
    """The step that picks a dataset to compare, or compares it with the one that was picked."""
    if picked == name:
        return h("span", "picked ×", cls="sx-step", title="pick none", **act("pick", ""))
    if picked:
        return h("a", f"Compare with {picked}", cls="sx-step", **link("discover", a=picked, b=name))
    return h("span", "Compare", cls="sx-step", title="pick it, then another one", **act("pick", name))


def _why(item: Mapping[str, Any]) -> Markup | None:
    """Words of the need by field of the card, and both rankings."""
    parts: list[Markup | None] = [
        h("div", h("b", name), ": ", ", ".join(words)) for name, words in item["matched"].items()
    ]
    ranks = item.get("ranks", {})
    said = []
    if held := ranks.get("words"):
        said.append(f"#{held['place']} by words (BM25 {held['score']:.2f})")
    if held := ranks.get("meaning"):
        said.append(f"#{held['place']} by meaning (cosine {held['score']:.3f})")
    parts.append(h("div", ", ".join(said), cls="sx-faint") if said else None)
    return h("div", parts, cls="sx-why") if any(parts) else None


def _check(held: Mapping[str, Any]) -> Markup:
    why = h("span", h("span", held["asked"]), h("span", f": {held['why']}", cls="sx-soft"))
    return h("div", chip(held["verdict"], TONES.get(held["verdict"], "")), why, cls="sx-demand")


def _slice(part: Mapping[str, Any], ref: str) -> Markup:
    """A filter with its rows; it opens the samples and the SQL page."""
    name = ref.partition("@")[0]
    query = f'SELECT *\nFROM "{name}"\nWHERE {part["where"]}\nLIMIT 100'
    rows = plural(part["rows"], "row") if part["rows"] is not None else None
    return h(
        "div",
        chip(f"selection {part['selection']}", "accent") if part.get("selection") else None,
        h("span", part["where"], cls="sx-mono"),
        h("span", rows, cls="sx-num sx-soft") if rows else None,
        h(
            "a",
            "Samples",
            cls="sx-link",
            **link("dataset", ref=name, tab="samples", where=part["where"], missing="drop"),
        ),
        h("a", "SQL", cls="sx-link", **link("sql", q=query)),
        h("span", f"for {', '.join(part['answers'])}", cls="sx-faint") if part["answers"] else None,
        cls="sx-slice",
    )


def _samples(item: Mapping[str, Any]) -> Markup | None:
    if not item["samples"]:
        return None
    name = item["ref"].partition("@")[0]
    links = [
        h(
            "a",
            short(sample),
            cls="sx-link",
            **link("dataset", ref=name, tab="samples", where=f"sample_id = '{sample}'"),
        )
        for sample in item["samples"]
    ]
    return h("div", h("span", "samples with words of it ", cls="sx-soft"), links, cls="sx-wrap", style="font-size:13px")


def _model(grade: Mapping[str, Any] | None) -> Markup | None:
    """What a language model said: a grade and a sentence, as text."""
    if not grade:
        return None
    lacks = f" Missing: {', '.join(grade['missing'])}." if grade["missing"] else ""
    mark = chip(f"language model: {grade['fit']} of 3", FITS.get(grade["fit"], ""))
    return h("div", mark, h("span", f"{grade['why']}{lacks}", cls="sx-soft"), cls="sx-wrap", style="font-size:13px")


def gaps(held: Mapping[str, Any]) -> Markup | None:
    """What nothing satisfies, and what the search does not cover."""
    lines = [h("li", text) for text in held["gaps"]]
    if not lines:
        return None
    body = h("div", h("div", "Gaps", cls="sx-head"), h("ul", lines, cls="sx-gaps"))
    return h("div", body, cls="sx-note warn")


def understood(asked: Mapping[str, Any], searched: int) -> Markup:
    """What was made of the need, so that a person sees what was not."""
    parts = [("use", asked["use"]), ("tier", asked["tier"]), ("kinds", ", ".join(asked["kinds"])),
             ("languages", ", ".join(asked["languages"])), ("fields", ", ".join(asked["fields"]))]  # fmt: skip
    parts += [("several languages", "yes" if asked["multilingual"] else None)]
    parts += [(name, _between(*asked[name])) for name in ("rows", "characters")]
    made = [chip(f"{name}: {value}", "accent") for name, value in parts if value]
    words = h("span", "words: ", h("b", asked["words"] or "–"), cls="sx-soft")
    return h("div", words, made, h("span", f"{plural(searched, 'dataset')} searched", cls="sx-faint"), cls="sx-wrap")


def _between(low: int | None, high: int | None) -> str | None:
    if low is None and high is None:
        return None
    return " to ".join([count(low) if low is not None else "0", count(high) if high is not None else "any"])


def plainly(cards: Sequence[Any], labels: Mapping[str, Mapping[str, Any]], picked: str) -> Markup:
    """Datasets without a need: each with its label, as facets leave them."""
    items = [
        {"ref": card.ref, "kind": card.dataset.kind, "tier": card.dataset.tier, "note": card.dataset.note, "matched": {},
         "checks": [], "slices": _saved(card), "samples": [],
         "warnings": ["role eval"] if card.dataset.role == "eval" else []}
        for card in cards
    ]  # fmt: skip
    return h("div", [_found(item, labels.get(item["ref"]), 0, picked) for item in items], cls="sx-found")


def _saved(card: Any) -> list[dict[str, Any]]:
    return [{"where": held.where, "rows": None, "answers": [], "selection": held.name} for held in card.selections[:3]]
