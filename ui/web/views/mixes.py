"""Mixes: what is locked, what it serves, what changed, how to train on it, and a new one from a spec."""

from __future__ import annotations

from typing import Any

import streamlit as st

from catalog import Catalog
from catalog.meta.models import Mix
from ui.web.components import address, lock, shell
from ui.web.components.figures import ago, compact, count, plural
from ui.web.components.markup import Markup, h, link, live
from ui.web.components.mix_editor import compose
from ui.web.components.pager import pager
from ui.web.components.parts import chip, joined, table, tabs
from ui.web.components.samples import pretty
from ui.web.queries import mixtures

TABS = {"lock": "Lock", "served": "Served samples", "diff": "Diff", "train": "Train", "spec": "Spec"}
PAGE = 20
SPEC = """name: pretrain
unit: samples
parts:
  - {dataset: web-l1@v1, weight: 3}
  - {dataset: wikitext@v1, weight: 1, max_epochs: 2}"""


def menu(held: dict[str, list[Mix]], chosen: str) -> Markup:
    rows = []
    for name, mixes in held.items():
        for mix in mixes:
            ref = f"{name}@v{mix.version}"
            totals = mix.lock["totals"]
            words = joined(
                [
                    f"{compact(totals['samples'])} samples",
                    f"{compact(totals['tokens'])} tokens" if totals["tokens"] is not None else None,
                    f"{len(mix.lock['parts'])} parts",
                ]
            )
            head = h(
                "div",
                h("span", name, style="font-weight:600", cls="sx-cut"),
                h("span", f"v{mix.version}", cls="sx-mono sx-faint"),
                cls="sx-between",
            )
            foot = h(
                "div",
                h("span", words, cls="sx-soft"),
                h("span", ago(mix.created), cls="sx-faint sx-num"),
                cls="sx-between",
                style="font-size:12.5px",
            )
            rows.append(
                h("a", head, foot, cls="sx-menu-row on" if ref == chosen else "sx-menu-row", **link("mixes", mix=ref))
            )
    new = h(
        "a",
        h("span", "New mix from a spec", style="font-weight:600"),
        cls="sx-menu-row on" if chosen == "new" else "sx-menu-row",
        **link("mixes", mix="new"),
    )
    return h("div", new, rows, cls="sx-frame")


def draw(cat: Catalog, mix: Mix, held: dict[str, list[Mix]]) -> None:
    ref = f"{mix.name}@v{mix.version}"
    name = shell.title(
        mix.name,
        mix.spec.get("note") or None,
        h("span", f"v{mix.version}", cls="sx-mono sx-soft"),
        chip("locked", "accent", mix.digest),
        h("span", f"by {mix.actor}, {ago(mix.created)}", cls="sx-sub"),
    )
    tab = address.get("tab", "lock")
    tab = tab if tab in TABS else "lock"
    live(h("div", name, lock.strip(mix.lock), cls="sx-stack"), "mix")
    live(tabs("mixes", tab, TABS, mix=ref), "mixtabs")
    with shell.guarded():
        if tab == "lock":
            live(h("div", lock.parts(mix.lock), lock.verdicts(mix.lock), lock.seals(mix.lock), cls="sx-stack"), "lock")
        elif tab == "served":
            served(cat, mix, ref)
        elif tab == "diff":
            compare(cat, ref, held)
        elif tab == "train":
            train(ref, mix)
        else:
            st.code(pretty(mix.spec), language="json")


@st.cache_resource(show_spinner="opening the mix …", max_entries=4)
def _reader(_cat: Catalog, home: str, ref: str, digest: str, heads: tuple[int, ...]):
    """A reader verified against the store; another state of a table opens another one."""
    return _cat.mix(ref)


def served(cat: Catalog, mix: Mix, ref: str) -> None:
    """Samples in the order in which a trainer gets them."""
    held = [found for part in mix.lock["parts"] if (found := cat.find(part["dataset"]))]
    reader = _reader(cat, str(cat.settings.home), ref, mix.digest, tuple(dataset.lance_version for dataset in held))
    at = min(address.get_int("at"), max(0, len(reader) - 1))
    rows = mixtures.served(reader, at, PAGE)
    end = min(at + PAGE, len(reader))
    gone = f", {plural(end - at - len(rows), 'row')} retracted" if len(rows) < end - at else ""
    about = f" of {count(len(reader))} in the global order{gone}; lock and store agree"
    words = h("span", h("b", f"indices {count(at)}–{count(end - 1)}"), about, cls="sx-soft")
    lines = [_served(row, mix.lock["parts"]) for row in rows]
    body = table(["index", "part", "epoch", "sample", "text"], lines, numeric=(0, 2), nowrap=(1, 3))
    live(h("div", pager(words, at, PAGE, len(reader)), body), "served", _page)


def _served(row: dict[str, Any], parts: list[dict[str, Any]]) -> tuple[Any, ...]:
    swatch = h("span", cls="sx-swatch", style=f"background:{lock.colour(row['_part'])}")
    name = h("span", swatch, parts[row["_part"]]["dataset"], cls="sx-row")
    words = " ".join((row["text"] or "")[:800].split())[:220]
    sample = h("span", row["sample_id"][:8], cls="sx-mono sx-faint", title=row["sample_id"])
    return count(row["_index"]), name, row["_epoch"], sample, h("div", words, cls="sx-soft")


def _page(name: str, value: str) -> None:
    address.put(at=value if value != "0" else None)


def compare(cat: Catalog, ref: str, held: dict[str, list[Mix]]) -> None:
    others = [
        f"{name}@v{mix.version}" for name, mixes in held.items() for mix in mixes if f"{name}@v{mix.version}" != ref
    ]
    if not others:
        shell.show(shell.note("This is the only mix; publish another one to compare it with."))
        return
    own = [other for other in others if other.split("@")[0] == ref.split("@")[0]]
    box, _ = st.columns([1, 2.6])
    with box:
        other = address.choice("Compare with", "other", others, (own or others)[0])
    with st.spinner("comparing …"):
        found = cat.diff(other, ref)
    live(lock.difference(found), "diff")


def train(ref: str, mix: Mix) -> None:
    """Code to copy."""
    kinds = {part["kind"] for part in mix.lock["parts"]}
    column = "messages" if kinds and kinds <= {"chat", "task", "preference"} else "text"
    st.code(
        f"""from catalog import Catalog

mix = Catalog.open().mix("{ref}")                    # {count(len_of(mix))} samples, lock {mix.digest[:12]}
loader = mix.torch(batch_size=32, rank=0, world=1, workers=2)
for batch in loader:
    ...                                              # batch["{column}"]
    state = loader.state_dict()                      # a few integers; save it with the model

# later, on any number of ranks and workers: the same global order, nothing lost, nothing twice
loader.load_state_dict(state)""",
        language="python",
    )
    st.code(
        f"""hf = mix.to_hf()                                      # a Hugging Face dataset
for batch in mix.batches(batch_rows=256, columns=["{column}"]):   # Arrow record batches
    ...""",
        language="python",
    )
    st.code(f"strata pull {ref} --limit 5\nstrata pull {ref} --export parquet out/", language="bash")


def len_of(mix: Mix) -> int:
    return mix.lock["totals"]["samples"]


def page() -> None:
    cat = shell.catalog()
    held = mixtures.published(cat)
    every = {f"{name}@v{mix.version}": mix for name, mixes in held.items() for mix in mixes}
    wanted = address.get("mix")
    if not every and wanted != "new":
        shell.show(
            shell.empty(
                "No mix yet",
                "A mix says which rows of which dataset versions are trained on, how often and in which order. Published, it is frozen by a lock.",
                SPEC,
            )
        )
        live(
            h(
                "div",
                h("a", "Write a spec here", cls="sx-step", **link("mixes", mix="new")),
                h("span", " or ", h("code", "strata mix publish SPEC.yaml"), cls="sx-soft"),
                style="max-width:680px;margin:0 auto",
            ),
            "new",
        )
        return
    if wanted and wanted != "new" and "@" not in wanted and wanted in held:
        wanted = f"{wanted}@v{held[wanted][0].version}"
    chosen = wanted or next(iter(every))
    left, right = st.columns([1, 3.4], gap="medium")
    with left:
        live(menu(held, chosen), "mixmenu")
    with right:
        if chosen == "new":
            compose(cat)
        else:
            from catalog.mixes import find_mix

            draw(cat, every.get(chosen) or find_mix(cat, chosen), held)


page()
