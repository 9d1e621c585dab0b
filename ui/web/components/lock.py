"""A lock as people read it: parts and shares, verdicts, digests; and what changed between two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ui.web.components.figures import compact, count, plural, share
from ui.web.components.markup import Markup, h, link
from ui.web.components.parts import bar, caps, chip, facts, joined, licence_chips, pairs, panel, table, tier

COLOURS = ("#2f7f79", "#b58a3c", "#4a6fa5", "#b5653a", "#5b8a5e", "#8a6fa5", "#8b8f94", "#a5506f")


def colour(at: int) -> str:
    return COLOURS[at % len(COLOURS)]


def licence_chip(verdict: Mapping[str, Any]) -> Markup:
    known = verdict["verdict"] == "known"
    return chip(
        "licences known" if known else f"unknown licences in {plural(len(verdict['unknown']), 'part')}",
        "ok" if known else "warn",
    )


def contamination_chip(verdict: Mapping[str, Any]) -> Markup:
    tones = {"checked": "ok", "no eval datasets": "", "unchecked": "warn"}
    words = {
        "checked": "checked against every eval",
        "unchecked": f"unchecked against {plural(len(verdict['unchecked']), 'eval')}",
    }
    return chip(words.get(verdict["verdict"], verdict["verdict"]), tones.get(verdict["verdict"], ""))


def strip(lock: Mapping[str, Any]) -> Markup:
    totals = lock["totals"]
    return facts(
        [
            ("samples", count(totals["samples"])),
            (
                "tokens",
                h(
                    "span",
                    compact(totals["tokens"]),
                    title=count(totals["tokens"])
                    if totals["tokens"] is not None
                    else f"a part has no complete column {totals['token_column']!r}",
                ),
            ),
            ("parts", len(lock["parts"])),
            ("unit", lock["unit"]),
            ("order", f"{lock['order']['shuffle']}, seed {lock['seed']}"),
            ("licences", licence_chip(lock["licences"])),
            ("contamination", contamination_chip(lock["contamination"])),
        ],
        large=3,
    )


def parts(lock: Mapping[str, Any]) -> Markup:
    """One line a part, with the share it is served."""
    held = list(zip(lock["parts"], lock["totals"]["parts"], strict=True))
    unit, shares = shares_of(lock)
    pieces = [
        h("i", style=f"width:{100 * part:.3f}%;background:{colour(at)}", title=held[at][0]["dataset"])
        for at, part in enumerate(shares)
    ]
    rows = [_part(at, part, item, shares[at]) for at, (part, item) in enumerate(held)]
    heads = ["part", "filter", "rows", "served", "epochs", "tokens", f"share of {unit}", "licence"]
    body = table(heads, rows, numeric=(2, 3, 4, 5, 6), nowrap=(0,))
    return h("div", h("div", pieces, cls="sx-shares", style="margin-bottom:10px"), body)


def shares_of(lock: Mapping[str, Any]) -> tuple[str, list[float]]:
    """The share of each part in the unit of the mix: of its tokens where it counts tokens, else of its samples."""
    total, served = lock["totals"]["tokens"], lock["totals"]["parts"]
    if lock["unit"] == "tokens" and total:
        return "tokens", [item["tokens"] / total for item in served]
    return "samples", [item["share"] for item in served]


def _part(at: int, part: Mapping[str, Any], served: Mapping[str, Any], portion: float) -> tuple[Any, ...]:
    ref = f"{part['dataset']}@v{part['version']}"
    unknown = part["licences"]["unknown"]
    licences = part["licences"]["known"] | ({"unknown": unknown} if unknown else {})
    swatch = h("span", cls="sx-swatch", style=f"background:{colour(at)}")
    return (
        h("div", swatch, h("a", ref, cls="sx-link", **link("dataset", ref=ref)), tier(part["tier"]), cls="sx-row"),
        filter_text(part["where"]),
        count(part["rows"]["rows"]),
        count(served["samples"]),
        f"{served['epochs']:.3g}",
        compact(served["tokens"]),
        share(portion),
        h("div", licence_chips(licences), cls="sx-wrap"),
    )


def filter_text(where: str | None) -> Markup:
    return h("span", where, cls="sx-mono") if where else h("span", "all rows", cls="sx-faint")


def verdicts(lock: Mapping[str, Any]) -> Markup:
    """Contamination by eval and part, and where licences are unknown."""
    unknown = lock["licences"]["unknown"]
    lines = [
        h("div", f"{count(rows)} rows of {ref} declare no licence", cls="sx-warn") for ref, rows in unknown.items()
    ]
    missing = panel("Unknown licences", lines) if lines else None
    return h("div", panel("Contamination", _contamination(lock["contamination"])), missing, cls="sx-stack")


def _contamination(held: Mapping[str, Any]) -> Markup:
    if not held["evals"]:
        return h("span", "No dataset has role eval: there is nothing to check against.", cls="sx-soft")
    rows, unchecked = [], []
    for entry in held["evals"]:
        for part in entry["parts"]:
            done = part["status"] == "checked"
            overlap = part.get("overlapping")
            found = f"{count(overlap)} ({share(part['overlapping_share'])})" if overlap is not None else "–"
            compared = f"{count(part['covered'])} of {count(part['rows'])}"
            rows.append((entry["eval"], part["part"], chip(part["status"], "ok" if done else "warn"), compared, found))
            unchecked += [] if done else [part["part"].partition("@")[0]]
    heads = ["eval", "part", "verdict", "rows compared", "rows that overlap any eval"]
    body = table(heads, rows, numeric=(3, 4), nowrap=(0, 1))
    if not unchecked:
        return body
    commands = [
        h("code", f"strata score {name} eval_overlap", style="margin-right:6px") for name in dict.fromkeys(unchecked)
    ]
    return h("div", body, h("div", "Run ", commands, "then publish again.", cls="sx-soft", style="margin-top:8px"))


def seals(lock: Mapping[str, Any]) -> Markup:
    """What the lock pins, to the digit."""
    algorithms = joined(lock["algorithms"].values())
    rows = [
        ("lock", h("span", lock["digest"], cls="sx-digest")),
        ("order", h("span", lock["order_digest"], cls="sx-digest")),
        ("probes", f"{count(lock['probes'])} indices hashed, {len(lock['witnesses'])} kept as witnesses"),
        ("algorithms", algorithms),
    ]
    prints = {
        f"{part['dataset']}.{name}": digest for part in lock["parts"] for name, digest in part["fingerprints"].items()
    }
    rows += [(name, h("span", digest, cls="sx-digest")) for name, digest in prints.items()]
    return panel("Digests", pairs(rows))


def difference(held: Mapping[str, Any]) -> Markup:
    """Two mixes side by side: totals, parts, rows that one serves and the other does not."""
    a, b = asis(held["a"]), asis(held["b"])
    totals = [_changed(name.replace("_", " "), held[name]) for name in ("samples", "tokens", "distinct_samples")]
    totals += [
        (name, *(h("span", str(side), cls="sx-mono") for side in pair), "") for name, pair in held["settings"].items()
    ]
    licences = [_changed(name, item) for name, item in held["licences"].items()]
    sides = [_only(a, held["rows_removed"]), _only(b, held["rows_added"])]
    heads = ["", "part", "filter", ["served by ", a], ["by ", b], ["share in ", a], ["in ", b]]
    return h(
        "div",
        h("div", _sameness(held), cls="sx-wrap"),
        table(["total", a, b, "change"], totals, numeric=(1, 2, 3)),
        table(heads, [_compared(part) for part in held["parts"]], numeric=(3, 4, 5, 6), nowrap=(0, 1)),
        h("div", sides, cls="sx-split sx-even"),
        table(["rows by licence", a, b, "change"], licences, numeric=(1, 2, 3)),
        cls="sx-stack",
    )


def _changed(name: str, item: Mapping[str, Any]) -> tuple[Any, ...]:
    return name, count(item["a"]), count(item["b"]), delta(item["change"])


def _sameness(held: Mapping[str, Any]) -> Markup:
    if held["same"]:
        return chip("identical locks", "ok")
    return chip("same order") if held["same_order"] else chip("different order", "accent")


def _compared(part: Mapping[str, Any]) -> tuple[Any, ...]:
    tones = {"added": "ok", "removed": "bad", "changed": "warn"}
    served = [count((part[side] or {}).get("samples")) for side in "ab"]
    shares = [share(part[side]["share"]) if part[side] else "–" for side in "ab"]
    return (
        chip(part["status"], tones.get(part["status"], "")),
        part["dataset"],
        filter_text(part["where"]),
        *served,
        *shares,
    )


def _only(name: Markup, side: Mapping[str, Any]) -> Markup:
    total = h("b", count(side["count"]), style="font-size:17px")
    return panel(["Samples only in ", name], total, _sources(side))


def asis(name: str) -> Markup:
    """A name inside a heading, in its own letters."""
    return h("span", name, style="text-transform:none;letter-spacing:0")


def _sources(side: Mapping[str, Any]) -> Markup:
    total = side["count"] or 1
    lines = [
        h(
            "div",
            h("div", h("span", name, cls="sx-cut"), h("span", count(rows), cls="sx-num sx-soft"), cls="sx-between"),
            bar(rows / total),
            style="display:grid;gap:3px",
        )
        for name, rows in list(side["sources"].items())[:6]
    ]
    ids = (
        h("div", caps("for example"), h("div", ", ".join(name[:8] for name in side["examples"]), cls="sx-mono sx-soft"))
        if side["examples"]
        else None
    )
    return h("div", lines, ids, style="display:grid;gap:8px;margin-top:8px")


def delta(change: int | float | None) -> Any:
    """A change with its sign, in colour."""
    if change is None or change == 0:
        return h("span", "–" if change is None else "±0", cls="sx-faint")
    return h("span", f"{change:+,}".replace("-", "−"), cls=f"sx-delta {'plus' if change > 0 else 'minus'}")
