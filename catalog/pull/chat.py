"""Chats as tokens with a loss mask, by a tokenizer's own template.

A template that marks what the model writes (`{% generation %}`) says itself which characters the loss covers. For one that
does not, turn i of the assistant is what the conversation up to it has beyond the conversation before it with the prompt
to answer; a template that rewrites earlier turns has no such prefix and is refused. The text is tokenised once, as a
whole, and a token counts when it shares a character with a turn. Turns with `train` false have no loss.

A template that prints today's date would make a sequence depend on the day: pin it with `date`.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from datetime import date as Date
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pyarrow as pa

from catalog.errors import BadInput, Missing
from catalog.pull.tokens import PinnedTokenizer, slices

if TYPE_CHECKING:
    from catalog.pull.reader import MixReader

BUNDLED = ("chatml", "llama3", "mistral")
OPEN, CLOSE = "\ue0f0strata<\ue0f0", "\ue0f0strata>\ue0f0"
"""Mark the bounds of a generated stretch while a template is rendered; refused in texts."""


@dataclass(frozen=True)
class ChatTemplate:
    """A template and the special tokens it prints. date: what a template that asks for the day is told."""

    text: str
    named: dict[str, str] = field(default_factory=dict)
    date: str | None = None

    @property
    def digest(self) -> str:
        return hashlib.sha256(orjson.dumps([self.text, sorted(self.named.items()), self.date])).hexdigest()

    @property
    def marked(self) -> bool:
        """Whether it says itself what the model writes."""
        return re.search(r"\{%[-+]?\s*generation\s*[-+]?%\}", self.text) is not None

    def columns(self, reader: MixReader) -> list[str]:
        held = {name for own in reader.sources.own for name in own}
        if "messages" not in held:
            raise BadInput(f"{reader.ref} has no messages to put into a chat template; pack it as text")
        return [name for name in ("messages", "tools") if name in held]

    def encode(self, rows: pa.Table, tokenizer: PinnedTokenizer) -> list[tuple[np.ndarray, np.ndarray]]:
        """(ids, loss mask) of each row; a row without messages has no tokens."""
        messages = rows.column("messages").to_pylist()
        tools = rows.column("tools").to_pylist() if "tools" in rows.schema.names else [None] * len(messages)
        made = [self.render(*given) if given[0] else ("", []) for given in zip(messages, tools, strict=True)]
        out: list[tuple[np.ndarray, np.ndarray]] = []
        for begin, end in slices([len(text) for text, _ in made]):
            found = tokenizer.raw.encode_batch([text for text, _ in made[begin:end]], add_special_tokens=False)
            for encoding, (_, spans) in zip(found, made[begin:end], strict=True):
                out.append((np.array(encoding.ids, np.int32), _mask(encoding.offsets, spans)))
        return out

    def render(self, messages: list[dict[str, Any]], tools: Any = None) -> tuple[str, list[tuple[int, int]]]:
        """The text of a conversation, and the stretches of it that the loss covers."""
        turns = [plain_message(message) for message in messages]
        held = _parsed(tools)
        wanted = [m.get("train") is not False for m in messages if m.get("role") == "assistant"]
        text = self._print(turns, held)
        if self.marked:
            text, spans = _unmarked(text)
            spans = [span for span in spans if span[1] > span[0]]
        else:
            spans = self._by_prefix(turns, held, text)
        if not all(wanted):
            if len(spans) != len(wanted):
                raise BadInput(
                    f"the template prints {len(spans)} answers of {len(wanted)} assistant turns, so `train` of a turn "
                    "cannot be followed; leave `train` empty, or use a template with one generation block a turn"
                )
            spans = [span for span, keep in zip(spans, wanted, strict=True) if keep]
        return text, spans

    def _by_prefix(self, turns: list[dict[str, Any]], tools: Any, text: str) -> list[tuple[int, int]]:
        spans = []
        for at, turn in enumerate(turns):
            if turn["role"] != "assistant":
                continue
            before = self._print(turns[:at], tools, prompt=True)
            after = self._print(turns[: at + 1], tools)
            if not (text.startswith(after) and after.startswith(before)):
                raise BadInput(
                    f"the chat template rewrites earlier turns (turn {at + 1} of {len(turns)} is no prefix), so what the "
                    "model wrote cannot be told apart; give a template with {% generation %} around its answers"
                )
            spans.append((len(before), len(after)))
        return spans

    def _print(self, turns: list[dict[str, Any]], tools: Any, prompt: bool = False) -> str:
        from jinja2 import TemplateError

        try:
            return _compiled(self.text, self.date).render(
                messages=turns, tools=tools, documents=None, add_generation_prompt=prompt, **self.named
            )
        except (TemplateError, TypeError, KeyError, IndexError, AttributeError) as error:
            raise BadInput(f"the chat template cannot print a conversation: {str(error)[:160]}") from None


def open_template(
    where: str | Path | PinnedTokenizer | ChatTemplate, tokenizer: PinnedTokenizer, *, date: str | None = None
) -> ChatTemplate:
    """A template by name (chatml, llama3, mistral), file, text, or the one that comes with a tokenizer."""
    if isinstance(where, ChatTemplate):
        return where
    if isinstance(where, PinnedTokenizer):
        if where.template is None:
            raise BadInput(f"tokenizer {where.path} has no chat template; give one: {', '.join(BUNDLED)} or a file")
        text = where.template
    elif str(where) in BUNDLED:
        text = resources.files("catalog.pull").joinpath("templates", f"{where}.jinja").read_text("utf-8")
    elif "{%" in str(where) or "{{" in str(where):
        text = str(where)
    elif Path(where).is_file():
        text = Path(where).read_text("utf-8")
    else:
        raise BadInput(f"chat template {str(where)!r} is none of {', '.join(BUNDLED)} and no file")
    if date is not None:
        Date.fromisoformat(date)
    made = ChatTemplate(text, tokenizer.named, date)
    _compiled(text, date)
    return made


def plain_message(message: dict[str, Any]) -> dict[str, Any]:
    """A message as templates know it: arguments of calls as objects, no empty fields."""
    turn = {"role": message["role"], "content": message.get("content") or ""}
    if calls := _parsed(message.get("tool_calls")):
        turn["tool_calls"] = [_call(call) for call in calls]
    if message.get("tool_call_id"):
        turn["tool_call_id"] = message["tool_call_id"]
    if message.get("reasoning"):
        turn["reasoning_content"] = message["reasoning"]
    return turn


def _call(call: dict[str, Any]) -> dict[str, Any]:
    function = dict(call.get("function") or {})
    function["arguments"] = _parsed(function.get("arguments"))
    return {**call, "function": function}


def _parsed(value: Any) -> Any:
    """A JSON text as what it says; anything else, and what is no JSON, as it is."""
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except ValueError:
        return value


def _mask(offsets: list[tuple[int, int]], spans: list[tuple[int, int]]) -> np.ndarray:
    """Tokens that share a character with a span."""
    bounds = np.array(offsets, np.int64).reshape(-1, 2)
    out = np.zeros(len(bounds), bool)
    for begin, end in spans:
        out |= (bounds[:, 0] < end) & (bounds[:, 1] > begin)
    return out


def _unmarked(text: str) -> tuple[str, list[tuple[int, int]]]:
    """The text without marks, and where the marked stretches are."""
    parts, spans, length = [], [], 0
    for number, chunk in enumerate(text.split(OPEN)):
        inside, found, outside = chunk.partition(CLOSE)
        if bool(found) != (number > 0) or CLOSE in outside:
            raise BadInput("a conversation holds the characters that mark generated text; remove U+E0F0 from it")
        if found:
            spans.append((length, length + len(inside)))
        parts += [inside, outside]
        length += len(inside) + len(outside)
    return "".join(parts), spans


_HELD: dict[tuple[str, str | None], Any] = {}


def _compiled(text: str, date: str | None) -> Any:
    """A template in a sandbox, with what templates of models expect to find."""
    if (text, date) not in _HELD:
        try:
            from jinja2 import TemplateSyntaxError
        except ModuleNotFoundError:
            raise Missing("chat templates need jinja2: pip install 'strata-catalog[pack]'") from None
        try:
            _HELD[text, date] = _environment(date).from_string(text)
        except TemplateSyntaxError as error:
            raise BadInput(f"the chat template is not valid, line {error.lineno}: {error.message}") from None
    return _HELD[text, date]


def _environment(date: str | None) -> Any:
    import json

    from jinja2 import TemplateError, nodes
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """`{% generation %} ... {% endgeneration %}`: what the model writes."""

        tags = frozenset({"generation"})  # type: ignore[assignment]

        def parse(self, parser: Any) -> nodes.Node:
            line = next(parser.stream).lineno
            body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
            return nodes.CallBlock(self.call_method("marked"), [], [], body).set_lineno(line)

        def marked(self, caller: Any) -> str:
            return f"{OPEN}{caller()}{CLOSE}"

    def tojson(value: Any, ensure_ascii: bool = False, indent: int | None = None, separators: Any = None,
               sort_keys: bool = False) -> str:  # fmt: skip
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def refuse(message: str) -> None:
        raise TemplateError(message)

    def today(pattern: str) -> str:
        if date is None:
            raise BadInput("the chat template prints today's date; pin one: open_template(..., date='2025-01-31')")
        return datetime.fromisoformat(date).strftime(pattern)

    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    made.filters["tojson"] = tojson
    made.globals.update(raise_exception=refuse, strftime_now=today)
    return made
