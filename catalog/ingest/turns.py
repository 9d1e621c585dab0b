"""Conversations in any common dress become one message schema, and messages become plain text.

Kept apart: tool calls (in OpenAI form, as JSON), the reasoning of the assistant, content parts that are not text, and
every field nobody knows (JSON in the message's `meta`). Nothing is trimmed or re-worded.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import orjson

from catalog.ingest.records import EMPTY, MISSING_FIELD, WRONG_TYPE

ROLES = {
    "human": "user", "user": "user", "prompter": "user", "instruction": "user", "question": "user", "client": "user",
    "gpt": "assistant", "assistant": "assistant", "chatgpt": "assistant", "bot": "assistant", "model": "assistant",
    "bing": "assistant", "bard": "assistant", "ai": "assistant", "answer": "assistant", "function_call": "assistant",
    "system": "system", "developer": "system",
    "tool": "tool", "function": "tool", "observation": "tool", "ipython": "tool", "tool_response": "tool",
}  # fmt: skip
ROLE_FIELDS = ("role", "from", "speaker", "author", "user")
CONTENT_FIELDS = ("content", "value", "text", "message", "body")
REASONING_FIELDS = ("reasoning_content", "reasoning", "thinking", "thought")
THINK = ("<think>", "</think>")


class Unusable(Exception):
    """Why a record cannot become a sample: (reason, detail)."""


def to_json(value: Any) -> str:
    """JSON of a value of a source: NaN is null, what JSON has no form for is its string."""
    return json_bytes(value).decode()


def json_bytes(value: Any) -> bytes:
    try:
        return orjson.dumps(value, default=_plain, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:  # integers beyond 64 bits, or lone surrogates, which fail below as they should
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"hex": value.hex()}
    return value.tolist() if hasattr(value, "tolist") else str(value)


def message(role: str, content: str, **more: Any) -> dict[str, Any]:
    """A message of the schema; null fields are left out, Arrow fills them."""
    return {"role": role, "content": content, **more}


def normalise(turns: Any, name: str = "messages") -> list[dict[str, Any]]:
    """A list of turns in OpenAI, ShareGPT or a similar form as messages; `Unusable` when it is none."""
    if isinstance(turns, str):
        turns = _parsed(turns, name)
    if isinstance(turns, dict):
        turns = [turns]
    if not isinstance(turns, list):
        raise Unusable(
            MISSING_FIELD if turns is None else WRONG_TYPE, f"{name} is {type_name(turns)}, not a list of turns"
        )
    if not turns:
        raise Unusable(EMPTY, f"{name} has no turns")
    out = [_turn(turn, f"{name}[{at}]") for at, turn in enumerate(turns)]
    if not any(turn.get("tool_calls") or has_text(turn.get("content")) or turn.get("parts") for turn in out):
        raise Unusable(EMPTY, f"every turn of {name} is empty")
    return out


def _parsed(text: str, name: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise Unusable(WRONG_TYPE, f"{name} is a string, not a list of turns") from None


def _turn(turn: Any, name: str) -> dict[str, Any]:
    if not isinstance(turn, dict):
        raise Unusable(WRONG_TYPE, f"{name} is {type_name(turn)}, not an object")
    rest = {field: value for field, value in turn.items() if value is not None}
    role = _take(rest, ROLE_FIELDS)
    if not isinstance(role, str):
        raise Unusable(WRONG_TYPE, f"{name} has no role; one of {', '.join(ROLE_FIELDS)} is expected")
    known = ROLES.get(role.lower())
    out: dict[str, Any] = {"role": known or role}
    _content(out, _take(rest, CONTENT_FIELDS), name)
    _calls(out, rest, role)
    _reasoning(out, rest)
    if isinstance(rest.get("train"), bool):
        out["train"] = rest.pop("train")
    elif rest.get("weight") in (0, 1):  # OpenAI's fine-tuning format
        out["train"] = bool(rest.pop("weight"))
    if known and role.lower() in ("developer", "function_call", "observation", "ipython", "function"):
        rest["role"] = role
    if rest:
        out["meta"] = to_json(rest)
    return out


def _take(rest: dict[str, Any], names: Iterable[str]) -> Any:
    for name in names:
        if name in rest:
            return rest.pop(name)
    return None


def _content(out: dict[str, Any], content: Any, name: str) -> None:
    if content is None:
        return
    if isinstance(content, str):
        out["content"] = content
    elif isinstance(content, list):
        texts = [_part_text(part) for part in content]
        out["content"] = "\n".join(text for text in texts if text is not None)
        out["parts"] = to_json(content)
    elif isinstance(content, dict):  # some tools answer with an object
        out["content"] = out["parts"] = to_json(content)
    else:
        raise Unusable(WRONG_TYPE, f"content of {name} is {type_name(content)}, not a string")


def _part_text(part: Any) -> str | None:
    if isinstance(part, str):
        return part
    if isinstance(part, dict) and part.get("type", "text") in ("text", "input_text", "output_text"):
        return part.get("text") if isinstance(part.get("text"), str) else None
    return None


def _calls(out: dict[str, Any], rest: dict[str, Any], role: str) -> None:
    """Tool calls of OpenAI, the older function_call, and ShareGPT's function_call turns."""
    if calls := rest.pop("tool_calls", None):
        out["tool_calls"] = calls if isinstance(calls, str) else to_json(calls)
    elif call := rest.pop("function_call", None):
        out["tool_calls"] = to_json([{"type": "function", "function": call}])
    elif role == "function_call" and isinstance(out.get("content"), str):
        with suppress(orjson.JSONDecodeError):
            out["tool_calls"] = to_json([{"type": "function", "function": orjson.loads(out["content"])}])
    if isinstance(rest.get("tool_call_id"), str):
        out["tool_call_id"] = rest.pop("tool_call_id")


def _reasoning(out: dict[str, Any], rest: dict[str, Any]) -> None:
    """Reasoning in a field of its own, or in front of the answer between think tags (noted, so that it can go back)."""
    for name in REASONING_FIELDS:
        if isinstance(rest.get(name), str):
            out["reasoning"] = rest.pop(name)
            return
    content = out.get("content")
    if out["role"] == "assistant" and isinstance(content, str) and content.startswith(THINK[0]) and THINK[1] in content:
        out["reasoning"], out["content"] = content[len(THINK[0]) :].split(THINK[1], 1)
        rest["reasoning_tag"] = "think"


def transcript(text: str, name: str) -> list[dict[str, Any]]:
    r"""Turns of a "\n\nHuman: ...\n\nAssistant: ..." transcript (Bai et al., arXiv:2204.05862)."""
    marks = []
    for role, mark in (("user", "\n\nHuman:"), ("assistant", "\n\nAssistant:")):
        at = text.find(mark)
        while at >= 0:
            marks.append((at, at + len(mark), role))
            at = text.find(mark, at + 1)
    marks.sort()
    if not marks or text[: marks[0][0]].strip():
        raise Unusable(WRONG_TYPE, f"{name} is not a Human/Assistant transcript")
    ends = [begin for begin, _, _ in marks[1:]] + [len(text)]
    return [message(role, text[start:end].removeprefix(" ")) for (_, start, role), end in zip(marks, ends, strict=True)]


def is_transcript(text: Any) -> bool:
    return isinstance(text, str) and text.lstrip("\n").startswith("Human:") and "\n\nAssistant:" in text


def split_prefix(left: list[dict], right: list[dict]) -> tuple[list[dict], list[dict], list[dict]]:
    """(turns both begin with, the rest of the left, the rest of the right); each rest holds at least one turn."""
    most = min(len(left), len(right)) - 1
    same = 0
    while same < most and left[same] == right[same]:
        same += 1
    return left[:same], left[same:], right[same:]


def render(messages: Iterable[dict[str, Any]]) -> str:
    """Messages as plain text: "role: content" turns joined by a blank line."""
    turns = []
    for turn in messages:
        body = turn.get("content") or ""
        if turn.get("tool_calls") and turn.get("content") is None:
            body = turn["tool_calls"]
        turns.append(f"{turn['role']}: {body}")
    return "\n\n".join(turns)


def lettered(choices: Iterable[str]) -> str:
    """Choices as lines "A. ...", "B. ..."; beyond Z they are numbered."""
    return "\n".join(f"{chr(65 + at) if at < 26 else at + 1}. {choice}" for at, choice in enumerate(choices))


def has_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value) and not value.isspace()


def text_of(row: dict[str, Any], field: str) -> str:
    """A non-empty string of a row, taken out of it; `Unusable` says what is wrong otherwise."""
    value = optional_text(row, field)
    if value is None:
        known = field in row
        raise Unusable(EMPTY if known else MISSING_FIELD, f"{field} is null" if known else f"no field {field!r}")
    if not value or value.isspace():
        raise Unusable(EMPTY, f"{field} is empty")
    return value


def optional_text(row: dict[str, Any], field: str | None) -> str | None:
    """A string of a row, taken out of it; None where it is null or not there."""
    value = row.get(field) if field else None
    if field is None or value is None:
        return None
    if not isinstance(value, str):
        raise Unusable(WRONG_TYPE, f"{field} is {type_name(value)}, not a string")
    del row[field]
    return value


def scalar(value: Any, field: str) -> str:
    """A string or number of a source as a string: answers are often bare numbers."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unusable(WRONG_TYPE, f"{field} is {type_name(value)}, not a string or number")
    return str(value)


def type_name(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", int: "a number", float: "a number", bool: "a boolean"}
    return "null" if value is None else names.get(type(value), type(value).__name__)
