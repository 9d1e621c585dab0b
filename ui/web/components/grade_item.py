"""One item as a grader sees it: the sample, the rubric with its anchors as the form, and what the keys do."""

from __future__ import annotations

from typing import Any

from catalog.grades.edits import LONGEST as LONGEST_EDIT
from ui.web.components import samples
from ui.web.components.figures import count, number, stamp
from ui.web.components.markup import Markup, h, link
from ui.web.components.parts import caps, chip

MANY = 12
"""Values of a scale from which on they stand side by side, without their meanings."""
KEYS = "1234567890"
EDITABLE = 200_000
"""Characters of a response that the page offers to edit; longer ones are edited over HTTP or at the command line."""
HINTS = {
    "sample": ("digits", "choose", "↑ ↓", "criterion", "← →", "value", "Enter", "store", "s", "skip", "u", "undo", "n", "note"),
    "turn": ("digits", "choose", "↑ ↓", "criterion", "← →", "turn", "Enter", "store", "s", "skip", "u", "undo", "n", "note"),
    "span": ("digits", "choose", "m", "mark selection", "← →", "stretch", "Enter", "store", "s", "skip", "u", "undo"),
}  # fmt: skip


def asked(view: dict[str, Any]) -> list[dict[str, Any]]:
    """The questions as the page's script needs them: values as text, and the keys of each."""
    return [
        {"name": name, "values": [str(value) for value in values(body)], "keys": keys(body)}
        for name, body in view["questions"].items()
    ]


def values(body: dict[str, Any]) -> list[Any]:
    return list(body["of"]) if "of" in body else list(range(body["low"], body["high"] + 1))


def keys(body: dict[str, Any]) -> list[list[str]]:
    """Keys of each value: a scale's own digits where it has them, else the place; A, B and tie have letters too."""
    held = values(body)
    if "of" not in body and body["low"] >= 0 and body["high"] <= 9:
        return [[str(value)] for value in held]
    places = [[KEYS[at]] if at < len(KEYS) else [] for at in range(len(held))]
    if held == ["A", "B", "tie"]:
        return [[*place, letter] for place, letter in zip(places, "abt", strict=True)]
    return places


def desk(view: dict[str, Any], state: dict[str, Any]) -> Markup:
    """The whole of an item: sample on the left, form on the right."""
    shown = h("div", _samples(view), cls="sx-desk-sample", tabindex="0", role="region", aria_label="Sample")
    left = h("div", shown, _editor(view), cls="sx-desk-left")
    return h("div", left, _form(view, state), cls=f"sx-desk{' pair' if view['kind'] == 'pair' else ''}")


def _samples(view: dict[str, Any]) -> Any:
    if view["kind"] == "pair":
        return h(
            "div", [_side(name, row, view) for name, row in zip("AB", view["samples"], strict=True)], cls="sx-sides"
        )
    row = view["samples"][0]
    return [_origin(row), _content(row, view)]


def _side(name: str, row: dict[str, Any], view: dict[str, Any]) -> Markup:
    return h(
        "section", h("div", name, cls="sx-side-name"), _content(row, view), cls="sx-side", aria_label=f"sample {name}"
    )


def _content(row: dict[str, Any], view: dict[str, Any]) -> Markup:
    if view["target"] != "span":
        return samples.content(row, view["sample_kind"])
    text = row["text"] or ""
    cut = len(text) - samples.LONGEST
    more = h("div", f"… {count(cut)} more characters", cls="sx-more") if cut > 0 else None
    return h("div", h("div", text[: samples.LONGEST], cls="sx-doc", data_span_text=True), more)


def _origin(row: dict[str, Any]) -> Markup:
    """Which sample it is, small: where it is from may lead a grader, so it is in the tooltip."""
    return h("div", h("span", row["sample_id"][:8], cls="sx-mono sx-faint", title=row["sample_id"]),
             h("span", f"{count(len(row.get('text') or ''))} characters", cls="sx-faint"), cls="sx-row sx-desk-origin")  # fmt: skip


def response(view: dict[str, Any]) -> str | None:
    """The words that may be written anew on the page; None where there are none, or more than a page should hold."""
    where, row = view["response"], view["samples"][0]
    if where is None:
        return None
    name, _, at = where.partition(":")
    turns = {"turn": "messages", "chosen": "chosen"}.get(name)
    words = (row[turns][int(at)]["content"] if turns else row["text"]) or ""
    return words if len(words) <= EDITABLE else None


def _editor(view: dict[str, Any]) -> Markup | None:
    """Where a better response is written; the page's script fills it and opens it."""
    if response(view) is None:
        return None
    what = "A better text" if view["response"] == "" else "A better response"
    where = {"": "", "chosen": ", for the chosen answer"}.get(
        view["response"].partition(":")[0], ", for the assistant's last turn"
    )
    words = "Stored with your grade; published, it is a new sample, and this one stays as it is. Ctrl Enter stores, Esc leaves the box."
    return h(
        "section",
        h("div", h("b", what), h("span", where, cls="sx-soft"), cls="sx-desk-edit-head"),
        h("textarea", data_edit=True, aria_label=what, maxlength=str(LONGEST_EDIT), spellcheck="true", rows="9", cls="sx-input"),
        h("div", h("span", words, cls="sx-soft"), _button("unedit", "Keep the original", ""), cls="sx-between"),
        data_edit_box=True, hidden=True, aria_label=what, cls="sx-desk-edit", id="sx-desk-edit",
    )  # fmt: skip


def _form(view: dict[str, Any], state: dict[str, Any]) -> Markup:
    parts = view["target"] in ("turn", "span")
    heading = h("div", h("b", "", data_unit=True), cls="sx-row") if parts else None
    marks = (
        h("div", h("div", cls="sx-wrap", data_spans=True), _button("mark", "Mark selection", "m"), cls="sx-between")
        if view["target"] == "span"
        else None
    )
    fields = [
        _question(name, body, view["suggestions"].get(name) if not view["mine"] else None)
        for name, body in view["questions"].items()
    ]
    return h(
        "section",
        h("div", view["about"], cls="sx-desk-about") if view["about"] else None,
        heading,
        marks,
        h("div", fields, cls="sx-desk-fields"),
        h("input", type="text", data_note=True, placeholder="note (n)", aria_label="Note", maxlength="2000", cls="sx-input"),
        h("div", state.get("focus") or "", cls="sx-desk-say", role="status", data_say=True),
        h("div", _button("put", "Store", "Enter", "go"), _button("skip", "Skip", "s"), _button("undo", "Undo", "u"),
          _edit_button(view), cls="sx-desk-buttons"),
        _hints(view["target"]),
        h("div", f"Held for {view['grader']} until {stamp(view['expires'])[11:]} UTC", cls="sx-faint sx-desk-held"),
        cls="sx-desk-form", aria_label="Grade",
    )  # fmt: skip


def _button(do: str, label: str, key: str, tone: str = "") -> Markup:
    shown = h("kbd", key) if key else None
    return h("button", label, shown, type="button", cls=f"sx-do {tone}".strip(), data_do=do)


def _edit_button(view: dict[str, Any]) -> Markup | None:
    if response(view) is None:
        return None
    label = "Edit the text" if view["response"] == "" else "Edit the response"
    return h("button", label, h("kbd", "e"), type="button", cls="sx-do", data_do="edit", aria_expanded="false",
             aria_controls="sx-desk-edit")  # fmt: skip


def _question(name: str, body: dict[str, Any], suggestion: Any) -> Markup:
    held, marks = values(body), keys(body)
    wide = "of" not in body and len(held) > MANY
    anchors = {str(value): meaning for value, meaning in (body.get("anchors") or {}).items()}
    hint = chip(f"model: {number(suggestion)}", "accent", "what a model said") if suggestion is not None else None
    options = [
        _option(name, str(value), mark, anchors.get(str(value)), "of" in body) for value, mark in zip(held, marks)
    ]
    legend = h("legend", h("span", name.replace("_", " ")), hint)
    about = h("div", body["about"], cls="sx-faint sx-desk-why") if body.get("about") else None
    return h(
        "fieldset", legend, about, h("div", options, cls="sx-options wide" if wide else "sx-options"), data_name=name
    )


def _option(name: str, value: str, marks: list[str], meaning: str | None, label: bool) -> Markup:
    """A value to choose: its key, and what it means. A scale's digit is its own key."""
    key = marks[-1].upper() if marks and marks[-1].isalpha() else marks[0] if marks else ""
    shown = h("span", value if label else meaning or "", cls="sx-option-text")
    return h(
        "label",
        h("input", type="radio", name=name, value=value),
        h("kbd", value if not label else key),
        shown,
        cls="sx-option",
    )


def _hints(target: str) -> Markup:
    words = HINTS[target]
    shown = [h("span", h("kbd", key), " ", what) for key, what in zip(words[::2], words[1::2], strict=True)]
    return h("div", shown, cls="sx-desk-hints")


def strip(state: dict[str, Any], name: str) -> Markup:
    """One line above the item: how many are done, and what became of the last one."""
    done = h("span", h("b", count(state["mine"])), " graded by you", cls="sx-soft")
    return h("div", done, _last(state.get("last")), cls="sx-desk-strip")


def _last(last: dict[str, Any] | None) -> Any:
    if not last:
        return None
    said = [h("span", what, cls="sx-mono") for what in last["words"]]
    words = [h("span", last["did"], cls="sx-faint"), *said]
    for question, value in last.get("suggestions", {}).items():
        own = last["values"].get(question)
        same = str(own) == str(value) or (isinstance(value, float) and str(own) == str(round(value)))
        label = (
            f"model {question.replace('_', ' ')} {number(value)}"
            if len(last["suggestions"]) > 1
            else f"model said {number(value)}"
        )
        words.append(chip(label, "ok" if same else "warn", "shown once your own grade was stored"))
    return h("span", words, cls="sx-row")


def nothing_left(line: dict[str, Any]) -> Markup:
    """No item for this grader: why, and where to go."""
    name = line["campaign"]
    if line["out"]:
        why = f"Others hold {count(line['out'])} of the items you could still grade; what they leave comes back when their time runs out."
    elif line["complete"] + line["in_bulk"] >= line["items"]:
        why = "Every item has all its grades."
    else:
        why = "You have seen every item; others still grade theirs."
    links = [h("a", "Results", cls="sx-step", **link("grade", campaign=name, tab="results")),
             h("a", "Conflicts", cls="sx-step", **link("grade", campaign=name, tab="conflicts"))]  # fmt: skip
    return h(
        "div",
        h("h2", "Nothing is left for you to grade"),
        h("p", f"{count(line['mine'])} items are graded by you. {why}"),
        h("div", links, cls="sx-row"),
        cls="sx-empty",
    )


def side_note(heading: Any, words: Any) -> Markup:
    body = h("div", h("div", heading, cls="sx-head"), h("div", words, cls="sx-soft") if words else None)
    return h("div", body, cls="sx-note warn", role="alert")


__all__ = ["asked", "caps", "desk", "keys", "nothing_left", "response", "side_note", "strip", "values"]
