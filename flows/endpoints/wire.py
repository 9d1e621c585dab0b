"""One question over HTTP, as OpenAI-compatible servers and Anthropic speak it, and what each failure means for the bill.

Not billed: a refused connection, 429, and the 500s but 504. Perhaps billed: a timeout after the request went out, a
connection that broke, 504, a 200 that cannot be read.
"""

from __future__ import annotations

import email.utils
import hashlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from flows.endpoints import tools
from flows.endpoints.registry import Endpoint

if TYPE_CHECKING:
    import httpx

SLACK = 64
"""Tokens that a server may add to a message for its template."""
JSON = {"content-type": "application/json"}
AGAIN = (408, 409, 425, 429, 500, 502, 503, 504, 529)


@dataclass(frozen=True)
class Question:
    """What is asked. messages: (role, text) after the system text. schema: JSON schema of the answer, None for free text.

    tools: {"name", "description", "schema"} each; see flows.endpoints.tools for the turns of such a conversation.
    draw: number of the sample where one question is asked several times. sample_id: the row it is about, for the records.
    """

    messages: tuple[tuple[str, str], ...]
    system: str = ""
    max_tokens: int = 512
    temperature: float = 0.0
    schema: dict[str, Any] | None = field(default=None, hash=False)
    draw: int = 0
    sample_id: str | None = None
    tools: tuple[dict[str, Any], ...] = field(default=(), hash=False)

    def digest(self, endpoint: Endpoint, revision: str) -> str:
        """Of all that decides the answer; the row it is about is not part of it."""
        body = [endpoint.url, endpoint.api, endpoint.model, revision, self.system, self.messages, self.max_tokens,
                self.temperature, self.schema, self.draw, *([self.tools] if self.tools else []),
                *([] if endpoint.structured or self.schema is None else ["unstructured"])]  # fmt: skip
        return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()

    def most_tokens(self) -> tuple[int, int]:
        """Bounds of the tokens read and written: a token is a byte or more, and a template adds a few."""
        texts = [self.system, *(text for _, text in self.messages)]
        read = sum(len(text.encode()) + SLACK for text in texts) + len(orjson.dumps(self.schema or {}))
        read += sum(len(orjson.dumps(tool)) + SLACK for tool in self.tools)
        return read, self.max_tokens


@dataclass(frozen=True)
class Answer:
    """text: as it came. finish: stop, length, refusal ... served_by: model and fingerprint as the server named them."""

    text: str
    finish: str
    tokens_in: int
    tokens_out: int
    served_by: str = ""


class Unanswered(Exception):
    """No answer. again: worth another attempt; billed: it may have cost something; after: seconds to wait, if told.

    everybody: the next question would fail the same way (a wrong key, an unknown model).
    """

    def __init__(
        self, message: str, *, again: bool, billed: bool = False, after: float | None = None, everybody: bool = False
    ) -> None:
        super().__init__(message)
        self.code: int | None = None
        self.again, self.billed, self.after, self.everybody = again, billed, after, everybody


def send(client: httpx.Client, endpoint: Endpoint, question: Question, key: str) -> Answer:
    """Ask once. key: the Idempotency-Key of the question."""
    if endpoint.api == "transformers":
        from flows.endpoints.local import answer

        return answer(endpoint, question)
    path, headers, body = shaped(endpoint, question)
    response = request(
        client, endpoint, "POST", path, content=orjson.dumps(body), headers=JSON | headers | {"idempotency-key": key}
    )
    try:
        return read(endpoint, response.json(), question.most_tokens())
    except (ValueError, KeyError, TypeError, IndexError):
        raise Unanswered(f"{endpoint.url} answered something that is no completion", again=True, billed=True) from None


def shaped(endpoint: Endpoint, question: Question) -> tuple[str, dict[str, str], dict[str, Any]]:
    """Path after the address, headers with the key, and body of a question."""
    made = (_anthropic if endpoint.api == "anthropic" else _openai)(endpoint, question)
    return "/messages" if endpoint.api == "anthropic" else "/chat/completions", headers_of(endpoint), made


def headers_of(endpoint: Endpoint) -> dict[str, str]:
    """What every request to the endpoint carries."""
    secret = endpoint.secret()
    if endpoint.api == "anthropic":
        return {"anthropic-version": "2023-06-01"} | ({"x-api-key": secret} if secret else {})
    return {"authorization": f"Bearer {secret}"} if secret else {}


def request(client: httpx.Client, endpoint: Endpoint, method: str, path: str, **more: Any) -> httpx.Response:
    """One request; whatever is not a 200 is an `Unanswered`. path: after the address, or an address of its own."""
    import httpx

    address = path if "://" in path else endpoint.url.rstrip("/") + path
    try:
        response = client.request(method, address, timeout=endpoint.timeout, **more)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise Unanswered(f"cannot reach {endpoint.url}: {_short(error)}", again=True) from None
    except httpx.HTTPError as error:
        raise Unanswered(f"{endpoint.url} did not answer: {_short(error)}", again=True, billed=True) from None
    if response.status_code != 200:
        raised = refusal(endpoint, response.status_code, _said(response), response.headers.get("retry-after"))
        raised.code = response.status_code
        raise raised
    return response


def read(endpoint: Endpoint, body: dict[str, Any], most: tuple[int, int]) -> Answer:
    """The answer in a completion; KeyError and the like where it is none. most: tokens where the server names none."""
    return (_read_anthropic if endpoint.api == "anthropic" else _read_openai)(body, most)


def _openai(endpoint: Endpoint, question: Question) -> dict[str, Any]:
    system = [{"role": "system", "content": question.system}] if question.system else []
    body: dict[str, Any] = {
        "model": endpoint.model,
        "messages": [*system, *tools.openai_turns(question.messages)],
        "max_tokens": question.max_tokens,
        "temperature": question.temperature,
        "seed": question.draw,
    }
    if question.schema is not None and endpoint.structured:
        held = {"name": "answer", "strict": True, "schema": question.schema}
        body["response_format"] = {"type": "json_schema", "json_schema": held}
    if question.tools:
        body["tools"] = tools.openai_tools(question.tools)
    return body


def _read_openai(body: dict[str, Any], most: tuple[int, int]) -> Answer:
    choice = body["choices"][0]
    message, usage = choice["message"], body.get("usage") or {}
    read, written = most
    refused = message.get("refusal")
    text, finish = str(refused or message.get("content") or ""), str(choice.get("finish_reason") or "stop")
    if calls := [
        (call["id"], call["function"]["name"], call["function"]["arguments"])
        for call in message.get("tool_calls") or ()
    ]:
        text, finish = tools.called(text, calls), tools.FINISH
    return Answer(
        text, "refusal" if refused else finish,
        int(usage.get("prompt_tokens", read)), int(usage.get("completion_tokens", written)),
        " ".join(str(part) for part in (body.get("model"), body.get("system_fingerprint")) if part),
    )  # fmt: skip


def _anthropic(endpoint: Endpoint, question: Question) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": endpoint.model,
        "max_tokens": question.max_tokens,
        "temperature": question.temperature,
        "messages": tools.anthropic_turns(question.messages),
    }
    if question.system:
        body["system"] = question.system
    if question.tools:
        body["tools"] = tools.anthropic_tools(question.tools)
    if question.schema is not None and endpoint.structured:
        body["tools"] = [{"name": "answer", "description": "The answer.", "input_schema": question.schema}]
        body["tool_choice"] = {"type": "tool", "name": "answer"}
    return body


def _read_anthropic(body: dict[str, Any], most: tuple[int, int]) -> Answer:
    usage = body.get("usage") or {}
    read, written = most
    blocks = body["content"]
    used = [block for block in blocks if block["type"] == "tool_use"]
    text = "".join(block["text"] for block in blocks if block["type"] == "text")
    reason = str(body.get("stop_reason") or "stop")
    if [block["name"] for block in used] == ["answer"]:  # the form of a structured answer
        text = orjson.dumps(used[0]["input"]).decode()
    elif used:
        text, reason = (
            tools.called(text, [(block["id"], block["name"], block["input"]) for block in used]),
            tools.FINISH,
        )
    return Answer(
        text, {"end_turn": "stop", "tool_use": "stop", "max_tokens": "length"}.get(reason, reason),
        int(usage.get("input_tokens", read)), int(usage.get("output_tokens", written)), str(body.get("model") or ""),
    )  # fmt: skip


def refusal(endpoint: Endpoint, code: int, said: str, retry: str | None = None) -> Unanswered:
    """What a status that is not 200 means."""
    if code in AGAIN:
        after = _seconds(retry)
        return Unanswered(f"{endpoint.url} said {code}: {said}", again=True, billed=code == 504, after=after)
    if code in (401, 403):
        remedy = f"check the key in {endpoint.key}" if endpoint.key else "name the key's variable: --key VARIABLE"
        return Unanswered(f"{endpoint.url} refused the key ({code}): {said}; {remedy}", again=False, everybody=True)
    if code in (402, 404, 405):
        return Unanswered(
            f"{endpoint.url} said {code} for model {endpoint.model}: {said}; check --url and --model",
            again=False, everybody=True,
        )  # fmt: skip
    return Unanswered(f"{endpoint.url} refused the request ({code}): {said}", again=False)


def _said(response: httpx.Response) -> str:
    try:
        body = response.json()
        held = body.get("error", body) if isinstance(body, dict) else body
        text = held.get("message", held) if isinstance(held, dict) else held
    except ValueError:
        text = response.text
    return " ".join(str(text).split())[:200] or "nothing"


def _seconds(given: str | None) -> float | None:
    """Retry-After, in seconds or as a date."""
    if not given:
        return None
    try:
        return max(0.0, float(given))
    except ValueError:
        parsed = email.utils.parsedate_to_datetime(given) if given.strip() else None
        return max(0.0, parsed.timestamp() - time.time()) if parsed else None


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
