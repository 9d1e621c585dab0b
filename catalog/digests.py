"""Identity of content and of row sets.

A content id is the 128-bit XXH3 hash of a sample's canonical content: the UTF-8 text of kind `text`, sorted compact JSON
of what the other kinds own. It is equal for equal content wherever that came from.

A version's digest is the sum of its rows' hashes, so that it does not depend on their order and can be kept up to date
by adding what an append brings and subtracting what a removal takes. The sum runs in two 64-bit lanes (each modulo
2**64); a row's hash mixes all 256 bits of (sample_id, content_id) with the finaliser of SplitMix64 (Steele, Lea and
Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014), once per lane with its own constants.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from xxhash import xxh3_128_digest

HEX = 32
MASK = (1 << 64) - 1
CONTENT = {
    "chat": ("messages",),
    "preference": ("messages", "chosen", "rejected"),
    "task": ("messages", "answer", "choices", "tools", "verifier"),
}
"""Columns that are the content of a kind. `text` is derived from them, so it is not hashed again."""
TURN = ("role", "content", "parts", "reasoning", "tool_calls", "tool_call_id")
"""Fields of a message that are content; the train flag and unknown fields are not."""
LANES = ((0x9E3779B97F4A7C15, 0x243F6A8885A308D3), (0xD1B54A32D192ED03, 0x13198A2E03707344))


def content_digest(kind: str, sample: Mapping[str, Any]) -> bytes:
    """16 bytes that name the content of a sample given as {column: value}."""
    return xxh3_128_digest(canonical(kind, sample))


def content_id(kind: str, sample: Mapping[str, Any]) -> str:
    """32 hex digits that name the content of a sample; what an edit of a row must recompute."""
    return content_digest(kind, sample).hex()


def canonical(kind: str, sample: Mapping[str, Any]) -> bytes:
    """The bytes that are hashed; nulls are left out, so that a new optional field changes no id."""
    if kind == "text":
        return (sample["text"] or "").encode()
    if kind == "knowledge":
        return sorted_json(orjson.loads(sample["meta"]) if isinstance(sample["meta"], str | bytes) else sample["meta"])
    body: dict[str, Any] = {}
    for name in CONTENT[kind]:
        value = sample.get(name)
        if value is None:
            continue
        if name in ("messages", "chosen", "rejected"):
            value = [{field: turn[field] for field in TURN if turn.get(field) is not None} for turn in value]
        body[name] = value
    return sorted_json(body)


def sorted_json(value: Any) -> bytes:
    """Compact JSON with sorted keys; integers beyond 64 bits go the slow way."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS, default=str)
    except TypeError:
        return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str).encode()


def row_digest(sample_ids: pa.Array | pa.ChunkedArray, content_ids: pa.Array | pa.ChunkedArray) -> int:
    """Order-independent digest of rows given by their two hex ids."""
    left, right = id_words(sample_ids), id_words(content_ids)
    if len(left) != len(right):
        raise ValueError(f"{len(left)} sample ids and {len(right)} content ids")
    return digest_of_words(left, right)


def digest_of_words(left: np.ndarray, right: np.ndarray) -> int:
    """The same from (n, 2) arrays of 64-bit words."""
    total = 0
    for lane, (step, salt) in enumerate(LANES):
        state = np.full(len(left), salt, np.uint64)
        for word in (left[:, 0], left[:, 1], right[:, 0], right[:, 1]):
            state = _mix((state ^ word) + np.uint64(step))
        total |= int(state.sum(dtype=np.uint64)) << (64 * lane)
    return total


def _mix(z: np.ndarray) -> np.ndarray:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def add(*digests: int | str) -> int:
    """Digest of the union of disjoint row sets."""
    low = sum(as_int(digest) & MASK for digest in digests) & MASK
    high = sum(as_int(digest) >> 64 for digest in digests) & MASK
    return high << 64 | low


def subtract(whole: int | str, part: int | str) -> int:
    """Digest of what is left of a row set without some of its rows."""
    whole, part = as_int(whole), as_int(part)
    return ((whole >> 64) - (part >> 64) & MASK) << 64 | ((whole & MASK) - (part & MASK) & MASK)


def as_hex(digest: int) -> str:
    return f"{digest:032x}"


def as_int(digest: int | str) -> int:
    return int(digest, 16) if isinstance(digest, str) else digest


NIBBLE = np.zeros(256, np.uint8)
NIBBLE[np.frombuffer(b"0123456789", np.uint8)] = np.arange(10)
NIBBLE[np.frombuffer(b"abcdef", np.uint8)] = np.arange(10, 16)


def id_words(ids: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Hex ids of 32 digits as an (n, 2) array of 64-bit words (first and second half, big endian)."""
    if isinstance(ids, pa.ChunkedArray):
        return (
            np.concatenate([id_words(chunk) for chunk in ids.chunks]) if ids.num_chunks else np.empty((0, 2), np.uint64)
        )
    if not len(ids):
        return np.empty((0, 2), np.uint64)
    if ids.null_count:
        raise ValueError("an id is null")
    ids = ids.cast(pa.string())
    offsets = np.frombuffer(ids.buffers()[1], np.int32)[ids.offset : ids.offset + len(ids) + 1]
    if not (np.diff(offsets) == HEX).all():
        raise ValueError(f"an id is not {HEX} hex digits long")
    digits = NIBBLE[np.frombuffer(ids.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]].reshape(-1, 2)
    return (digits[:, 0] << 4 | digits[:, 1]).view(">u8").astype(np.uint64).reshape(-1, 2)


def digest_words(digests: bytes) -> np.ndarray:
    """16-byte digests, one after the other, as the same (n, 2) words."""
    return np.frombuffer(digests, ">u8").astype(np.uint64).reshape(-1, 2)


def hex_array(digests: bytes) -> pa.StringArray:
    """16-byte digests, one after the other, as an Arrow array of hex ids, without a Python string per row."""
    count = len(digests) // 16
    offsets = np.arange(count + 1, dtype=np.int32) * HEX
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(digests.hex().encode()), None, 0)
