"""A new mix: a spec in YAML, what it would serve, and the button that freezes it."""

from __future__ import annotations

from typing import Any

import streamlit as st

from catalog import Catalog
from catalog.mixes import preview
from ui.web.components import address, lock, shell
from ui.web.components.figures import compact, count
from ui.web.components.markup import Markup, h
from ui.web.components.parts import caps, table
from ui.web.queries import mixtures

FIELDS = (
    ("unit", "what weights and total count: samples or tokens"),
    ("total", "left out: as much as max_epochs allows"),
    ("seed, order", "the same seed gives the same order; shuffle: full or none"),
    ("dataset", "name or name@v3; the newest version is pinned when none is named"),
    ("selection", "a saved selection in place of a dataset"),
    ("where", "SQL over sample fields and columns; missing: error, drop or keep"),
    ("weight", "share of what the fixed budgets leave"),
    ("samples, tokens", "a fixed budget, instead of a weight"),
    ("max_epochs", "how often a row may be served, 1 unless stated"),
)


def guide() -> Markup:
    """The fields of a spec, beside the editor."""
    words = "Preview shows what would be served and both verdicts, and writes nothing. The same spec on the same store gives the same lock."
    rows = [(h("span", name, cls="sx-mono"), h("span", about, cls="sx-soft")) for name, about in FIELDS]
    return h(
        "div",
        shell.note(h("span", words, cls="sx-soft")),
        h("div", caps("fields of a spec")),
        table(["field", "meaning"], rows, nowrap=(0,)),
        cls="sx-stack",
    )


def compose(cat: Catalog) -> None:
    """A YAML editor: preview changes nothing, publish freezes it by a lock."""
    shell.show(shell.title("New mix", "a spec is frozen by a lock: row sets, counts, order and verdicts"))
    st.session_state.setdefault("mix_spec", mixtures.starter(cat))
    left, right = st.columns([1, 1.35], gap="medium")
    with left:
        st.text_area("Spec (YAML)", key="mix_spec", height=330)
        one, two, _ = st.columns([1, 1, 0.6], gap="small")
        look = one.button("Preview", width="stretch")
        publish = two.button("Publish", type="primary", width="stretch")
    with right, shell.guarded():
        text = st.session_state["mix_spec"].strip() + "\n"
        if publish:
            mix = cat.publish_mix(text)
            address.follow(f"mixes?mix={mix.name}@v{mix.version}")
        elif look:
            previewed(preview(cat, text))
        else:
            shell.show(guide())


def previewed(held: dict[str, Any]) -> None:
    """What publishing would lock."""
    rows = [
        (
            item["part"],
            h("span", item["where"] or "all rows", cls="sx-mono" if item["where"] else "sx-faint"),
            count(item["rows"]),
            count(item["samples"]),
            f"{item['epochs']:.3g}",
            compact(item["tokens"]),
        )
        for item in held["parts"]
    ]
    head = h(
        "div",
        h("b", f"{count(held['samples'])} samples"),
        h("span", f"{compact(held['tokens'])} tokens", cls="sx-soft"),
        lock.licence_chip(held["licences"]),
        lock.contamination_chip(held["contamination"]),
        cls="sx-row",
    )
    digest = h("div", "lock ", h("span", held["digest"], cls="sx-digest"), cls="sx-soft")
    shell.show(
        h(
            "div",
            head,
            table(["part", "filter", "rows", "served", "epochs", "tokens"], rows, numeric=(2, 3, 4, 5), nowrap=(0,)),
            digest,
            cls="sx-stack",
        )
    )
