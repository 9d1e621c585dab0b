"""One sample as people read it: documents, conversations, pairs, tasks, records."""

from __future__ import annotations

import json
from typing import Any

from ui.web.components import words
from ui.web.components.figures import count, size
from ui.web.components.markup import Markup, h
from ui.web.components.parts import caps, chip, pairs

LONGEST = 20_000
"""Characters of a text that are sent to the browser; what is left out is said."""


def content(row: dict[str, Any], kind: str) -> Markup:
    """The sample in the form of its kind."""
    if kind == "chat":
        return conversation(row.get("messages") or [])
    if kind == "preference":
        return _preference(row)
    if kind == "task":
        return _task(row)
    if kind == "knowledge":
        return _record(row)
    return document(row.get("text"))


def document(text: str | None) -> Markup:
    if text is None:
        return h("div", "no text", cls="sx-faint")
    return h("div", *_cut(text), cls="sx-doc")


def _cut(text: str) -> tuple[Any, ...]:
    if len(text) <= LONGEST:
        return (text,)
    return text[:LONGEST], h(
        "div", f"… {count(len(text) - LONGEST)} more characters of {size(len(text.encode()))}", cls="sx-more"
    )


def conversation(turns: list[dict[str, Any]], marked: dict[int, Markup] | None = None) -> Markup:
    """Turns in order. marked: contents to show in place of those of some turns."""
    made = [_turn(turn, (marked or {}).get(at)) for at, turn in enumerate(turns)]
    return h("div", made, cls="sx-turns") if made else h("div", "no turns", cls="sx-faint")


def _turn(turn: dict[str, Any], marked: Markup | None = None) -> Markup:
    role = turn.get("role") or "?"
    marks = []
    if turn.get("train") is not None:
        marks.append(chip("trained on" if turn["train"] else "no loss", "plain"))
    if turn.get("tool_call_id"):
        marks.append(chip(turn["tool_call_id"], "plain"))
    body = []
    if turn.get("reasoning"):
        body.append(h("details", h("summary", "reasoning"), h("div", *_cut(turn["reasoning"]), cls="sx-doc sx-soft")))
    if turn.get("content"):
        body.append(h("div", *((marked,) if marked is not None else _cut(turn["content"])), cls="sx-doc"))
    if turn.get("tool_calls"):
        body.append(h("pre", pretty(turn["tool_calls"]), cls="sx-pre"))
    return h(
        "div", h("div", caps(role), marks, cls="sx-row"), body, cls=f"sx-turn {role if role in ROLES else 'other'}"
    )


ROLES = ("system", "user", "assistant", "tool")


def _preference(row: dict[str, Any]) -> Markup:
    """Both sides beside each other; of turns that stand in the same place the words that differ are marked."""
    chosen, rejected = row.get("chosen") or [], row.get("rejected") or []
    marked = _marked(chosen, rejected)
    made = [
        h("div", h("div", caps(name), cls=f"sx-side-head {tone}"), conversation(turns, marks), cls="sx-side")
        for name, tone, turns, marks in (("chosen", "ok", chosen, marked[0]), ("rejected", "bad", rejected, marked[1]))
    ]
    prompt = row.get("messages") or []
    return h("div", conversation(prompt) if prompt else None, h("div", made, cls="sx-sides"), cls="sx-stack")


def _marked(
    chosen: list[dict[str, Any]], rejected: list[dict[str, Any]]
) -> tuple[dict[int, Markup], dict[int, Markup]]:
    """Contents of turns with the words that the other side has not; empty where they are too long."""
    left: dict[int, Markup] = {}
    right: dict[int, Markup] = {}
    for at, (one, other) in enumerate(zip(chosen, rejected)):
        a, b = one.get("content") or "", other.get("content") or ""
        if a == b or one.get("role") != other.get("role") or max(len(a), len(b)) > LONGEST:
            continue
        if held := words.sides(b, a):  # what only the rejected has is struck, what only the chosen has is new
            right[at], left[at] = held
    return left, right


def _task(row: dict[str, Any]) -> Markup:
    choices = row.get("choices") or []
    listed = h("ol", [h("li", choice) for choice in choices], type="A", cls="sx-choices") if choices else None
    answer = h(
        "div",
        h(
            "div",
            caps("answer"),
            chip(row["verifier"], "plain", "verifier") if row.get("verifier") else None,
            cls="sx-row",
        ),
        h("div", *_cut(str(row["answer"])), cls="sx-doc")
        if row.get("answer") is not None
        else h("span", "none", cls="sx-faint"),
        cls="sx-answer",
    )
    tools = (
        h("details", h("summary", "tools"), h("pre", pretty(row["tools"]), cls="sx-pre")) if row.get("tools") else None
    )
    return h("div", conversation(row.get("messages") or []), listed, answer, tools, cls="sx-stack")


def _record(row: dict[str, Any]) -> Markup:
    held = parsed(row.get("meta"))
    if not isinstance(held, dict):
        return document(row.get("text"))
    return pairs((name, _leaf(value)) for name, value in held.items())


def _leaf(value: Any) -> Any:
    if isinstance(value, (dict, list)):
        written = json.dumps(value, ensure_ascii=False)
        return h("span", written if len(written) <= 600 else written[:600] + " …", cls="sx-mono")
    return "–" if value is None or value == "" else str(value)


def parsed(text: str | None) -> Any:
    """JSON, or None where it is none."""
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None


def pretty(value: Any) -> str:
    """JSON (or a text that holds it) with indents; another text as it is."""
    held = parsed(value) if isinstance(value, str) else value
    return (
        value
        if held is None and isinstance(value, str)
        else json.dumps(held, indent=2, ensure_ascii=False, default=str)
    )


def preview(row: dict[str, Any], kind: str, length: int = 260) -> str:
    """The beginning of a sample on one line."""
    turns = row.get("messages") or []
    text = next((turn["content"] for turn in turns if turn.get("role") == "user" and turn.get("content")), None)
    begun = (text if kind in ("chat", "preference", "task") and text else row.get("text")) or ""
    return " ".join(begun[: 4 * length].split())[:length]


def fields(kind: str) -> list[str]:
    """Sample fields that `preview` reads."""
    return ["sample_id", "text"] + (["messages"] if kind in ("chat", "preference", "task") else [])


def formulas(row: dict[str, Any], kind: str) -> list[tuple[str, str]]:
    """(whose, text) of every part of a sample, for a view that draws formulas."""
    if kind in ("text", "knowledge"):
        return [("", (row.get("text") or "")[:LONGEST])]
    parts = [(turn.get("role") or "?", turn.get("content") or "") for turn in row.get("messages") or []]
    for side in ("chosen", "rejected"):
        parts += [(f"{side}, {turn.get('role') or '?'}", turn.get("content") or "") for turn in row.get(side) or []]
    if row.get("answer") is not None:
        parts.append(("answer", str(row["answer"])))
    return [(whose, text[:LONGEST]) for whose, text in parts if text]
