"""A new mix: a spec in YAML, what it would serve as it stands, weights for it, and the button that freezes it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import streamlit as st

from catalog import Catalog
from catalog.errors import BadInput
from catalog.mixes import find_mix, preview
from ui.web.components import address, lock, mix_goal, shell, verdicts
from ui.web.components.figures import compact, count, plural, share
from ui.web.components.markup import Markup, h, live
from ui.web.components.mix_weights import what_if
from ui.web.components.parts import caps, facts, table, tabs
from ui.web.queries import mixtures

VIEWS = {"preview": "Preview", "weights": "What if", "draft": "Reasons", "fields": "Fields"}
FIELDS = (
    ("unit", "what weights and total count: samples or tokens"),
    ("total", "left out: as much as max_epochs allows"),
    ("seed", "the same seed gives the same order"),
    ("order", "shuffle: full, blocks or none; or by: COLUMN, with folds, noise or buckets"),
    ("dataset", "name or name@v3; the newest version is pinned when none is named"),
    ("selection", "a saved selection in place of a dataset"),
    ("name", "how stages and trials call the part"),
    ("where", "SQL over sample fields and columns; missing: error, drop or keep"),
    ("weight", "share of what the fixed budgets leave"),
    ("samples, tokens", "a fixed budget, instead of a weight"),
    ("max_epochs", "how often a row may be served, 1 unless stated"),
    ("sample_weight", "a column that weighs the samples of a part in the loss"),
    ("origin, expect", "natural, rephrased or generated, by part; the range of shares that is wanted"),
    ("rs2, dropout", "{share, rounds}: a fresh random subset each round; {keep, rounds}: smaller ones, all at the end"),
    ("stages", "a list of {name, total, weights by part, order}, in place of weights in the parts"),
    ("use", "research, commercial, share or share-commercial: licences against it block"),
    ("waive", "a list of {licence, part, by, reason}: a person takes a block upon themselves"),
)
KEPT = "mix_seen"
LATER = "Somebody with the right to write approves it, or not."


def guide() -> Markup:
    """The fields of a spec, beside the editor."""
    words = "The preview shows what would be served and every verdict, and writes nothing. The same spec on the same store gives the same lock."
    rows = [(h("span", name, cls="sx-mono"), h("span", about, cls="sx-soft")) for name, about in FIELDS]
    return h(
        "div",
        h("span", words, cls="sx-soft"),
        table(["field", "meaning"], rows, nowrap=(0,)),
        cls="sx-stack",
    )


def compose(cat: Catalog) -> None:
    """A YAML editor whose preview follows what is written; publish freezes it by a lock."""
    shell.show(shell.title("New mix", "a spec is frozen by a lock: row sets, counts, order and verdicts"))
    with shell.guarded():
        _begin(cat)
    left, right = st.columns([1, 1.7], gap="medium")
    with left:
        with shell.guarded():
            if mix_goal.goal_box(cat):
                address.follow("mixes?mix=new&view=draft")
        st.text_area("Spec (YAML)", key="mix_spec", height=400)
        one, two, three = st.columns([1, 1, 1], gap="small")
        look = one.button("Preview", width="stretch", help="It follows what you write when you leave the box.")
        publish = two.button("Publish", type="primary", width="stretch", **shell.writes())
        later = three.button("Propose", width="stretch", key="mix_propose", **shell.writes("propose", help=LATER))
    text = st.session_state["mix_spec"].strip() + "\n"
    with right:
        view = address.get("view", "preview")
        view = view if view in VIEWS else "preview"
        live(tabs_of(view), "mixviews")
        with shell.guarded():
            if publish:
                mix = cat.publish_mix(text)
                address.follow(f"mixes?mix={mix.name}@v{mix.version}")
            if later:
                mix_goal.propose(cat, text)
            _view(cat, view, text, look)


def _view(cat: Catalog, view: str, text: str, look: bool) -> None:
    if view == "fields":
        shell.show(guide())
    elif view == "weights":
        what_if(cat, text)
    elif view == "draft":
        mix_goal.reasons(cat, text)
    else:
        _look(cat, text, look)


def tabs_of(view: str) -> Markup:
    return tabs("mixes", view, VIEWS, name="view", mix="new")


def _begin(cat: Catalog) -> None:
    """The text that the editor opens with: a published spec that was asked for, else a starter."""
    source = address.get("from")
    if source and st.session_state.get("mix_source") != source:
        st.session_state["mix_source"] = source
        st.session_state["mix_spec"] = mixtures.written(mixtures.tidy(find_mix(cat, source).spec))
    if mix_goal.NEXT in st.session_state:
        st.session_state["mix_spec"] = st.session_state.pop(mix_goal.NEXT)
    if "mix_spec" not in st.session_state:
        st.session_state["mix_spec"] = mixtures.starter(cat)
    st.session_state["mix_spec"] = st.session_state["mix_spec"]  # a widget's state is dropped when its page is left


def _look(cat: Catalog, text: str, asked: bool) -> None:
    """The preview of what is written now; of very large datasets only when it is asked for."""
    key = (text, mixtures.heads(cat))
    held = st.session_state.get(KEPT)
    if held is None or held[0] != key:
        if not asked and (rows := mixtures.rows_of(cat, text)) > mixtures.LIVE:
            shell.show(shell.note(f"The parts hold {compact(rows)} rows: press Preview to have them looked through."))
            return
        with st.spinner("looking the parts up …"):
            held = (key, preview(cat, text))
        st.session_state[KEPT] = held
    shell.show(previewed(held[1]))


def previewed(held: Mapping[str, Any]) -> Markup:
    """What publishing would lock, or why it would refuse and how much each part is short."""
    order = lock.order_words(held["order"]) if "stages" not in held else plural(len(held["stages"]), "stage")
    strip = [("samples", count(held["samples"])), ("tokens", compact(held["tokens"])), ("order", order)]
    chips = [verdicts.licence_chip(held["licences"]), verdicts.contamination_chip(held["contamination"])]
    parts, short = held["parts"], any(item["shortfall"] for item in held["parts"])
    heads = ["part", "rows", "tokens", "samples", "share", "epochs", "repetition", *(["short of"] if short else [])]
    rows = [_part(at, item, short) for at, item in enumerate(parts)]
    coloured = [(at, item["part"], item["share"]) for at, item in enumerate(parts)]
    return h(
        "div",
        [shell.refusal(BadInput(line)) for line in held["refused"]],
        h("div", facts(strip, large=2), h("div", chips, cls="sx-wrap"), cls="sx-row"),
        h(
            "div",
            lock.share_bar(coloured, "margin-bottom:10px"),
            table(heads, rows, numeric=(1, 2, 3, 4, 5), nowrap=(6, 7)),
        ),
        _stages(held["stages"]) if "stages" in held else None,
        _blocked(held["licences"], any("is blocked by" in line for line in held["refused"])),
        _notes(held),
        cls="sx-stack",
    )


def _part(at: int, item: Mapping[str, Any], short: bool) -> tuple[Any, ...]:
    where = h("div", item["where"], cls="sx-mono sx-soft") if item["where"] else None
    return (
        h("div", h("div", lock.swatch(at), item["part"], cls="sx-row"), where),
        count(item["rows"]),
        compact(item["tokens"]),
        count(item["samples"]),
        share(item["share"]),
        f"{item['epochs']:.3g}",
        _repetition(item["repeated"], item["epochs"]),
        *([_short(item)] if short else []),
    )


def _repetition(rows: int, epochs: float) -> Markup:
    """How many rows come more than once, and how often at most."""
    if not rows:
        return h("span", "none", cls="sx-faint")
    times = max(2, math.ceil(epochs))
    return h(
        "span", f"{plural(rows, 'row')}, up to {times}×", cls="sx-warn", title=f"{count(rows)} rows come more than once"
    )


def _short(item: Mapping[str, Any]) -> Markup:
    if not item["shortfall"]:
        return h("span", "nothing", cls="sx-faint")
    tokens = item.get("shortfall_tokens")
    about = f", {compact(tokens)} tokens" if tokens else ""
    return h("span", f"{plural(item['shortfall'], 'sample')}{about}", cls="sx-bad")


def _stages(stages: list[dict[str, Any]]) -> Markup:
    rows: list[tuple[Any, ...]] = [
        (
            stage["name"],
            f"{count(stage['start'])}–{count(stage['start'] + stage['samples'] - 1)}",
            lock.order_words(stage["order"]) if stage["order"] else "as the mix",
            h(
                "div",
                [
                    h("div", h("span", name), " ", h("span", words, cls="sx-soft"))
                    for name, words in stage["parts"].items()
                ],
            ),
        )
        for stage in stages
    ]
    return h(
        "div",
        h("div", caps("stages"), style="margin-bottom:6px"),
        table(["stage", "indices", "order", "parts"], lock.shorten(rows), nowrap=(0, 1)),
    )


def _blocked(held: Mapping[str, Any], told: bool) -> Markup | None:
    """Rows that stand against the use. told: a refusal names the first already."""
    blocked = held.get("blocked") or []
    if not blocked or (told and len(blocked) == 1):
        return None
    rows = [
        (
            entry["part"],
            entry["licence"] or "unknown",
            count(entry["rows"]),
            entry["why"],
            h("span", entry["find"], cls="sx-mono"),
        )
        for entry in blocked
    ]
    body = table(["blocked", "licence", "rows", "because", "the rows"], rows, numeric=(2,), nowrap=(0, 1))
    about = "Publishing will refuse these rows: leave them out by the filter, change the use, or waive them by name and reason."
    return h("div", body, None if told else h("div", about, cls="sx-warn", style="margin-top:6px;font-size:12.5px"))


def _notes(held: Mapping[str, Any]) -> Markup | None:
    reads, digest = held.get("reads_per_sample"), held["digest"]
    origin = held.get("origins")
    shares = [f"{name} {share(origin[name])}" for name in ("natural", "rephrased", "generated")] if origin else []
    lines: list[Any] = [
        f"origin of the text: {', '.join(shares)}, of its {origin['of']}" if origin else None,
        f"{reads:.2g} reads of storage a sample" if reads is not None else None,
        held.get("advice"),
        ["lock ", h("span", digest[:16], cls="sx-mono", title=digest)] if digest else None,
    ]
    made = [h("div", line) for line in lines if line]
    return h("div", made, cls="sx-soft", style="font-size:12.5px") if made else None
