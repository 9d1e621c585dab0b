"""What of a question is held: how the words were read, the samples, what was taken out before, and what is like it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ui.web.components import reach
from ui.web.components.figures import ago, count, plural, share
from ui.web.components.markup import Markup, act, h, link
from ui.web.components.parts import caps, chip, joined, table
from ui.web.components.proposal import TONES
from ui.web.components.shell import note


def found(held: Mapping[str, Any], picked: Sequence[str], *, wide: bool, far: bool) -> Markup:
    """The answer of `catalog.incidents.locate`."""
    pieces: list[Any] = [_head(held, wide), _taken(held)]
    if held["hits"]:
        pieces.append(_hits(held))
    elif not held["already"] and not held["gone"]:
        pieces.append(_nothing(held, far))
    if held["candidates"]:
        pieces.append(_candidates(held, picked))
    if held["notes"]:
        pieces.append(
            h("ul", [h("li", line) for line in held["notes"]], cls="sx-faint", style="margin:0;font-size:12.5px")
        )
    return h("div", [piece for piece in pieces if piece], cls="sx-stack")


def _head(held: Mapping[str, Any], wide: bool) -> Markup:
    words: list[Any] = [h("b", f"Read as {_a(held['read_as'])}")]
    if held["read_as"] == "address" and held["samples"]:
        words.append("every page whose address begins so" if wide else held["whole"])
    if held["read_as"] == "eval item":
        words.append(h("span", "of ", h("a", held["eval"], cls="sx-link", **link("dataset", ref=held["eval"])),
                       ": the rows that leak it are what goes, the eval stays"))  # fmt: skip
    words.append(f"{plural(held['samples'], 'sample')} held")
    wider = held.get("wider")
    switch = None
    if wider and wide:
        switch = h("span", "Only this page", cls="sx-step", **act("wide", ""))
    elif wider:
        more = wider["samples"] - held["samples"]
        switch = h("span", f"{plural(more, 'page')} more begin so: take all {count(wider['samples'])}", cls="sx-step",
                   **act("wide", "1"))  # fmt: skip
    return h("div", joined(words), switch, cls="sx-wrap")


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def _taken(held: Mapping[str, Any]) -> Markup | None:
    if not held["gone"]:
        return None
    named = [
        h("a", f"receipt {one['run'][:8]}", cls="sx-link", **link("incidents", receipt=one["run"]))
        for one in held["already"]
    ]
    said = f"{plural(held['gone'], 'sample')} of it {'was' if held['gone'] == 1 else 'were'} taken out already"
    by = [
        h("span", name, f", {ago(one.get('done'))}: {one['reason']}")
        for name, one in zip(named, held["already"], strict=True)
    ]
    return note(h("div", h("b", said), [h("div", line) for line in by]), "ok")


def _nothing(held: Mapping[str, Any], far: bool) -> Markup:
    said = "Nothing like it is held, now or before."
    if held["read_as"] == "eval item":
        said = "No row that was checked leaks this item."
    if held["candidates"]:
        said = "It is not held word for word; below is what is like it."
    switch = None
    if held["read_as"] == "text" and not held["candidates"] and not far:
        switch = h("span", "Look for what comes nearest in words and meaning", cls="sx-step", **act("nearest", "1"))
    return note(h("div", h("span", said), " ", switch))


def _hits(held: Mapping[str, Any]) -> Markup:
    shares = held["read_as"] == "eval item"
    lines = [
        (
            h("a", hit["sample_id"][:12], cls="sx-mono sx-link", title=hit["sample_id"], **_open(hit)),
            ", ".join(hit["datasets"]),
            *([share(hit.get("share"))] if shares else []),
            h(
                "div",
                h("div", hit["url"], cls="sx-faint sx-cut", style="max-width:60ch") if hit["url"] else None,
                hit["text"][:220],
            ),
        )
        for hit in held["hits"]
    ]
    heads = ["sample", "in", *(["of the item"] if shares else []), "text"]
    more = held["samples"] - len(held["hits"])
    foot = (
        h("div", f"{count(more)} more are not listed here; all are counted below.", cls="sx-faint")
        if more > 0
        else None
    )
    return h("div", caps("held"), table(heads, lines, nowrap=(0,)), foot, cls="sx-block")


def _open(hit: Mapping[str, Any]) -> dict[str, str]:
    return link("dataset", ref=hit["datasets"][0], tab="samples", where=f"sample_id = '{hit['sample_id']}'")


def _candidates(held: Mapping[str, Any], picked: Sequence[str]) -> Markup:
    lines = []
    for one in held["candidates"]:
        on = one["sample_id"] in picked
        box = h("span", "", cls="sx-check on" if on else "sx-check",
                **{**act("pick", one["sample_id"]), "role": "checkbox", "aria_checked": "true" if on else "false",
                   "aria_label": f"take {one['sample_id'][:12]} out too"})  # fmt: skip
        lines.append((
            box, h("a", one["sample_id"][:12], cls="sx-mono sx-link", title=one["sample_id"], **_open(one)),
            ", ".join(one["datasets"]), share(one["overlap"]), count(one["longest"]), one["text"][:220],
        ))  # fmt: skip
    heads = ["", "sample", "in", "five-word pieces shared", "longest run of words", "text"]
    about = "Near copies are for a person to judge: tick those that are to go."
    return h(
        "div",
        caps("like it"),
        table(heads, lines, numeric=(3, 4), nowrap=(0, 1)),
        h("div", about, cls="sx-faint"),
        cls="sx-block",
    )


def proposal(held: Any, tiers: Mapping[str, str]) -> Markup:
    """A proposed takedown, what it would do as it was shown, and who decided."""
    effect = held.effect
    words = [chip(held.status, TONES.get(held.status, "")), f"asked for by {held.actor}, {ago(held.created)}"]
    if held.agent:
        words.append(f"through the agent {held.agent}")
    if held.decided_by:
        words.append(f"decided by {held.decided_by}")
    warnings = [note(line, "warn") for line in effect.get("warnings", [])]
    shape = {"samples": effect.get("samples", 0), "rows": effect["datasets"], "copies": effect["copies"],
             "children": effect["children"], "mixes": effect["mixes"], "pulls": effect["pulls"],
             "included": [kind for kind in ("copies", "children") if held.args.get(kind)]}  # fmt: skip
    reasons = h("ul", [h("li", one["text"]) for one in held.reasons]) if held.reasons else None
    error = note(held.error, "bad") if held.error else None
    body = [h("div", h("b", held.title), cls="sx-title"), h("div", joined(words), cls="sx-soft"), reasons, error, warnings,
            h("div", effect["summary"]), reach.radius(shape, tiers)]  # fmt: skip
    return h("div", [piece for piece in body if piece], cls="sx-stack")


def waiting(held: Sequence[Any]) -> Markup:
    """Takedowns that nobody has decided on."""
    lines = [
        (
            h("a", one.title, cls="sx-link", **link("incidents", proposal=one.id)),
            one.effect.get("summary", ""),
            one.actor,
            ago(one.created),
        )
        for one in held
    ]
    return h("div", h("h2", "Waiting for a decision", cls="sx-h2"), table(["takedown", "effect", "by", "asked"], lines, nowrap=(2, 3)),
             cls="sx-block")  # fmt: skip
