"""A metered endpoint on this machine for tests: real HTTP, scripted faults, and a bill of its own to compare with."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from flows.endpoints.testing_batches import Batches

Reply = Callable[[dict[str, Any]], str]


class Meter:
    """What the server did. billed: completions it worked out, by Idempotency-Key; seen: requests; most: at one time."""

    def __init__(self, reply: Reply, faults: Callable[[int], str | int | None], idempotent: bool, delay: float) -> None:
        self.reply, self.faults, self.idempotent, self.delay = reply, faults, idempotent, delay
        self.billed: Counter[str] = Counter()
        self.tokens = 0
        self.seen: list[dict[str, Any]] = []
        self.most = self.now = 0
        self.lock = threading.Lock()
        self.url = ""

    def work(self, body: dict[str, Any], key: str) -> tuple[str, int, int]:
        """Answer and bill: (text, tokens read, tokens written)."""
        text = self.reply(body)
        read, written = len(orjson.dumps(body["messages"])) // 4, max(1, len(text) // 4)
        with self.lock:
            if not (self.idempotent and self.billed[key]):
                self.billed[key] += 1
                self.tokens += read + written
        return text, read, written


@contextmanager
def metered(
    reply: Reply,
    *,
    faults: Callable[[int], str | int | None] = lambda number: None,
    idempotent: bool = False,
    delay: float = 0.0,
    batches: Batches | None = None,
) -> Iterator[Meter]:
    """Serve /v1/chat/completions and /v1/messages, and with `batches` the batch APIs too. reply: body -> text of the answer.

    faults: number of the request (from 0) -> None, a status code, "drop" (billed, then the connection is cut), "hang"
    (billed, answered after five seconds) or "garbage" (200 without a completion).
    """
    meter = Meter(reply, faults, idempotent, delay)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._batch(b"")

        def _batch(self, data: bytes) -> None:
            if batches is None:
                return self._send(404, {"error": {"message": "no such address"}})
            code, body = batches.serve(meter, self.command, self.path, data, dict(self.headers))
            if code == 0:
                self.close_connection = True
                return self.connection.close()
            return self._send(code, body)

        def do_POST(self) -> None:
            if "/files" in self.path or "/batches" in self.path:
                return self._batch(self.rfile.read(int(self.headers.get("content-length") or 0)))
            body = orjson.loads(self.rfile.read(int(self.headers["content-length"])))
            with meter.lock:
                number = len(meter.seen)
                meter.seen.append({**body, "_headers": dict(self.headers), "_path": self.path})
                meter.now += 1
                meter.most = max(meter.most, meter.now)
            try:
                self._serve(body, meter.faults(number))
            finally:
                with meter.lock:
                    meter.now -= 1

        def _serve(self, body: dict[str, Any], fault: str | int | None) -> None:
            if isinstance(fault, int):
                extra = {"retry-after": "0.05"} if fault == 429 else {}
                return self._send(fault, {"error": {"message": f"scripted {fault}"}}, extra)
            time.sleep(meter.delay)
            text, read, written = meter.work(body, self.headers.get("idempotency-key", ""))
            if fault == "drop":
                self.close_connection = True
                self.connection.close()
                return None
            if fault == "hang":
                time.sleep(5)
            if fault == "garbage":
                return self._send(200, {"choices": []})
            return self._send(200, completion(self.path, body, text, read, written))

        def _send(self, code: int, body: Any, headers: dict[str, str] | None = None) -> None:
            data = body if isinstance(body, bytes) else orjson.dumps(body)
            try:
                self.send_response(code)
                for name, value in {**(headers or {}), "content-length": str(len(data))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # the client was killed

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: tests read the meter."""

        def handle(self) -> None:
            try:
                super().handle()
            except (OSError, ValueError):  # cut connections
                self.close_connection = True

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that was killed is no error of the server."""

    server = Server(("127.0.0.1", 0), Handler)
    meter.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield meter
    finally:
        server.shutdown()
        server.server_close()


def completion(path: str, body: dict[str, Any], text: str, read: int, written: int) -> dict[str, Any]:
    """A completion as the API of that path answers it."""
    if body.get("tools") and "tool_choice" not in body and text.startswith('{"text":'):
        return _calls(path, body, text, read, written)
    if path.endswith("/messages"):
        block = {"type": "tool_use", "name": "answer", "input": orjson.loads(text)} if "tool_choice" in body else {
            "type": "text", "text": text}  # fmt: skip
        usage = {"input_tokens": read, "output_tokens": written}
        reason = "tool_use" if "tool_choice" in body else "end_turn"
        return {"model": body["model"], "content": [block], "stop_reason": reason, "usage": usage}
    return {
        "model": body["model"], "system_fingerprint": "fp-1",
        "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": read, "completion_tokens": written},
    }  # fmt: skip


def _calls(path: str, body: dict[str, Any], text: str, read: int, written: int) -> dict[str, Any]:
    """A completion that calls tools; text: what `flows.endpoints.tools.called` makes."""
    held = orjson.loads(text)
    if path.endswith("/messages"):
        blocks = [{"type": "text", "text": held["text"]}] * bool(held["text"])
        blocks += [
            {"type": "tool_use", "id": call["id"], "name": call["name"], "input": call["args"]}
            for call in held["calls"]
        ]
        usage = {"input_tokens": read, "output_tokens": written}
        return {"model": body["model"], "content": blocks, "stop_reason": "tool_use", "usage": usage}
    calls = [{"id": call["id"], "type": "function",
              "function": {"name": call["name"], "arguments": orjson.dumps(call["args"]).decode()}} for call in held["calls"]]  # fmt: skip
    message = {"role": "assistant", "content": held["text"] or None, "tool_calls": calls}
    return {"model": body["model"], "system_fingerprint": "fp-1",
            "choices": [{"message": message, "finish_reason": "tool_calls"}],
            "usage": {"prompt_tokens": read, "completion_tokens": written}}  # fmt: skip
