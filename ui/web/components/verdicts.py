"""What a lock says of licences and of contamination, with the rows that block and what was waived."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ui.web.components.figures import count, plural, share
from ui.web.components.markup import Markup, h, link
from ui.web.components.parts import chip, licence_chips, pairs, panel, table


def licence_chip(verdict: Mapping[str, Any]) -> Markup:
    use, rows = verdict.get("use"), sum(entry["rows"] for entry in verdict.get("blocked", ()))
    if use and rows:
        return chip(f"{use}: blocked by {plural(rows, 'row')}", "bad")
    if use:
        waived = len(verdict["waived"])
        return chip(f"{use}: allowed" + (f", {plural(waived, 'waiver')}" if waived else ""), "warn" if waived else "ok")
    if verdict["unknown"]:
        return chip(f"unknown licences in {plural(len(verdict['unknown']), 'part')}", "warn")
    return chip("licences known", "ok")


def contamination_chip(verdict: Mapping[str, Any]) -> Markup:
    tones = {"checked": "ok", "no eval datasets": "", "unchecked": "warn"}
    words = {
        "checked": "checked against every eval",
        "unchecked": f"unchecked against {plural(len(verdict['unchecked']), 'eval')}",
    }
    return chip(words.get(verdict["verdict"], verdict["verdict"]), tones.get(verdict["verdict"], ""))


def use(lock: Mapping[str, Any]) -> Markup:
    """What the mix is for, and which rows stand against it."""
    from catalog.licences import USES

    held = lock["licences"]
    every = dict(held["rows"]) | ({"unknown": sum(held["unknown"].values())} if held["unknown"] else {})
    rows: list[tuple[Any, Any]] = [("rows by licence", h("div", licence_chips(every, 8), cls="sx-wrap"))]
    if held["unknown"]:
        missing = [h("div", f"{plural(rows_, 'row')} of {ref}") for ref, rows_ in held["unknown"].items()]
        rows.append(("no licence", h("div", missing, cls="sx-warn")))
    if "use" not in held:
        rows.append(
            (
                "use",
                h(
                    "span",
                    "none is declared, so nothing is blocked; ",
                    h("code", "use: commercial"),
                    " in the spec has it checked",
                    cls="sx-soft",
                ),
            )
        )
        return panel("Use and licences", pairs(rows))
    rows.insert(0, ("use", h("span", h("b", held["use"]), f": {USES.get(held['use'], '')} ", licence_chip(held))))
    for what, licences in held["obligations"].items():
        rows.append((f"asks for {what}", h("span", ", ".join(licences), cls="sx-soft")))
    parts = {part["spec_name"]: part for part in _named(lock)}
    return panel(
        "Use and licences", pairs(rows), _entries("blocks this use", held["blocked"], parts), _waived(held["waived"])
    )


def _named(lock: Mapping[str, Any]) -> list[dict[str, Any]]:
    from catalog.mixes.spec import Part, part_name

    specs, held = lock["spec"]["parts"], lock["parts"]
    return [{**part, "spec_name": part_name(Part(**spec))} for spec, part in zip(specs, held, strict=True)]


def _entries(
    heading: str, blocked: Sequence[Mapping[str, Any]], parts: Mapping[str, Mapping[str, Any]]
) -> Markup | None:
    if not blocked:
        return None
    rows = []
    for entry in blocked:
        part = parts.get(entry["part"], {})
        ref = f"{part['dataset']}@v{part['version']}" if part else entry["part"]
        look = h("a", "see the rows", cls="sx-link", **link("dataset", ref=ref, tab="samples", where=entry["find"]))
        rows.append((entry["part"], entry["licence"] or "unknown", count(entry["rows"]), entry["why"], look))
    body = table([heading, "licence", "rows", "because", ""], rows, numeric=(2,), nowrap=(0, 1, 4))
    return h("div", body, style="margin-top:10px")


def _waived(waived: Sequence[Mapping[str, Any]]) -> Markup | None:
    if not waived:
        return None
    rows = [
        (entry["part"], entry["licence"] or "unknown", count(entry["rows"]), entry["why"], entry["by"], entry["reason"])
        for entry in waived
    ]
    heads = ["waived in", "licence", "rows", "although", "by", "reason"]
    return h("div", table(heads, rows, numeric=(2,), nowrap=(0, 1, 4)), style="margin-top:10px")


def origins(lock: Mapping[str, Any]) -> Markup | None:
    """How the text was made, as the spec declares it, and the shares it expects; None where it says nothing."""
    held = lock.get("origins")
    if not held:
        return None
    wanted = held.get("expect") or {}
    shares = {**held["shares"], "synthetic": held["shares"]["rephrased"] + held["shares"]["generated"]}
    rows = []
    for name, value in shares.items():
        said = " to ".join(f"{100 * end:g}%" for end in wanted.get(name, ())) or "–"
        rows.append((name if name != "synthetic" else "synthetic (both)", share(value), said))
    open_parts = plural(len(held["undeclared"]), "part")
    about = f"{open_parts} declare no origin. " if held["undeclared"] else ""
    about += f"A person declares it by part: nothing in a row tells. Shares of {held['unit']}."
    if held["shares"]["rephrased"]:
        about += (
            " Good shares of rephrased text came to lie near 30% in a study of a thousand models (arXiv:2510.01631)."
        )
    body = table(["origin", "share", "expected"], rows, numeric=(1, 2), nowrap=(0,))
    return panel("Origin of the text", body, h("div", about, cls="sx-faint", style="margin-top:6px;font-size:12.5px"))


def contamination(held: Mapping[str, Any]) -> Markup:
    """One line an eval: rows compared, those that share text with an item, those over what the eval calls a leak."""
    if not held["evals"]:
        return panel(
            "Contamination", h("span", "No dataset has role eval: there is nothing to check against.", cls="sx-soft")
        )
    rows = [_eval(entry) for entry in held["evals"]]
    heads = ["eval", "verdict", "rows compared", "rows that overlap", "rows that leak", "items found"]
    about = "Overlap: the row holds a part of an item of the eval. Leak: more of it than the eval allows. Parts are in the tooltips."
    body = [
        table(heads, rows, numeric=(2, 3, 4, 5), nowrap=(0,)),
        h("div", about, cls="sx-faint", style="margin-top:6px;font-size:12.5px"),
    ]
    names = [
        part["part"].partition("@")[0]
        for entry in held["evals"]
        for part in entry["parts"]
        if part["status"] != "checked"
    ]
    if names:
        commands = [
            h("code", f"strata score {name} eval_overlap", style="margin-right:6px") for name in dict.fromkeys(names)
        ]
        body.append(h("div", "Run ", commands, "then publish again.", cls="sx-soft", style="margin-top:6px"))
    return panel("Contamination", *body)


def _eval(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    parts, done = entry["parts"], entry["status"] == "checked"
    compared = f"{count(_sum(parts, 'covered'))} of {count(_sum(parts, 'rows'))}"
    overlap, leak, items = (_total(parts, name) for name in ("overlapping", "leaking", "leaked_items"))
    of = max((part.get("items") or 0 for part in parts), default=0)
    if sum(bool(part.get("leaked_items")) for part in parts) > 1:
        items = f"up to {items}"  # two parts may hold the same item
    portion = f" ({share(_sum(parts, 'overlapping'), _sum(parts, 'covered'))})" if _sum(parts, "overlapping") else ""
    return (
        entry["eval"],
        chip(entry["status"], "ok" if done else "warn"),
        h("span", compared, title=_by_part(parts, "covered")),
        h("span", overlap, portion, title=_by_part(parts, "overlapping")),
        h("span", leak, title=_by_part(parts, "leaking"), cls="sx-bad" if _sum(parts, "leaking") else None),
        h("span", f"{items} of {count(of)}" if of else items, title=_by_part(parts, "leaked_items")),
    )


def _sum(parts: Sequence[Mapping[str, Any]], name: str) -> int:
    return sum(part.get(name) or 0 for part in parts)


def _total(parts: Sequence[Mapping[str, Any]], name: str) -> str:
    """A sum, or a dash where no part was counted."""
    return count(_sum(parts, name)) if any(part.get(name) is not None for part in parts) else "–"


def _by_part(parts: Sequence[Mapping[str, Any]], name: str) -> str:
    return "; ".join(f"{part['part']}: {count(part.get(name))}" for part in parts)
