"""A conversation as (instruction, response): the last assistant turn and all that came before it."""

from __future__ import annotations

from typing import Any


def instruction_and_response(messages: list[dict[str, Any]] | None) -> tuple[str, str] | None:
    """None where there is no assistant turn with text, or no text before it.

    One turn before the response (the published setting) gives its bare content; several give "role: content" joined by
    blank lines, so that who said what is not lost.
    """
    turns = messages or []
    last = next((i for i in range(len(turns) - 1, -1, -1) if turns[i]["role"] == "assistant"), None)
    if last is None or not (response := turns[last]["content"]):
        return None
    before = [turn for turn in turns[:last] if turn["content"]]
    if not before:
        return None
    if len(before) == 1:
        return before[0]["content"], response
    return "\n\n".join(f"{turn['role']}: {turn['content']}" for turn in before), response
