"""A metered endpoint on this machine for tests: real HTTP, scripted faults, and a bill of its own to compare with."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson

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


@contextmanager
def metered(
    reply: Reply,
    *,
    faults: Callable[[int], str | int | None] = lambda number: None,
    idempotent: bool = False,
    delay: float = 0.0,
) -> Iterator[Meter]:
    """Serve /v1/chat/completions and /v1/messages. reply: body of a request -> text of the answer.

    faults: number of the request (from 0) -> None, a status code, "drop" (billed, then the connection is cut), "hang"
    (billed, answered after five seconds) or "garbage" (200 without a completion).
    """
    meter = Meter(reply, faults, idempotent, delay)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
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
            text = meter.reply(body)
            read, written = len(orjson.dumps(body["messages"])) // 4, max(1, len(text) // 4)
            key = self.headers.get("idempotency-key", "")
            with meter.lock:
                if not (meter.idempotent and meter.billed[key]):
                    meter.billed[key] += 1
                    meter.tokens += read + written
            if fault == "drop":
                self.close_connection = True
                self.connection.close()
                return None
            if fault == "hang":
                time.sleep(5)
            if fault == "garbage":
                return self._send(200, {"choices": []})
            return self._send(200, _completion(self.path, body, text, read, written))

        def _send(self, code: int, body: Any, headers: dict[str, str] | None = None) -> None:
            data = orjson.dumps(body)
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


def _completion(path: str, body: dict[str, Any], text: str, read: int, written: int) -> dict[str, Any]:
    if path.endswith("/messages"):
        block = {"type": "tool_use", "name": "answer", "input": orjson.loads(text)} if body.get("tools") else {
            "type": "text", "text": text}  # fmt: skip
        usage = {"input_tokens": read, "output_tokens": written}
        reason = "tool_use" if body.get("tools") else "end_turn"
        return {"model": body["model"], "content": [block], "stop_reason": reason, "usage": usage}
    return {
        "model": body["model"], "system_fingerprint": "fp-1",
        "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": read, "completion_tokens": written},
    }  # fmt: skip
