"""The batch APIs of OpenAI and Anthropic on this machine, for tests: what is handed in is answered a little later.

Wire format as documented: OpenAI uploads a JSONL file and makes a batch of it, Anthropic takes the requests themselves.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson

from flows.endpoints.testing import Meter, completion

Fate = Callable[[int, int], str | int | None]
"""(number of the batch, number of the question in it) -> None: answered; a status: an error; "expired"; "missing"; "garbage"."""


class Batches:
    """What the batch APIs hold. seconds: until a batch has ended. faults: number of a request to them -> None, a status, or
    "drop": done, and then the connection is cut. made: batches by id, as {"lines", "began", "cancelled", "name", "api"}."""

    def __init__(
        self, *, seconds: float = 0.3, fate: Fate = lambda batch, at: None,
        faults: Callable[[int], str | int | None] = lambda number: None, refuse: str | None = None,
        short: bool = False,
    ) -> None:  # fmt: skip
        self.seconds, self.fate, self.faults, self.refuse, self.short = seconds, fate, faults, refuse, short
        self.files: dict[str, bytes] = {}
        self.made: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.lock = threading.RLock()

    def serve(self, meter: Meter, method: str, path: str, data: bytes, headers: dict[str, str]) -> tuple[int, Any]:
        """(status, body); status 0: cut the connection."""
        with self.lock:
            number = len(self.asked)
            self.asked.append(f"{method} {path}")
            fault = self.faults(number)
            if isinstance(fault, int):
                return fault, {"error": {"message": f"scripted {fault}"}}
            answer = self._answer(meter, method, path.partition("?")[0].removeprefix("/v1"), data, headers)
            return (0, b"") if fault == "drop" else answer

    def _answer(self, meter: Meter, method: str, path: str, data: bytes, headers: dict[str, str]) -> tuple[int, Any]:
        api = "anthropic" if path.startswith("/messages") else "openai"
        parts = path.removeprefix("/messages").strip("/").split("/")
        if parts[0] == "files":
            return self._upload(data, headers) if method == "POST" else (200, self.files[parts[1]])
        if method == "POST" and len(parts) == 1:
            return self._make(api, orjson.loads(data))
        if len(parts) == 1:
            held = [one for one in self.made.values() if one["api"] == api]
            return 200, {"object": "list", "data": [self._shown(meter, one) for one in held[::-1]], "has_more": False}
        if (batch := self.made.get(parts[1])) is None:
            return 404, {"error": {"message": f"no batch {parts[1]}"}}
        if parts[2:] == ["cancel"]:
            batch["cancelled"] = True
        if parts[2:] == ["results"]:
            return 200, self._results(meter, batch)[0]
        return 200, self._shown(meter, batch)

    def _upload(self, data: bytes, headers: dict[str, str]) -> tuple[int, Any]:
        kind = next(value for name, value in headers.items() if name.lower() == "content-type")
        edge = b"--" + kind.partition("boundary=")[2].encode()
        parts = [part.strip(b"\r\n").partition(b"\r\n\r\n") for part in data.split(edge)[1:-1]]
        named = {head.partition(b'name="')[2].partition(b'"')[0]: body for head, _, body in parts}
        assert named[b"purpose"] == b"batch"
        name = f"file-{len(self.files)}"
        self.files[name] = named[b"file"]
        return 200, {"id": name, "object": "file", "bytes": len(named[b"file"]), "purpose": "batch"}

    def _make(self, api: str, body: dict[str, Any]) -> tuple[int, Any]:
        name = f"{'msgbatch' if api == 'anthropic' else 'batch'}_{len(self.made)}"
        if api == "openai":
            assert body["completion_window"] == "24h" and body["endpoint"] == "/v1/chat/completions"
            lines = [orjson.loads(line) for line in self.files[body["input_file_id"]].splitlines()]
            assert all(line["method"] == "POST" and line["url"] == body["endpoint"] for line in lines)
            questions = [(line["custom_id"], line["body"]) for line in lines]
        else:
            questions = [(line["custom_id"], line["params"]) for line in body["requests"]]
        assert len({name for name, _ in questions}) == len(questions), "custom ids are unique"
        assert all(0 < len(name) <= 64 for name, _ in questions)
        self.made[name] = {
            "id": name, "api": api, "questions": questions, "began": time.time(), "cancelled": False,
            "metadata": body.get("metadata"), "number": len(self.made), "files": None,
        }  # fmt: skip
        return 200, self._created(self.made[name])

    def _created(self, batch: dict[str, Any]) -> dict[str, Any]:
        if batch["api"] == "anthropic":
            counts = {"processing": len(batch["questions"]), "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}
            return {"id": batch["id"], "type": "message_batch", "processing_status": "in_progress", "results_url": None,
                    "request_counts": counts, "created_at": _stamp(batch["began"])}  # fmt: skip
        return {"id": batch["id"], "object": "batch", "status": "validating", "created_at": int(batch["began"]),
                "metadata": batch["metadata"], "request_counts": {"total": 0, "completed": 0, "failed": 0}}  # fmt: skip

    def _shown(self, meter: Meter, batch: dict[str, Any]) -> dict[str, Any]:
        held = self._created(batch)
        if self.refuse and batch["api"] == "openai":
            data = [{"code": "invalid_request", "message": self.refuse, "line": 1, "param": None}]
            return held | {"status": "failed", "errors": {"object": "list", "data": data}}
        if time.time() - batch["began"] < self.seconds and not batch["cancelled"]:
            return held | ({"status": "in_progress"} if batch["api"] == "openai" else {})
        output, errors, counts = self._results(meter, batch)
        if batch["api"] == "anthropic":
            url = f"{meter.url}/messages/batches/{batch['id']}/results"
            return held | {"processing_status": "ended", "request_counts": counts, "results_url": url}
        for name, data in (("output", output), ("error", errors)):
            if data:
                self.files[f"{batch['id']}-{name}"] = data
                held[f"{name}_file_id"] = f"{batch['id']}-{name}"
        status = "cancelled" if batch["cancelled"] else "expired" if counts["expired"] else "completed"
        done = {
            "total": len(batch["questions"]),
            "completed": counts["succeeded"],
            "failed": counts["errored"] + counts["expired"],
        }
        return held | {"status": status, "request_counts": done}

    def _results(self, meter: Meter, batch: dict[str, Any]) -> tuple[bytes, bytes, dict[str, int]]:
        """Work the questions out, once: output, errors, counts. Of a cancelled batch every second one is answered."""
        if batch["files"] is None:
            counts: dict[str, int] = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
            lines: dict[bool, list[bytes]] = {True: [], False: []}
            for at, (name, body) in enumerate(batch["questions"]):
                fate = "canceled" if batch["cancelled"] and at % 2 else self.fate(batch["number"], at)
                kind = fate if fate in ("expired", "canceled") else "errored" if isinstance(fate, int) else "succeeded"
                counts[kind] += 1
                if fate == "missing" or (self.short and kind in ("expired", "canceled")):
                    continue
                made = _line(meter, batch["api"], name, body, fate)
                lines[batch["api"] == "anthropic" or kind == "succeeded"].append(orjson.dumps(made))
            # Results come in no fixed order.
            batch["files"] = b"\n".join(lines[True][::-1]), b"\n".join(lines[False][::-1]), counts
        return batch["files"]


def _line(meter: Meter, api: str, name: str, body: dict[str, Any], fate: str | int | None) -> dict[str, Any]:
    if fate in ("expired", "canceled"):
        if api == "anthropic":
            return {"custom_id": name, "result": {"type": fate}}
        code = "batch_expired" if fate == "expired" else "batch_cancelled"
        return {"custom_id": name, "response": None, "error": {"code": code, "message": "it was not executed"}}
    if isinstance(fate, int):
        kind = "invalid_request_error" if fate == 400 else "api_error"
        error = {"type": "error", "error": {"type": kind, "message": f"scripted {fate}"}}
        if api == "anthropic":
            return {"custom_id": name, "result": {"type": "errored", "error": error}}
        return {"custom_id": name, "response": {"status_code": fate, "body": error}, "error": None}
    text, read, written = meter.work(body, name)
    made = {} if fate == "garbage" else completion("/messages" if api == "anthropic" else "", body, text, read, written)
    if api == "anthropic":
        return {"custom_id": name, "result": {"type": "succeeded", "message": made}}
    return {"custom_id": name, "response": {"status_code": 200, "request_id": "r", "body": made}, "error": None}


def _stamp(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")
