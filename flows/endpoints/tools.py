"""Tool calls in a conversation, as OpenAI-compatible servers and Anthropic write them.

In a `Question` the turns of a conversation are (role, text): "user", "assistant", and with tools also "calls" (JSON
[{"id", "name", "args"}], what the model called, after its text) and "result" (JSON {"id", "name", "text"}). An answer that
calls tools has finish "tool_calls" and the text {"text": ..., "calls": [{"id", "name", "args"}]}.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

FINISH = "tool_calls"
Turns = Sequence[tuple[str, str]]


def openai_tools(tools: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """tools: {"name", "description", "schema"} each."""
    return [{"type": "function",
             "function": {"name": tool["name"], "description": tool["description"], "parameters": tool["schema"]}}
            for tool in tools]  # fmt: skip


def anthropic_tools(tools: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"name": tool["name"], "description": tool["description"], "input_schema": tool["schema"]} for tool in tools
    ]


def openai_turns(turns: Turns) -> list[dict[str, Any]]:
    """Messages of a chat completion; calls join the assistant's message before them."""
    out: list[dict[str, Any]] = []
    for role, text in turns:
        if role == "calls":
            calls = [{"id": call["id"], "type": "function",
                      "function": {"name": call["name"], "arguments": orjson.dumps(call["args"]).decode()}}
                     for call in orjson.loads(text)]  # fmt: skip
            before = out.pop() if out and out[-1]["role"] == "assistant" else {"role": "assistant", "content": None}
            out.append({**before, "tool_calls": calls})
        elif role == "result":
            held = orjson.loads(text)
            out.append({"role": "tool", "tool_call_id": held["id"], "content": held["text"]})
        else:
            out.append({"role": role, "content": text})
    return out


def anthropic_turns(turns: Turns) -> list[dict[str, Any]]:
    """Messages of Anthropic's API: results of tools are blocks of one user message."""
    out: list[dict[str, Any]] = []
    for role, text in turns:
        if role == "calls":
            blocks = [{"type": "tool_use", "id": call["id"], "name": call["name"], "input": call["args"]}
                      for call in orjson.loads(text)]  # fmt: skip
            _join(out, "assistant", blocks)
        elif role == "result":
            held = orjson.loads(text)
            _join(out, "user", [{"type": "tool_result", "tool_use_id": held["id"], "content": held["text"]}])
        else:
            _join(out, role, [{"type": "text", "text": text}])
    return out


def _join(out: list[dict[str, Any]], role: str, blocks: list[dict[str, Any]]) -> None:
    if out and out[-1]["role"] == role:
        out[-1]["content"] += blocks
    else:
        out.append({"role": role, "content": blocks})


def called(text: str | None, calls: Sequence[tuple[str, str, Any]]) -> str:
    """The text of an answer that calls tools. calls: (id, name, arguments as JSON text or as an object)."""
    held = []
    for identity, name, args in calls:
        read = orjson.loads(args or "{}") if isinstance(args, str) else args
        if not isinstance(read, dict):
            raise ValueError(f"arguments of {name} are no object")
        held.append({"id": identity, "name": name, "args": read})
    return orjson.dumps({"text": text or "", "calls": held}).decode()
