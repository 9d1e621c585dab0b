"""Discover: datasets for a need in words, samples across datasets, and two datasets side by side."""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st

from agents.card_facets import FACETS, counted, narrowed
from agents.catalog_cards import Card, cards_of
from catalog import Catalog
from catalog.errors import BadInput, StrataError
from ui.discovering import discover
from ui.web.components import address, comparison, found, found_samples, shell
from ui.web.components.markup import act, h, link, live, url
from ui.web.components.sample_panel import panel
from ui.web.queries import comparing, discovering, rows

MODES = {"hybrid": "words and meaning", "text": "words", "vector": "meaning"}
OVER = {"datasets": "datasets", "samples": "samples"}
TITLES = {"column": "Has column", "use": "Allows use"}
TOP = 8
FRESH = ("row", "like")
PLACEHOLDER = "multilingual news with dates, free for commercial use, at least 10k rows"


@st.cache_data(show_spinner="searching …", max_entries=64)
def _found(_cat: Catalog, home: str, state: str, need: str, mode: str, facets: tuple) -> dict[str, Any]:
    return discover(_cat, need, {name: list(values) for name, values in facets}, top=TOP, mode=mode)


@st.cache_data(show_spinner=False, max_entries=64)
def _labels(_cat: Catalog, home: str, state: str, refs: tuple[str, ...]) -> dict[str, Any]:
    return discovering.labels(_cat, refs)


@st.cache_data(show_spinner="searching …", max_entries=64)
def _samples(_cat: Catalog, home: str, state: str, refs: tuple, words: str, mode: str, like: str) -> discovering.Found:
    return discovering.samples(_cat, refs, words, mode, like)


@st.cache_data(show_spinner=False, max_entries=64)
def _step(_cat: Catalog, home: str, name: str, a: comparing.Side, b: comparing.Side) -> Any:
    return comparing.STEPS[name].run(_cat, a.ref, b.ref)


def question() -> tuple[str, str, str]:
    """The search box: what is needed, over what, and how."""
    box, over, by = st.columns([4, 1, 1.2], gap="small", vertical_alignment="bottom")
    with over:
        what = address.choice("Search over", "over", list(OVER), "datasets", FRESH, format_func=OVER.get)
    with by:
        mode = address.choice("By", "mode", list(MODES), "hybrid", FRESH, format_func=MODES.get)
    with box:
        label = "What do you need?" if what == "datasets" else "What should the samples say?"
        shown = PLACEHOLDER if what == "datasets" else "words or a sentence"
        words = address.text_box(label, "q", FRESH, placeholder=shown)
    return words, what, mode


def facets(cards: list[Card]) -> tuple[list[Card], tuple[tuple[str, tuple[str, ...]], ...]]:
    """Boxes of facets; the cards that are left, and what was asked."""
    known, asked = counted(cards), {}
    for box, name in zip(st.columns(len(FACETS), gap="small"), FACETS, strict=True):
        with box:
            values = known[name]
            asked[name] = address.choices(
                TITLES.get(name, name.capitalize()),
                name,
                list(values),
                FRESH,
                placeholder="any",
                format_func=lambda value, values=values: f"{value} ({values.get(value, 0)})",
            )
    return narrowed(cards, asked), tuple((name, tuple(values)) for name, values in asked.items() if values)


def helper(cat: Catalog, need: str, mode: str, asked: tuple) -> dict[str, Any] | None:
    """The language model, asked on a click alone: an address that somebody sent spends nothing."""
    from flows.endpoints.account import budgets
    from flows.endpoints.registry import endpoints

    names, pots = list(endpoints(cat)), [held.name for held in budgets(cat)]
    with st.expander("Ask a language model too", expanded=False):
        if not names or not pots:
            lacks = (
                "strata endpoint add NAME --url URL --model MODEL" if not names else "strata budget set NAME --money 1"
            )
            shell.show(h("span", "None can be asked yet: ", h("code", lacks), cls="sx-soft"))
            return None
        one, two, go, _ = st.columns([1.2, 1.2, 0.8, 2], gap="small", vertical_alignment="bottom")
        with one:
            endpoint = address.choice("Endpoint", "endpoint", names, names[0])
        with two:
            budget = address.choice("Budget", "budget", pots, pots[0])
        key = (need, mode, asked, endpoint, budget, discovering.state(cat))
        if go.button("Ask", key="ask_model", width="stretch", disabled=not need):
            given = {name: list(values) for name, values in asked}
            with st.spinner("asking …"):
                held = discover(cat, need, given, top=TOP, mode=mode, endpoint=endpoint, budget=budget)
            st.session_state["discovered"] = (key, held)
    kept = st.session_state.get("discovered")
    return kept[1] if kept and kept[0] == key else None


def datasets(cat: Catalog, need: str, mode: str, left: list[Card], asked: tuple) -> None:
    """Datasets that answer the need, or those that the facets leave."""
    home, state, picked = str(cat.settings.home), discovering.state(cat), picking(cat)
    if not need:
        refs = tuple(card.ref for card in left)
        if not left:
            shell.show(shell.note("No dataset has all of these facets. Take one away."))
            return
        shown = left[: address.get_int("more", TOP)]
        live(found.plainly(shown, _labels(cat, home, state, refs[: len(shown)]), picked), "cards", _handle)
        _more(len(shown), len(left))
        return
    held = None
    with shell.guarded():
        held = helper(cat, need, mode, asked)
    if held is None:
        held = _found(cat, home, state, need, mode, asked)
    notes = [shell.note(line) for line in held["notes"] if "language model is off" not in line]
    head = [found.understood(held["asked"], held["searched"]), found.gaps(held), *notes]
    shell.show(h("div", head, cls="sx-stack"))
    refs = tuple(item["ref"] for item in held["datasets"])
    live(found.results(held, _labels(cat, home, state, refs), picked), "results", _handle)


def _more(shown: int, total: int) -> None:
    if shown < total:
        more = h("span", f"Show more ({total - shown})", cls="sx-step", **act("more", shown + 3 * TOP))
        live(h("div", more, cls="sx-wrap"), "more", _handle)


def picking(cat: Catalog) -> str:
    """The dataset that waits for another one to be compared with, and says so; one that is gone waits for nothing."""
    picked = address.get("a")
    if not picked:
        return ""
    try:
        cat.resolve(picked)
    except StrataError as error:
        shell.show(
            shell.note(f"What was picked cannot be compared any more: {error}. Pick another dataset, below.", "warn")
        )
        return ""
    said = h("span", h("b", picked), " is picked. Choose the dataset to compare it with, below.", cls="sx-soft")
    shell.show(shell.note(said))
    return picked


def _handle(name: str, value: str) -> None:
    if name == "pick":
        address.put(a=value)
    elif name == "more":
        address.put(more=value)
    elif name == "row":
        address.put(row=value)
    elif name == "like":
        address.put(like=value, row=None)


def samples(cat: Catalog, words: str, mode: str, left: list[Card]) -> None:
    """Samples of several datasets by words, meaning, both, or near another one."""
    names, like = [card.dataset.name for card in left], address.get("like")
    chosen = address.choices("In", "in", names, FRESH, placeholder="the largest datasets", max_selections=20)
    refs = chosen or discovering.usual(cat, names)
    if not refs:
        shell.show(shell.note("There is no dataset to search. Take a facet away, or ingest one."))
        return
    if not words and not like:
        shell.show(shell.note("Write words to look for, above. Every hit has a step to more like it."))
        return
    home, state = str(cat.settings.home), discovering.state(cat)
    held = _samples(cat, home, state, tuple(refs), words, mode, like)
    shell.show(found_samples.told(held.notes))
    if not held.hits:
        shell.show(shell.note("No sample matches in these datasets. Loosen the words, or search by meaning."))
        return
    open_ = address.get("row", found_samples.key(held.hits[0]))
    body = found_samples.hits(held, "" if like else words, open_, like, refs)
    live(h("div", body, _sample(cat, open_), cls="sx-browse"), "hits", partial(_row, open_))


def _sample(cat: Catalog, chosen: str) -> Any:
    """The open sample with everything known about it, or why it is not there any more."""
    ref, _, row = chosen.rpartition(":")
    try:
        if not ref or not row.isdigit():
            raise BadInput(f"{chosen[:80]!r} names no sample; choose one of the hits")
        view = rows.view(cat, ref)
        one = rows.one(cat, view, int(row))
    except StrataError as error:
        return h("div", shell.refusal(error), cls="sx-detail")
    held = cat.resolve(ref).dataset
    opens = h("a", f"Open in {held.name}", cls="sx-link", **link("dataset", ref=held.name, tab="samples", row=row))
    return h("div", opens, panel(one, held.kind, cat.columns(held.name), held.name), cls="sx-stack")


def _row(open_: str, name: str, value: str) -> None:
    """Actions of the sample panel: "more like this" goes on across the datasets, a trace opens the dataset."""
    dataset, _, row = open_.rpartition(":")
    dataset = dataset.partition("@")[0]
    if name == "like" and value:
        address.put(like=f"{dataset}:{value}", row=None)
    elif name == "trace":
        address.follow(url("dataset", ref=dataset, tab="samples", row=row, trace=value))
    else:
        _handle(name, value)


def side_by_side(cat: Catalog, names: list[str]) -> None:
    """Two datasets: cheap facts at once, the rest as it comes, all kept by their versions."""
    a, b = address.get("a"), address.get("b")
    boxes = st.columns([1.2, 1.2, 1.6], gap="small", vertical_alignment="bottom")
    for box, name, title, held in zip(boxes, "ab", ("Dataset", "Compared with"), (a, b)):
        with box:
            options = list(dict.fromkeys([*names, held]))
            address.choice(title, name, options, options[0])
    with boxes[2]:
        back = h("a", "Back to the search", cls="sx-step", **link("discover"))
        swap = h("a", "Swap", cls="sx-step", **link("discover", a=b, b=a))
        live(h("div", swap, back, cls="sx-wrap", style="padding-bottom:8px"), "compare_steps")
    sides = [comparing.side(cat, ref) for ref in (a, b)]
    home, refs = str(cat.settings.home), tuple(held.ref for held in sides)
    labels = _labels(cat, home, discovering.state(cat), refs)
    live(comparison.labels(labels[refs[0]], labels[refs[1]]), "compare_labels")
    progress = st.empty()
    for at, (name, step) in enumerate(comparing.STEPS.items()):
        progress.progress(at / len(comparing.STEPS), text=step.doing)
        with shell.guarded():
            _draw(name, _step(cat, home, name, *sides), *refs)
    progress.empty()


def _draw(name: str, held: Any, a: str, b: str) -> None:
    if name == "shared":
        live(comparison.shared(held, a, b), "shared")
    elif name == "changes":
        live(h("div", comparison.facts(held, a, b), comparison.scores(held, a, b), cls="sx-stack"), "changes")
    elif name == "words":
        live(comparison.words(held, a, b), "words")
    else:
        live(comparison.prototypes(held, a, b), "prototypes")


def page() -> None:
    cat = shell.catalog()
    cards = sorted(cards_of(cat), key=lambda card: (card.dataset.role == "eval", card.dataset.name))
    if not cards:
        shell.show(
            shell.empty(
                "Nothing to discover yet",
                "A dataset that is ingested appears here.",
                "strata ingest FILE --as NAME",
                whole=True,
            )
        )
        return
    if address.get("a") and address.get("b"):
        live(shell.title("Compare", "two datasets side by side"), "head")
        with shell.guarded():
            side_by_side(cat, [card.dataset.name for card in cards])
        return
    live(shell.title("Discover", "datasets for a need, samples across datasets"), "head")
    words, over, mode = question()
    left, asked = facets(cards)
    with shell.guarded():
        if over == "samples":
            samples(cat, words, mode, left)
        else:
            datasets(cat, words, mode, left, asked)


page()
