"""Mixes: what is locked, what it serves, what changed, how to train on it, and a new one from a spec."""

from __future__ import annotations

from typing import Any

import streamlit as st

from catalog import Catalog
from catalog.meta.models import Mix
from catalog.mixes.sign import signatures
from catalog.trials import list_trials
from ui.mixing import diff, ledger
from ui.web.components import address, lock, mix_change, mix_history, shell, trials, verdicts
from ui.web.components.figures import ago, compact, count, plural
from ui.web.components.label import label
from ui.web.components.markup import Markup, h, link, live
from ui.web.components.mix_editor import compose
from ui.web.components.pager import pager
from ui.web.components.parts import chip, joined, table, tabs
from ui.web.queries import mixtures
from ui.web.queries.discovering import labels
from ui.web.queries.mix_label import part_refs, whole_label

TABS = {"lock": "Lock", "served": "Served samples", "history": "History", "trials": "Trials", "diff": "Diff", "train": "Train",
        "spec": "Spec"}  # fmt: skip
PAGE = 20
MANY = 10
"""Names from which on the menu can be searched."""
RESULTS = 4
"""Results of a run that its line shows; the others are in the summary."""
SPEC = """name: pretrain
unit: samples
parts:
  - {dataset: web-l1@v1, weight: 3}
  - {dataset: wikitext@v1, weight: 1, max_epochs: 2}"""


def menu(held: dict[str, list[Mix]], chosen: str, words: str) -> Markup:
    """One line a name, of its newest version; the name that is open comes first and shows its older versions too."""
    own = chosen.partition("@")[0]
    rows = []
    for name, mixes in sorted(held.items(), key=lambda item: item[0] != own):
        if words.lower() in name.lower() or name == own:
            shown = mixes if name == own else mixes[:1]
            rows += [_menu_row(mix, chosen, older=mix is not mixes[0], more=len(mixes) - 1) for mix in shown]
    new = h(
        "a",
        h("span", "New mix from a spec", style="font-weight:600"),
        cls="sx-menu-row on" if chosen == "new" else "sx-menu-row",
        **link("mixes", mix="new"),
    )
    return h("div", new, h("div", rows, cls="sx-menu", data_keep="mixes"), cls="sx-frame")


def _menu_row(mix: Mix, chosen: str, *, older: bool, more: int) -> Markup:
    ref, totals = lock.ref_of(mix), mix.lock["totals"]
    style = f"sx-menu-row{' on' if ref == chosen else ''}{' sx-older' if older else ''}"
    version = h("span", f"v{mix.version}", cls="sx-mono sx-faint")
    when = h("span", ago(mix.created), cls="sx-faint sx-num")
    if older:
        return h("a", h("div", version, when, cls="sx-between"), cls=style, **link("mixes", mix=ref))
    tokens = f"{compact(totals['tokens'])} tokens" if totals["tokens"] is not None else None
    words = joined([f"{compact(totals['samples'])} samples", tokens, plural(len(mix.lock["parts"]), "part")])
    count_ = h("span", f" +{more}", cls="sx-faint", title=plural(more, "older version")) if more else None
    head = h(
        "div", h("span", mix.name, style="font-weight:600", cls="sx-cut"), h("span", version, count_), cls="sx-between"
    )
    foot = h("div", h("span", words, cls="sx-soft"), when, cls="sx-between", style="font-size:12.5px")
    return h("a", head, foot, cls=style, **link("mixes", mix=ref))


def draw(cat: Catalog, mix: Mix, held: dict[str, list[Mix]]) -> None:
    ref = lock.ref_of(mix)
    revises = mix.lock.get("revises")
    name = shell.title(
        mix.name,
        mix.spec.get("note") or None,
        h("span", f"v{mix.version}", cls="sx-mono sx-soft"),
        chip("locked", "accent", mix.digest),
        chip(f"revises {revises[0]['ref']} from index {count(revises[0]['at'])}") if revises else None,
        h("span", f"by {mix.actor}, {ago(mix.created)}", cls="sx-sub"),
    )
    tab = address.get("tab", "lock")
    tab = tab if tab in TABS else "lock"
    signed = signatures(cat, ref)
    live(h("div", name, lock.strip(mix.lock, signed), cls="sx-stack"), "mix")
    with shell.guarded():
        live(tabs("mixes", tab, TABS, mix=ref), "mixtabs")
        if tab == "lock":
            live(_lock(mix.lock), "lock")
            part_labels(cat, ref, mix.lock)
        elif tab == "served":
            served(cat, mix, ref)
        elif tab == "history":
            history(cat, mix, held.get(mix.name, []), signed)
        elif tab == "trials":
            tried(cat, ref)
        elif tab == "diff":
            compare(cat, ref, held)
        elif tab == "train":
            train(ref, mix)
        else:
            spec(ref, mix)


def part_labels(cat: Catalog, ref: str, held: dict[str, Any]) -> None:
    """What the mix is made of, in all and by dataset version."""
    found = labels(cat, list(dict.fromkeys(part_refs(held))))
    with st.expander(f"Labels: in all, and of {plural(len(found), 'dataset')}"):
        whole = whole_label(ref, held, found)
        blocks = [
            label(facts, h("a", name, cls="sx-link", **link("dataset", ref=name))) for name, facts in found.items()
        ]
        about = "In all: by what is served, from the lock and from what is stored of whole dataset versions."
        if whole["filtered"]:
            about += f" The filter of {', '.join(whole['filtered'])} is not counted in."
        foot = h("div", about, cls="sx-faint", style="font-size:12.5px;margin-top:8px")
        live(h("div", h("div", label(whole, "In all"), blocks, cls="sx-thirds"), foot), "labels")


def _lock(held: dict[str, Any]) -> Markup:
    pieces = [
        lock.parts(held),
        lock.stages(held),
        verdicts.use(held),
        verdicts.origins(held),
        verdicts.contamination(held["contamination"]),
        lock.seals(held),
    ]
    return h("div", pieces, cls="sx-stack")


def history(cat: Catalog, mix: Mix, versions: list[Mix], signed: list[dict[str, Any]]) -> None:
    """Revisions, signatures, pulls, and what a recorded run was served."""
    ref, run = lock.ref_of(mix), address.get("run")
    streams, total = mixtures.pulls(cat, ref)
    pieces = [
        mix_history.revisions(mixtures.revisions(versions, mix), mix),
        mix_history.signatures(signed, ref),
        mix_history.pulls(streams, total),
        mix_history.runs(mixtures.recorded_runs(cat, ref), ref, run),
    ]
    live(h("div", pieces, cls="sx-stack"), "history")
    if run:
        with st.spinner("reading the ledger …"):
            found = ledger(cat, ref, run)
        shell.show(mix_history.ledger(found))


def tried(cat: Catalog, ref: str) -> None:
    """What runs on the mix measured, and against another mix that was trained on."""
    every = list_trials(cat)
    mine = [trial for trial in every if trial.mix == ref]
    if not mine:
        shell.show(
            shell.note(
                h(
                    "span",
                    "No run on this version is recorded. ",
                    h("code", f"strata trial run {ref}"),
                    " trains a small model on it; ",
                    h("code", f"strata trial add {ref} --results lm_eval.json --seed 1"),
                    " records one made elsewhere.",
                )
            )
        )
        return
    shell.show(trials.summary(mixtures.groups(mine)))
    others = sorted({trial.mix for trial in every if trial.mix != ref})
    if others:
        trials.versus(cat, ref, others)
        live(h("a", "All mixes beside one another", cls="sx-link", **link("experiments", mix=ref)), "experiments")
    results = [
        name for name in dict.fromkeys(name for trial in mine for name in trial.results) if not name.endswith("_stderr")
    ]
    with st.expander(f"Every run ({len(mine)})"):
        shell.show(trials.listing(mine, results[:RESULTS]))


def spec(ref: str, mix: Mix) -> None:
    """The spec as YAML, ready to be published again or changed."""
    st.code(mixtures.written(mixtures.tidy(mix.spec)), language="yaml")
    if revises := mix.lock.get("revises"):
        first = f"A revision made this version: above is the spec of {revises[-1]['ref']} with the parts that were added since; what runs is in the stages of the lock. "
        command = h("code", f"strata mix revise {ref} --at-sample N --weights PART=W")
        shell.show(shell.note(h("span", first, command, " changes it again.")))
    else:
        live(h("a", "Change it in the editor", cls="sx-link", **link("mixes", mix="new", **{"from": ref})), "edit")


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
    name = h("span", lock.swatch(row["_part"]), parts[row["_part"]]["dataset"], cls="sx-row")
    words = " ".join((row["text"] or "")[:800].split())[:220]
    sample = h("span", row["sample_id"][:8], cls="sx-mono sx-faint", title=row["sample_id"])
    return count(row["_index"]), name, row["_epoch"], sample, h("div", words, cls="sx-soft")


def _page(name: str, value: str) -> None:
    address.put(at=value if value != "0" else None)


def compare(cat: Catalog, ref: str, held: dict[str, list[Mix]]) -> None:
    others = [other for mixes in held.values() for mix in mixes if (other := lock.ref_of(mix)) != ref]
    if not others:
        shell.show(shell.note("This is the only mix; publish another one to compare it with."))
        return
    own = [other for other in others if other.split("@")[0] == ref.split("@")[0]]
    box, check, _ = st.columns([1, 1.2, 1.4], gap="medium", vertical_alignment="bottom")
    with box:
        other = address.choice("Compare with", "other", others, (own or others)[0])
    scores = check.checkbox("also how sources and scores shift", key="mix_scores", help="From a sample of each order.")
    key = (other, ref, scores, mixtures.heads(cat))
    found = st.session_state.get("mix_diff")
    if found is None or found[0] != key:
        with st.spinner("comparing …"):
            found = (key, diff(cat, other, ref, scores))
        st.session_state["mix_diff"] = found
    live(mix_change.difference(found[1]), "diff")


def train(ref: str, mix: Mix) -> None:
    """Code to copy."""
    column = text_column(mix)
    st.code(snippet(ref, mix), language="python")
    st.code(
        f"""for batch in mix.batches(batch_rows=256, columns=["{column}"]):  # Arrow record batches
    ...
hf = mix.to_hf(columns=["{column}"])  # a Hugging Face dataset
packed = mix.pack("TOKENIZER_FOLDER", 2048)  # sequences of tokens; packed.torch(8) is their loader""",
        language="python",
    )
    st.code(f"strata pull {ref} --limit 5\nstrata pull {ref} --export parquet out/", language="bash")


def text_column(mix: Mix) -> str:
    """What a trainer reads: turns where every part has them, else text, which every kind has."""
    kinds = {part["kind"] for part in mix.lock["parts"]}
    return "messages" if kinds and kinds <= {"chat"} else "text"


def snippet(ref: str, mix: Mix) -> str:
    """A training loop that goes on where it stopped, on any number of ranks, and writes what it was served."""
    column = text_column(mix)
    return f"""from catalog import Catalog
from catalog.pull.ledger import Ledger

mix = Catalog.open().mix("{ref}")  # {count(mix.lock["totals"]["samples"])} samples, lock {mix.digest[:12]}
loader = mix.torch(batch_size=32, rank=0, world=1, columns=["{column}"])
ledger = Ledger(mix, "run-1", begin=loader.state_dict())  # what was served, step by step
for step, batch in enumerate(loader, 1):
    inputs = batch["{column}"]  # train on it here
    ledger.record(step, batch)
    state = loader.state_dict()  # two values; save them with the model
ledger.close()

# Later, on any number of ranks: loader.load_state_dict(state) goes on in the same global order, nothing lost or
# repeated. The ledger of the new attempt: Ledger(mix, "run-1", attempt=2, begin=loader.state_dict())
"""


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
                whole=True,
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
    left, right = st.columns([1, 4.4 if chosen == "new" else 3.4], gap="medium")
    with left:
        words = address.text_box("Find a mix", "q", placeholder="part of a name") if len(held) > MANY else ""
        live(menu(held, chosen, words), "mixmenu")
    with right:
        if chosen == "new":
            compose(cat)
        else:
            from catalog.mixes import find_mix

            draw(cat, every.get(chosen) or find_mix(cat, chosen), held)


page()
