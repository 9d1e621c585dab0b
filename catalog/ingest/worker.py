"""Prepare chunks in other processes, so that parsing and writing use every core.

A child is a fresh interpreter that knows nothing of the caller's main module; it gets one pickled job on its standard
input and answers with frames on its standard output: each a length and as many bytes, in turn a pickled chunk and its columns as Arrow IPC. It
ends with its parent, because then its pipe breaks.
"""

from __future__ import annotations

import itertools
import os
import pickle
import queue
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, BinaryIO

import pyarrow as pa

from catalog.errors import StrataError
from catalog.ingest.prepare import Job, Prepared, prepare
from catalog.ingest.records import get_reader

LARGE = 48 << 20  # bytes from which a second process is worth its start
MOST = 4  # processes; the one that writes keeps up with about as many
LENGTH = struct.Struct("<q")
NO_PANDAS = ("jsonl", "json", "delimited", "warc", "folder")
CHILD = """
import sys, types
for name, path in {packages!r}.items():
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = path
sys.path[:] = {path!r}
from catalog.ingest.worker import main
main()
"""
"""The child skips what the packages import for others: the metadata store alone takes longer to load than a small file."""


def prepare_beside(job: Job, processes: int) -> Iterator[Prepared]:
    """The same chunks as `prepare`, in the same order, made in other processes that share the file between them."""
    shared = get_reader(job.source.reader).shared
    parts = processes if shared else 1
    jobs = [replace(job, source=replace(job.source, share=(part, parts))) for part in range(parts)]
    children = [_Child(item) for item in jobs]
    try:
        for number in itertools.count():
            if (chunk := children[number % parts].next()) is None:
                return
            yield chunk
    finally:
        for child in children:
            child.end()


class _Child:
    """A second interpreter that prepares a share of a file, and a thread that reads ahead what it says."""

    def __init__(self, job: Job) -> None:
        packages = {name: list(sys.modules[name].__path__) for name in ("catalog", "catalog.ingest")}
        code = CHILD.format(packages=packages, path=sys.path)
        self.uri = job.source.uri
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        self.frames: queue.Queue[bytes | bytearray | None] = queue.Queue(2)
        self.ended = threading.Event()
        _send(self.process.stdin, pickle.dumps(job))  # type: ignore[arg-type]
        self.process.stdin.close()  # type: ignore[union-attr]
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()

    def _listen(self) -> None:
        body: bytes | bytearray | None = bytearray()
        while body is not None:
            body = _receive(self.process.stdout)
            while not self.ended.is_set():
                try:
                    self.frames.put(body, timeout=0.2)
                    break
                except queue.Full:
                    continue

    def next(self) -> Prepared | None:
        """The next chunk; None at the end. Raises what the child raised."""
        body = self.frames.get()
        if body is None:
            if self.process.wait() != 0:
                status = self.process.returncode
                raise StrataError(f"a process that read {self.uri} died (status {status}); repeat the command")
            return None
        chunk = pickle.loads(body)
        if isinstance(chunk, BaseException):
            raise chunk
        schema, chunk.batch = chunk.batch, None
        chunk.batch = pa.ipc.read_record_batch(pa.py_buffer(self.frames.get()), schema)
        return chunk

    def end(self) -> None:
        self.ended.set()
        self.process.kill()
        self.thread.join()
        self.process.stdout.close()  # type: ignore[union-attr]
        self.process.wait()


def _send(pipe: BinaryIO, body: bytes | pa.Buffer) -> None:
    view = memoryview(body)
    for part in (memoryview(LENGTH.pack(len(view))), view):
        while part:
            part = part[pipe.write(part) :]


def _receive(pipe: Any) -> bytes | bytearray | None:
    head = _exactly(pipe, LENGTH.size)
    if head is None:
        return None
    return _exactly(pipe, LENGTH.unpack(head)[0])


def _exactly(pipe: Any, size: int) -> bytearray | None:
    """`size` bytes, or None when the other side has ended."""
    body = bytearray(size)
    view, got = memoryview(body), 0
    while got < size:
        count = pipe.readinto(view[got:])
        if not count:
            return None
        got += count
    return body


def main() -> None:
    """The child: answer one job."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    out, given = os.fdopen(1, "wb", 0), os.fdopen(0, "rb", 0)
    sys.stdout = sys.stderr  # a library that prints must not break the frames
    _widen(out)
    body = _receive(given)
    if body is None:
        return
    job = pickle.loads(body)
    if job.source.reader in NO_PANDAS:
        sys.meta_path.insert(0, _NoPandas())
    try:
        for chunk in prepare(job):
            _send(out, pickle.dumps(replace(chunk, batch=chunk.batch.schema)))
            _send(out, chunk.batch.serialize())
    except BrokenPipeError:
        return
    except Exception as error:
        _send(
            out,
            pickle.dumps(error if isinstance(error, StrataError) else StrataError(f"{type(error).__name__}: {error}")),
        )


class _NoPandas:
    """Hides pandas: Arrow would load it, for half a second, only to see whether a value is one of its types."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("pandas is not needed here", name=name)


def _widen(pipe: BinaryIO) -> None:
    """A pipe of 1 MB instead of 64 kB, where the system has such a thing."""
    import fcntl

    if hasattr(fcntl, "F_SETPIPE_SZ"):
        try:
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 1 << 20)
        except OSError:
            return
