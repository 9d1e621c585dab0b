"""A catalog's endpoint as a model of pydantic-ai: each request is reserved, paid, stored and replayed by flows.endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from pydantic_ai.exceptions import ModelHTTPError, UserError
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ModelResponsePart,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from flows.endpoints.ask import Reply, ask
from flows.endpoints.registry import endpoint
from flows.endpoints.tools import FINISH
from flows.endpoints.wire import Question

if TYPE_CHECKING:
    from catalog.catalog import Catalog


class EndpointModel(Model):
    """Asks within a budget. system: the prompt; longest: tokens that one answer may have."""

    def __init__(
        self, cat: Catalog, name: str, budget: str, *, purpose: str, system: str, run_id: str, longest: int
    ) -> None:
        super().__init__()
        self.cat, self.endpoint_name, self.budget = cat, name, budget
        self.purpose, self.prompt, self.run_id, self.longest = purpose, system, run_id, longest
        self.held = endpoint(cat, name)
        self.cached = 0

    @property
    def model_name(self) -> str:
        return self.held.model

    @property
    def system(self) -> str:
        return "strata"

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """One question to the endpoint; a stored answer is returned without asking."""
        from asyncio import to_thread

        _, params = self.prepare_request(model_settings, model_request_parameters)
        tools = tuple(
            {"name": tool.name, "description": tool.description or "", "schema": tool.parameters_json_schema}
            for tool in params.function_tools
        )
        asked = self.prepare_messages(messages, params)
        question = Question(tuple(turns(asked)), self.prompt, self.longest, tools=tools)
        (reply,) = await to_thread(
            ask, self.cat, self.endpoint_name, [question], purpose=self.purpose, budget=self.budget, run_id=self.run_id
        )
        return self._response(reply)

    def _response(self, reply: Reply) -> ModelResponse:
        if reply.answer is None:
            raise ModelHTTPError(0, self.model_name, reply.error)
        self.cached += reply.cached
        answer = reply.answer
        parts: list[ModelResponsePart] = []
        text = answer.text
        if answer.finish == FINISH:
            held = orjson.loads(answer.text)
            text = held["text"]
            parts = [ToolCallPart(call["name"], call["args"], call["id"]) for call in held["calls"]]
        if text or not parts:
            parts.insert(0, TextPart(text))
        usage = RequestUsage(input_tokens=answer.tokens_in, output_tokens=answer.tokens_out)
        return ModelResponse(parts, usage=usage, model_name=answer.served_by or self.model_name)


def turns(messages: list[ModelMessage]) -> list[tuple[str, str]]:
    """A conversation as the turns of a `Question`."""
    out: list[tuple[str, str]] = []
    for message in messages:
        if isinstance(message, ModelRequest):
            out += [_turn(part) for part in message.parts]
            continue
        calls = [part for part in message.parts if isinstance(part, ToolCallPart)]
        text = "".join(part.content for part in message.parts if isinstance(part, TextPart))
        if text or not calls:
            out.append(("assistant", text))
        if calls:
            held = [{"id": part.tool_call_id, "name": part.tool_name, "args": part.args_as_dict()} for part in calls]
            out.append(("calls", orjson.dumps(held).decode()))
    return out


def _turn(part: Any) -> tuple[str, str]:
    if isinstance(part, ToolReturnPart):
        body = {"id": part.tool_call_id, "name": part.tool_name, "text": part.model_response_str()}
        return "result", orjson.dumps(body).decode()
    if isinstance(part, UserPromptPart | SystemPromptPart) and isinstance(part.content, str):
        return "user", part.content
    raise UserError(f"a conversation here holds text and tools, not {type(part).__name__}")
