"""A conversation as instruction, input and response, and the prompts that the two forms of IFD make of it."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

ALPACA_PROMPT = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{}\n\n### Response:"
)
ALPACA_PROMPT_WITH_INPUT = (
    "Below is an instruction that describes a task, paired with an input that provides further context. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{}\n\n### Input:\n{}\n\n### Response:"
)


class Exchange(NamedTuple):
    """What the response answers. `given`: the input of an Alpaca-like triple, "" where there is none."""

    instruction: str
    given: str
    response: str


def last_exchange(messages: list[dict[str, Any]] | None) -> Exchange | None:
    """None where there is no assistant turn with text, or no text before it.

    One turn before the response (the published setting) gives its bare content, with the input apart where ingest
    noted one; several give "role: content" joined by blank lines, so that who said what is not lost.
    """
    turns = messages or []
    last = next((i for i in range(len(turns) - 1, -1, -1) if turns[i]["role"] == "assistant"), None)
    if last is None or not (response := turns[last]["content"]):
        return None
    before = [turn for turn in turns[:last] if turn["content"]]
    if not before:
        return None
    if len(before) > 1:
        return Exchange("\n\n".join(f"{turn['role']}: {turn['content']}" for turn in before), "", response)
    content, size = before[0]["content"], _input_chars(before[0])
    if not 0 < size < len(content):
        return Exchange(content, "", response)
    return Exchange(content[:-size].removesuffix("\n\n"), content[-size:], response)


def _input_chars(turn: dict[str, Any]) -> int:
    """Characters at the end of a turn that were the input field of its source; 0 where ingest noted none."""
    try:
        noted = json.loads(turn["meta"]) if turn.get("meta") else {}
    except ValueError:
        return 0
    size = noted.get("input_chars") if isinstance(noted, dict) else None
    return size if isinstance(size, int) else 0


def cherry_prompt(pair: Exchange) -> str:
    """What stands before the response in the conditioned pass of Cherry."""
    if pair.given:
        return ALPACA_PROMPT_WITH_INPUT.format(pair.instruction, pair.given)
    return ALPACA_PROMPT.format(pair.instruction)


def superfiltering_prompt(pair: Exchange) -> str:
    """What stands before the response in the conditioned pass of Superfiltering."""
    return f"{pair.instruction}\n{pair.given}\n" if pair.given else f"{pair.instruction}\n"
