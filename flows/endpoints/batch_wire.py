"""Provider batches over HTTP: many questions in one request, looked at until they have ended, answered in one file.

OpenAI: a JSONL file is uploaded (`/files`, purpose batch), a batch is made of it (`/batches`, window 24h), and its answers
come as an output file, those without one as an error file; requests that the window or a cancellation cut off stand in
the error file as batch_expired or batch_cancelled, or nowhere. https://platform.openai.com/docs/api-reference/batch
Anthropic: the requests are the body of `/messages/batches`; results are JSONL, each succeeded, errored, canceled or
expired, the last three not billed. https://docs.anthropic.com/en/api/creating-message-batches
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson

from flows.endpoints.registry import Endpoint
from flows.endpoints.wire import JSON, Answer, Question, Unanswered, headers_of, read, refusal, request, shaped

if TYPE_CHECKING:
    import httpx

WINDOW = "24h"
TAG = "strata"
"""Key of a batch's metadata that holds our id for it."""
CUT = ("batch_expired", "batch_cancelled", "batch_canceled", "expired", "cancelled", "canceled")


@dataclass(frozen=True)
class Look:
    """What a provider says of a batch. files: where its answers are, once it has ended. error: it was refused whole."""

    remote: str
    ended: bool
    total: int
    done: int
    failed: int
    files: tuple[str, ...] = ()
    cut_short: bool = False
    error: str | None = None


def line(endpoint: Endpoint, digest: str, question: Question) -> bytes:
    """One question as it stands in a batch; its digest is the custom id."""
    path, _, body = shaped(endpoint, question)
    if endpoint.api == "anthropic":
        return orjson.dumps({"custom_id": digest, "params": body})
    return orjson.dumps({"custom_id": digest, "method": "POST", "url": f"/v1{path}", "body": body})


def submit(client: httpx.Client, endpoint: Endpoint, name: str, lines: list[bytes]) -> str:
    """Hand a batch in; the provider's id for it. name: ours, by which `find` knows it again."""
    headers = headers_of(endpoint) | {"idempotency-key": name}
    if endpoint.api == "anthropic":
        body = b'{"requests":[' + b",".join(lines) + b"]}"
        held = request(client, endpoint, "POST", "/messages/batches", content=body, headers=JSON | headers)
        return _id(endpoint, held)
    file = ("strata.jsonl", b"\n".join(lines) + b"\n", "application/jsonl")
    upload = {"headers": headers_of(endpoint), "data": {"purpose": "batch"}, "files": {"file": file}}
    try:
        made = request(client, endpoint, "POST", "/files", **upload)
    except Unanswered as error:  # a file alone is not billed
        error.billed = False
        raise
    asked = {
        "input_file_id": _id(endpoint, made, billed=False), "endpoint": "/v1/chat/completions", "completion_window": WINDOW,
        "metadata": {TAG: name},
    }  # fmt: skip
    return _id(
        endpoint, request(client, endpoint, "POST", "/batches", content=orjson.dumps(asked), headers=JSON | headers)
    )


def _id(endpoint: Endpoint, response: httpx.Response, billed: bool = True) -> str:
    try:
        return str(response.json()["id"])
    except (ValueError, KeyError, TypeError):
        raise Unanswered(f"{endpoint.url} answered something that is no batch", again=True, billed=billed) from None


def look(client: httpx.Client, endpoint: Endpoint, remote: str) -> Look:
    """How far a batch is."""
    path = f"{_root(endpoint)}/{remote}"
    response = request(client, endpoint, "GET", path, headers=headers_of(endpoint))
    try:
        return _looked(endpoint, response.json())
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Unanswered(f"{endpoint.url} answered something that is no batch", again=True) from None


def cancel(client: httpx.Client, endpoint: Endpoint, remote: str) -> None:
    """Ask for a batch's end; what is answered by then is still delivered and billed."""
    request(client, endpoint, "POST", f"{_root(endpoint)}/{remote}/cancel", headers=headers_of(endpoint))


def find(client: httpx.Client, endpoint: Endpoint, name: str, since: str, count: int, known: set[str]) -> list[str]:
    """Ids of batches that may be ours though we were never told: of our name (OpenAI) or, where batches have no names
    (Anthropic), made since then with as many questions, and not known to be another of ours."""
    page: dict[str, Any] = {"limit": 100}
    found: list[str] = []
    began = datetime.fromisoformat(since).timestamp() - 60
    while True:
        response = request(client, endpoint, "GET", _root(endpoint), params=page, headers=headers_of(endpoint))
        try:
            body = response.json()
            held = body["data"]
            for one in held:
                if _maybe(endpoint, one, name, began, count) and one["id"] not in known:
                    found.append(one["id"])
            if not body.get("has_more") or not held or _created(endpoint, held[-1]) < began:
                return found
            page |= {"after_id" if endpoint.api == "anthropic" else "after": held[-1]["id"]}
        except (ValueError, KeyError, TypeError):
            raise Unanswered(f"{endpoint.url} answered something that is no list of batches", again=True) from None


def results(client: httpx.Client, endpoint: Endpoint, held: Look) -> Iterator[tuple[str, Any]]:
    """(custom id, Answer or Unanswered) of each line that the provider wrote; a line that cannot be read has no id."""
    for path in held.files:
        yield from _results(client, endpoint, path)


def _results(client: httpx.Client, endpoint: Endpoint, path: str) -> Iterator[tuple[str, Any]]:
    text = request(client, endpoint, "GET", path, headers=headers_of(endpoint)).content
    for raw in text.split(b"\n"):
        try:
            held = orjson.loads(raw)
            digest = str(held["custom_id"])
        except (orjson.JSONDecodeError, KeyError, TypeError):
            continue
        try:
            yield digest, (_of_anthropic if endpoint.api == "anthropic" else _of_openai)(endpoint, held)
        except (KeyError, TypeError, IndexError, AttributeError, ValueError):
            yield digest, Unanswered("the batch answered something that is no completion", again=True, billed=True)


def _of_openai(endpoint: Endpoint, held: dict[str, Any]) -> Answer | Unanswered:
    response, error = held.get("response"), held.get("error")
    if response is None or error:
        code, said = (error or {}).get("code") or "", (error or {}).get("message") or "no answer"
        return Unanswered(f"the batch did not get to it ({code}): {said}", again=code in CUT or not code)
    if response["status_code"] != 200:
        body = response.get("body") or {}
        said = (body.get("error") or body).get("message", "nothing")
        return refusal(endpoint, int(response["status_code"]), str(said)[:200])
    return read(endpoint, response["body"], (0, 0))


def _of_anthropic(endpoint: Endpoint, held: dict[str, Any]) -> Answer | Unanswered:
    result = held["result"]
    if result["type"] == "succeeded":
        return read(endpoint, result["message"], (0, 0))
    if result["type"] in CUT:
        return Unanswered(f"the batch did not get to it ({result['type']})", again=True)
    error = result.get("error") or {}
    error = error.get("error") or error
    said = str(error.get("message", "nothing"))[:200]
    return Unanswered(f"{endpoint.url} refused the request: {said}", again=error.get("type") != "invalid_request_error")


def _root(endpoint: Endpoint) -> str:
    return "/messages/batches" if endpoint.api == "anthropic" else "/batches"


def _looked(endpoint: Endpoint, held: dict[str, Any]) -> Look:
    counts = held.get("request_counts") or {}
    if endpoint.api == "anthropic":
        cut = int(counts.get("canceled", 0)) + int(counts.get("expired", 0))
        done, failed = int(counts.get("succeeded", 0)), int(counts.get("errored", 0)) + cut
        ended = held["processing_status"] == "ended"
        url = held.get("results_url")
        files = (_own(endpoint, str(url), f"/messages/batches/{held['id']}/results"),) if ended and url else ()
        return Look(held["id"], ended, done + failed + int(counts.get("processing", 0)), done, failed, files, cut > 0)
    status = held["status"]
    total, done, failed = (int(counts.get(name, 0)) for name in ("total", "completed", "failed"))
    names = [held.get(name) for name in ("output_file_id", "error_file_id")]
    ended = status in ("completed", "failed", "expired", "cancelled")
    files = tuple(f"/files/{name}/content" for name in names if name) if ended else ()
    error = None
    if status == "failed":
        said = ((held.get("errors") or {}).get("data") or [{}])[0]
        error = f"{said.get('code') or 'failed'}: {said.get('message') or 'no reason was given'}"
    return Look(held["id"], ended, total, done, failed, files, status in ("expired", "cancelled"), error)


def _own(endpoint: Endpoint, url: str, path: str) -> str:
    """Results are read at the endpoint's own address, so that the key goes nowhere else."""
    return url if url.startswith(endpoint.url.rstrip("/") + "/") else path


def _maybe(endpoint: Endpoint, held: dict[str, Any], name: str, began: float, count: int) -> bool:
    if endpoint.api != "anthropic":
        return (held.get("metadata") or {}).get(TAG) == name
    return _created(endpoint, held) >= began and sum((held.get("request_counts") or {}).values()) == count


def _created(endpoint: Endpoint, held: dict[str, Any]) -> float:
    if endpoint.api != "anthropic":
        return float(held["created_at"])
    return datetime.fromisoformat(str(held["created_at"]).replace("Z", "+00:00")).timestamp()
