"""What a takedown reaches, drawn alike before it (the blast radius) and after it (the receipt)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ui.web.components.figures import ago, compact, count, plural, stamp
from ui.web.components.markup import Markup, h, link
from ui.web.components.parts import caps, chip, facts, pairs, panel, short, table, tier

FACES = {"torch": "PyTorch loader", "hf": "Hugging Face dataset", "arrow": "Arrow batches"}


def strip(held: Mapping[str, Any]) -> Markup:
    """The whole of it in one line of figures."""
    runs = [run for run in held.get("runs", []) if run.get("run")]
    return facts(
        [
            ("samples", count(held["samples"])),
            ("rows", count(sum(held["rows"].values()))),
            ("datasets", count(len(held["rows"]))),
            ("exact copies", count(sum(held["copies"].values()))),
            ("made from them", count(sum(held["children"].values()))),
            ("mixes", count(len(held["mixes"]))),
            ("pulls", count(len(held["pulls"]))),
            ("training runs", count(len(runs))),
        ],
        large=8,
    )


def radius(held: Mapping[str, Any], tiers: Mapping[str, str]) -> Markup:
    """Where the samples are, and whom they have reached."""
    pieces = [where(held, tiers), mixes(held["mixes"]), pulls(held["pulls"])]
    pieces += [runs(held.get("runs", []), held.get("models", []))]
    return h("div", [piece for piece in pieces if piece], cls="sx-stack")


def where(held: Mapping[str, Any], tiers: Mapping[str, str]) -> Markup:
    """Rows, copies and children of each dataset."""
    done = "run" in held
    names = sorted({*held["rows"], *held["copies"], *held["children"]}, key=lambda name: (tiers.get(name, ""), name))
    included = held.get("included", [])
    lines = [
        (
            tier(tiers[name]) if name in tiers else "",
            h("a", name, cls="sx-link", **link("dataset", ref=name)),
            count(held["rows"].get(name, 0)),
            _beyond(held["copies"].get(name, 0), "copies" in included, done),
            _beyond(held["children"].get(name, 0), "children" in included, done),
        )
        for name in names
    ]
    heads = ["tier", "dataset", "rows", "exact copies", "made from them"]
    return h(
        "div",
        caps("where it was held" if done else "where it is held"),
        table(heads, lines, numeric=(2, 3, 4), nowrap=(0, 1)),
        cls="sx-block",
    )


def _beyond(rows: int, taken: bool, done: bool) -> Any:
    if not rows:
        return h("span", "–", cls="sx-faint")
    said = ("went too" if done else "goes too") if taken else ("stayed" if done else "stays")
    return h("span", count(rows), " ", chip(said, "accent" if taken else "warn"))


def mixes(held: Sequence[Mapping[str, Any]]) -> Markup | None:
    if not held:
        return h("div", caps("mixes"), h("div", "No published mix serves them.", cls="sx-soft"))
    lines = [
        (
            h("a", mix["mix"], cls="sx-link", **link("mixes", mix=mix["mix"])),
            count(mix["samples"]),
            h("span", _indices(mix), cls="sx-mono"),
        )
        for mix in held
    ]
    about = "Its pulls leave these places out; every other index serves what it served before."
    body = table(["mix", "served", "at global indices"], lines, numeric=(1,), nowrap=(0,))
    return h("div", caps("mixes"), body, h("div", about, cls="sx-faint", style="font-size:12.5px"), cls="sx-block")


def _indices(mix: Mapping[str, Any]) -> str:
    shown = ", ".join(count(at) for at in mix["indices"])
    more = mix["samples"] - len(mix["indices"])
    return shown + (f" and {compact(more)} more" if more > 0 else "")


def pulls(held: Sequence[Mapping[str, Any]]) -> Markup | None:
    if not held:
        return None
    lines = [
        (
            stamp(pull["began"]),
            pull["by"],
            h("span", pull["on"], cls="sx-mono"),
            FACES.get(pull["face"], pull["face"]),
            h("a", pull["mix"], cls="sx-link", **link("mixes", mix=pull["mix"], tab="history")),
            count(pull["samples"]),
            count(pull["first"]),
        )
        for pull in held[:100]
    ]
    heads = ["began", "by", "on", "as", "mix", "of them", "first at"]
    return h("div", caps("pulled before"), table(heads, lines, numeric=(5, 6), nowrap=(0, 1, 4)), cls="sx-block")


def runs(held: Sequence[Mapping[str, Any]], models: Sequence[Mapping[str, Any]]) -> Markup | None:
    """Runs whose ledger names a sample, and models trained on such a mix."""
    if not held and not models:
        return None
    lines = [
        (
            h("a", run["run"], cls="sx-link", **link("mixes", mix=run["mix"], tab="history", run=run["run"]))
            if run["run"]
            else chip("ledger not readable", "warn", run.get("error")),
            run["mix"],
            count(run.get("samples")),
            f"{count(run.get('first_step'))} to {count(run.get('last_step'))}" if run["run"] else run.get("error", ""),
        )
        for run in held
    ]
    body = table(["run", "mix", "places served", "steps"], lines, numeric=(2,), nowrap=(0, 1)) if lines else None
    named = ", ".join(dict.fromkeys(model["model"] for model in models))
    trained = (
        h("div", "Models trained on such a mix: ", h("span", named, cls="sx-mono"), cls="sx-soft") if models else None
    )
    return h("div", caps("training runs, by their ledgers"), body, trained, cls="sx-block")


def receipt(held: Mapping[str, Any], tiers: Mapping[str, str]) -> Markup:
    """A receipt in full."""
    asked = held["asked"]
    said = asked.get("match") or asked.get("where") or plural(asked.get("ids") or 0, "sample id")
    about = pairs(
        [
            ("reason", held["reason"]),
            ("asked for", h("span", said, cls="sx-mono")),
            ("by", held.get("actor")),
            ("done", stamp(held["done"]) + " UTC" if held.get("done") else chip("stopped half way", "bad")),
            ("run", h("span", held["run"], cls="sx-mono")),
            ("digest", h("span", held["digest"], cls="sx-digest")),
        ]
    )
    return h("div", strip(held), panel(None, about), radius(held, tiers), cls="sx-stack")


def listing(held: Sequence[Mapping[str, Any]]) -> Markup:
    """Receipts, newest first."""
    lines = [
        (
            h("a", short(one["run"]), cls="sx-link", **link("incidents", receipt=one["run"])),
            ago(one["done"]) if one.get("done") else chip("stopped half way", "bad"),
            one["reason"],
            one.get("actor", ""),
            count(one["samples"]),
            count(sum(one["rows"].values())),
            count(len(one["mixes"])),
            count(len(one["pulls"])),
        )
        for one in held
    ]
    heads = ["receipt", "when", "reason", "by", "samples", "rows", "mixes", "pulls"]
    return table(heads, lines, numeric=(4, 5, 6, 7), nowrap=(0, 1, 3))
