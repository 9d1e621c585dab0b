"""Conversations: lists of messages, and pairs of an instruction and its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from catalog.ingest.dialect import Convert, Row, dialect
from catalog.ingest.records import WRONG_TYPE
from catalog.ingest.turns import Unusable, has_text, message, normalise, optional_text, render, text_of, to_json

PROMPT = "prompt instruction question query user_prompt input problem human user source_text request task utterance"
RESPONSE = "response output answer completion solution assistant reply target bot gpt target_text result label_text"
SYSTEM = "system system_prompt system_message"


def _turn_lists(rows: Sequence[Row], fields: Mapping[str, str]) -> str | None:
    name = fields["messages"]
    good = 0
    for row in rows:
        try:
            normalise(row.get(name), name)
            good += 1
        except Unusable:
            pass
    return None if good * 2 >= len(rows) else f"{name} is a list of turns in {good} of {len(rows)} rows"


def _messages(fields: dict[str, str]) -> Convert:
    name, system = fields["messages"], fields.get("system")

    def convert(row: Row) -> Row:
        turns = normalise(row.get(name), name)
        del row[name]
        if turns[0]["role"] != "system" and (words := optional_text(row, system)):
            turns.insert(0, message("system", words))
        return {"text": render(turns), "messages": turns}

    return convert


@dialect(
    "messages",
    kind="chat",
    rank=20,
    roles={"messages": "messages conversation dialogue dialog turns chat chat_messages history", "system": SYSTEM},
    needs="messages",
    check=_turn_lists,
)
def messages(fields: dict[str, str]) -> Convert:
    """OpenAI messages: role and content (text or parts), tool calls, tool answers, reasoning."""
    return _messages(fields)


@dialect(
    "sharegpt",
    kind="chat",
    rank=21,
    roles={"messages": "conversations", "system": SYSTEM},
    needs="messages",
    check=_turn_lists,
    strict=True,
)
def sharegpt(fields: dict[str, str]) -> Convert:
    """ShareGPT conversations: from (human, gpt, system, tool ...) and value."""
    return _messages(fields)


def _pair(fields: dict[str, str]) -> Convert:
    prompt, response = fields["prompt"], fields["response"]
    more, system = fields.get("input"), fields.get("system")

    def convert(row: Row) -> Row:
        question, answer = text_of(row, prompt), text_of(row, response)
        turns: list[dict[str, Any]] = []
        if has_text(words := optional_text(row, system)):
            turns.append(message("system", words or ""))
        turns.append(user_turn(question, optional_text(row, more)))
        turns.append(message("assistant", answer))
        return {"text": render(turns), "messages": turns}

    return convert


def user_turn(question: str, given: str | None) -> dict[str, Any]:
    """Instruction and input as one turn; where the input begins is kept, because some scores need it apart."""
    if not has_text(given):
        return message("user", question)
    return message("user", f"{question}\n\n{given}", meta=to_json({"input_chars": len(given or "")}))


def _pair_strings(rows: Sequence[Row], fields: Mapping[str, str]) -> str | None:
    for role in ("prompt", "response"):
        held = sum(isinstance(row.get(fields[role]), str) for row in rows)
        if held * 2 < len(rows):
            return f"{fields[role]} is a string in {held} of {len(rows)} rows"
    return None


@dialect(
    "alpaca",
    kind="chat",
    rank=40,
    roles={"prompt": "instruction", "input": "input", "response": "output", "system": SYSTEM},
    needs="prompt response",
    check=_pair_strings,
    strict=True,
)
def alpaca(fields: dict[str, str]) -> Convert:
    """Alpaca triples: instruction, input, output."""
    return _pair(fields)


@dialect(
    "dolly",
    kind="chat",
    rank=41,
    roles={"prompt": "instruction", "input": "context", "response": "response", "system": SYSTEM},
    needs="prompt input response",
    check=_pair_strings,
    strict=True,
)
def dolly(fields: dict[str, str]) -> Convert:
    """Dolly: instruction, context, response."""
    return _pair(fields)


@dialect(
    "prompt_response",
    kind="chat",
    rank=42,
    roles={"prompt": PROMPT, "response": RESPONSE, "input": "context input passage", "system": SYSTEM},
    needs="prompt response",
    check=_pair_strings,
)
def prompt_response(fields: dict[str, str]) -> Convert:
    """A prompt and its response, or a question and its answer."""
    return _pair(fields)


@dialect(
    "single_turn",
    kind="chat",
    rank=90,
    roles={"prompt": PROMPT, "system": SYSTEM},
    needs="prompt",
    forced=True,
)
def single_turn(fields: dict[str, str]) -> Convert:
    """Only the user's turn, when the kind chat is asked for."""
    name, system = fields["prompt"], fields.get("system")

    def convert(row: Row) -> Row:
        words = optional_text(row, system)
        turns = [message("system", words)] if words is not None and has_text(words) else []
        turns.append(message("user", text_of(row, name)))
        return {"text": render(turns), "messages": turns}

    return convert


def turns_of(value: Any, name: str, role: str) -> list[dict[str, Any]]:
    """A string as one turn of a role, or a list of turns."""
    if isinstance(value, str):
        if not has_text(value):
            raise Unusable("empty text", f"{name} is empty")
        return [message(role, value)]
    if isinstance(value, list | dict):
        return normalise(value, name)
    raise Unusable(WRONG_TYPE, f"{name} is neither a string nor a list of turns")
