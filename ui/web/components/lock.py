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
    served = lock["totals"]["parts"]
    pieces = [
        h(
            "i",
            style=f"width:{100 * item['share']:.3f}%;background:{colour(at)}",
            title=f"{part['dataset']}: {share(item['share'])}",
        )
        for at, (part, item) in enumerate(zip(lock["parts"], served, strict=True))
    ]
    rows = []
    for at, (part, item) in enumerate(zip(lock["parts"], served, strict=True)):
        ref = f"{part['dataset']}@v{part['version']}"
        known = part["licences"]["known"] | (
            {"unknown": part["licences"]["unknown"]} if part["licences"]["unknown"] else {}
        )
        name = h(
            "div",
            h("span", cls="sx-swatch", style=f"background:{colour(at)}"),
            h("a", ref, cls="sx-link", **link("dataset", ref=ref)),
            tier(part["tier"]),
            cls="sx-row",
        )
        where = h("span", part["where"], cls="sx-mono") if part["where"] else h("span", "all rows", cls="sx-faint")
        rows.append(
            (
                name,
                where,
                count(part["rows"]["rows"]),
                count(item["samples"]),
                f"{item['epochs']:.3g}",
                compact(item["tokens"]),
                share(item["share"]),
                h("div", licence_chips(known), cls="sx-wrap"),
            )
        )
    heads = ["part", "filter", "rows", "served", "epochs", "tokens", "share", "licence"]
    return h(
        "div",
        h("div", pieces, cls="sx-shares", style="margin-bottom:10px"),
        table(heads, rows, numeric=(2, 3, 4, 5, 6), nowrap=(0,)),
    )


def verdicts(lock: Mapping[str, Any]) -> Markup:
    """Contamination by eval and part, and where licences are unknown."""
    held = lock["contamination"]
    if not held["evals"]:
        body: Any = h("span", "No dataset has role eval: there is nothing to check against.", cls="sx-soft")
    else:
        rows = []
        for entry in held["evals"]:
            for part in entry["parts"]:
                done = part["status"] == "checked"
                rows.append(
                    (
                        entry["eval"],
                        part["part"],
                        chip("checked", "ok") if done else chip("unchecked", "warn"),
                        f"{count(part['covered'])} of {count(part['rows'])}",
                        f"{count(part['overlapping'])} ({share(part['overlapping_share'])})"
                        if "overlapping" in part
                        else "–",
                    )
                )
        body = table(
            ["eval", "part", "verdict", "rows compared", "rows that overlap"], rows, numeric=(3, 4), nowrap=(0, 1)
        )
        if held["unchecked"]:
            names = " ".join(sorted({part["dataset"] for part in lock["parts"]}))
            body = h(
                "div",
                body,
                h(
                    "div",
                    "Run ",
                    h("code", f"strata score {names.split()[0]} eval_overlap"),
                    " for every part, then publish again.",
                    cls="sx-soft",
                    style="margin-top:8px",
                ),
            )
    unknown = lock["licences"]["unknown"]
    missing = (
        h(
            "div",
            [
                h("div", f"{count(rows)} rows of {ref} declare no licence", cls="sx-warn")
                for ref, rows in unknown.items()
            ],
        )
        if unknown
        else None
    )
    return h(
        "div", panel("Contamination", body), panel("Unknown licences", missing) if missing else None, cls="sx-stack"
    )


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
    a, b = held["a"], held["b"]
    totals = [
        (name.replace("_", " "), count(held[name]["a"]), count(held[name]["b"]), delta(held[name]["change"]))
        for name in ("samples", "tokens", "distinct_samples")
    ]
    rows = []
    for part in held["parts"]:
        old, new = part["a"] or {}, part["b"] or {}
        rows.append(
            (
                chip(part["status"], {"added": "ok", "removed": "bad", "changed": "warn"}.get(part["status"], "")),
                part["dataset"],
                h("span", part["where"] or "all rows", cls="sx-mono" if part["where"] else "sx-faint"),
                count(old.get("samples")),
                count(new.get("samples")),
                share(old.get("share")) if old else "–",
                share(new.get("share")) if new else "–",
            )
        )
    moved = [
        panel(
            ["Samples only in ", asis(name)],
            h("b", count(held[key]["count"]), style="font-size:17px"),
            _sources(held[key]),
        )
        for name, key in ((a, "rows_removed"), (b, "rows_added"))
    ]
    licences = [
        (name, count(item["a"]), count(item["b"]), delta(item["change"])) for name, item in held["licences"].items()
    ]
    settings = [
        (name, h("span", str(pair[0]), cls="sx-mono"), h("span", str(pair[1]), cls="sx-mono"), "")
        for name, pair in held["settings"].items()
    ]
    same = (
        chip("identical locks", "ok")
        if held["same"]
        else chip("same order" if held["same_order"] else "different order", "" if held["same_order"] else "accent")
    )
    return h(
        "div",
        h("div", same, cls="sx-wrap"),
        table(["total", asis(a), asis(b), "change"], [*totals, *settings], numeric=(1, 2, 3)),
        table(
            ["", "part", "filter", ["served by ", asis(a)], ["by ", asis(b)], ["share in ", asis(a)], ["in ", asis(b)]],
            rows,
            numeric=(3, 4, 5, 6),
            nowrap=(0, 1),
        ),
        h("div", moved, cls="sx-split", style="grid-template-columns:1fr 1fr"),
        table(["rows by licence", asis(a), asis(b), "change"], licences, numeric=(1, 2, 3)),
        cls="sx-stack",
    )


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
