"""The bytes of an input: local files and object-store URIs, decompressed on the fly, and their fingerprints.

Decompression is Arrow's, because it notices a stream that ends too early; several libraries return what they have.
Offsets always count decompressed bytes.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from xxhash import xxh3_128

from catalog.errors import BadInput, StrataError

MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bz2"}
BLOCK = 4 << 20
STEP = 1 << 18  # of compressed streams: what is read when one turns out to be broken is lost


class BrokenFile(BadInput):
    """A file that ends too early or is not what it says; what was read before it broke is in `facts`."""


@dataclass(frozen=True)
class Fingerprint:
    """What identifies the bytes of a file. prefix: the same for its first `prefix_size` bytes, where asked for."""

    size: int
    digest: str
    prefix_digest: str = ""
    prefix_lines: int = 0
    prefix_ends_line: bool = False


def is_remote(uri: str) -> bool:
    return "://" in uri and not uri.startswith("file://")


def local_path(uri: str) -> str:
    return uri.removeprefix("file://")


def open_raw(uri: str, storage: dict[str, str] | None = None) -> Any:
    """A binary file object of the stored bytes; one line for whatever keeps it from opening."""
    try:
        if not is_remote(uri):
            return open(local_path(uri), "rb", buffering=0)
        system, path = filesystem(uri, storage)
        return system.open_input_file(path)
    except (OSError, pa.ArrowException) as error:
        raise BadInput(f"cannot read {uri}: {_reason(error)}; check the path and its permissions") from None


def filesystem(uri: str, storage: dict[str, str] | None = None) -> tuple[Any, str]:
    """Arrow's file system and the path in it; S3 settings of the catalog apply to s3:// inputs too."""
    from pyarrow import fs

    scheme, _, path = uri.partition("://")
    if scheme == "s3" and storage and storage.get("aws_endpoint"):
        endpoint = storage["aws_endpoint"]
        system = fs.S3FileSystem(
            access_key=storage.get("aws_access_key_id"),
            secret_key=storage.get("aws_secret_access_key"),
            region=storage.get("aws_region"),
            endpoint_override=endpoint.partition("://")[2],
            scheme=endpoint.partition("://")[0],
        )
        return system, path
    try:
        return fs.FileSystem.from_uri(uri)
    except (ValueError, pa.ArrowException) as error:
        raise BadInput(f"cannot read {uri}: {_reason(error)}; give a local path or an s3:// or gs:// URI") from None


def codec_of(uri: str, storage: dict[str, str] | None = None) -> str | None:
    """gzip, zstd, bz2 or None, by the first bytes: names lie."""
    with open_raw(uri, storage) as file:
        head = file.read(4)
    return next((codec for magic, codec in MAGIC.items() if head.startswith(magic)), None)


class Stream:
    """Decompressed bytes of one file from an offset on; `read(n)` returns at most n bytes, b"" at the end."""

    def __init__(self, uri: str, storage: dict[str, str] | None = None, offset: int = 0) -> None:
        self.uri, self.offset = uri, 0
        self.broken: BrokenFile | None = None
        self.codec = codec_of(uri, storage)
        self.raw = open_raw(uri, storage)
        self.file = pa.CompressedInputStream(self.raw, self.codec) if self.codec else self.raw
        if offset and not self.codec:
            self.raw.seek(offset)
            self.offset = offset
        while self.offset < offset:
            if not self.read(min(BLOCK, offset - self.offset)):
                raise BrokenFile(f"{uri} ends before byte {offset}, where the earlier run stopped; it was changed")

    def read(self, size: int = BLOCK) -> bytes:
        """Up to `size` bytes. What was read before a break is returned; the next call raises `BrokenFile`."""
        if self.broken:
            raise self.broken
        parts: list[bytes] = []
        got = 0
        while got < size:
            try:
                data = self.file.read(min(size - got, STEP) if self.codec else size - got)
            except (OSError, EOFError, pa.ArrowException) as error:
                self.broken = BrokenFile(
                    f"{self.uri} is truncated or broken after byte {self.offset + got} of its content: {_reason(error)}; "
                    "fetch it again, or keep the rows before it with --keep-going",
                    offset=self.offset + got,
                )
                break
            if not data:
                break
            parts.append(data)
            got += len(data)
        self.offset += got
        if not got and self.broken:
            raise self.broken
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def blocks(self, size: int = BLOCK) -> Iterator[bytes]:
        while data := self.read(size):
            yield data

    def close(self) -> None:
        self.raw.close()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class StreamFile(io.RawIOBase):
    """A Stream as a Python file object, for libraries that want one; wrap it in io.BufferedReader."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self.stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def fingerprint(uri: str, storage: dict[str, str] | None = None, prefix_size: int = 0) -> Fingerprint:
    """Size and hash of the stored bytes in one pass, and of a prefix, so that a grown file is recognised."""
    state, size, lines, ends, prefix = xxh3_128(), 0, 0, False, ""
    with open_raw(uri, storage) as file:
        while data := file.read(min(BLOCK, prefix_size - size) if size < prefix_size else BLOCK):
            state.update(data)
            size += len(data)
            if size <= prefix_size:
                lines += data.count(b"\n")
                ends = data.endswith(b"\n")
                prefix = state.hexdigest() if size == prefix_size else ""
    return Fingerprint(size, "xxh3:" + state.hexdigest(), prefix and "xxh3:" + prefix, lines, ends)


def size_of(uri: str, storage: dict[str, str] | None = None) -> int:
    if not is_remote(uri):
        return os.path.getsize(local_path(uri))
    system, path = filesystem(uri, storage)
    return system.get_file_info(path).size or 0


def _reason(error: BaseException) -> str:
    if isinstance(error, StrataError):
        return error.message
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text.splitlines()[0][:200]
