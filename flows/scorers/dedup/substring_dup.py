"""Exact substring duplicates by a suffix array: runs of bytes that stand more than once in the dataset.

EXACTSUBSTR of Lee et al., "Deduplicating training data makes language models better", ACL 2022, arXiv:2107.06499: every
run of at least `length` bytes that occurs twice anywhere. The suffix array and its longest common prefixes come from
libdivsufsort (Y. Mori) and Kasai et al. 2001; runs never cross from one row to the next. Lee et al. remove every copy
but keep one in practice; here both numbers are given: bytes in any repeated run, and bytes in runs seen earlier.

Memory: some 17 bytes a byte of text. Beyond `most_bytes` the method refuses; `unit_dup` has no such limit.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog import states
from catalog.errors import Missing, Refused
from catalog.plugins import Context, Out, Scan, scorer

SEPARATOR = b"\xff"  # occurs in no UTF-8 text


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    length: int = Field(
        200, ge=8, description="bytes that a repeated run must have; Lee et al.: 50 tokens, some 200 bytes"
    )
    most_bytes: int = Field(500_000_000, ge=1, lt=1 << 31, description="bytes of text beyond which it refuses")


@scorer(
    "substring_dup",
    version="1",
    pattern="global",
    most_rows=1_000_000,
    reads=["text"],
    params=Params,
    cost="cpu",
    stage="L1",
    citation="arXiv:2107.06499",
    requires=("pydivsufsort",),
    libraries=("pydivsufsort",),
    writes=[
        Out("substring_dup_share", pa.float32(), "share of bytes in runs that stand elsewhere too", "lower", (0, 1)),
        Out(
            "substring_dup_again",
            pa.float32(),
            "share of bytes in runs that stand earlier in the scan",
            "lower",
            (0, 1),
        ),
        Out("substring_dup_longest", pa.int32(), "bytes of the longest run that stands elsewhere", "lower", (0, None)),
    ],
)
def substring_dup(scan: Scan, ctx: Context) -> dict[str, pa.Array]:
    """How many of each text's bytes lie in a run of `length` bytes or more that occurs again in the dataset.

    A text shorter than `length` repeats nothing (0); a null text is undefined.
    """
    params, parts, total = ctx.params, [], 0
    absent: list[bool] = []
    sizes: list[int] = []
    for batch in scan():
        for text in batch["text"].to_pylist():
            body = (text or "").encode()
            parts.append(body)
            sizes.append(len(body))
            absent.append(text is None)
            total += len(body) + 1
        if total > params.most_bytes:
            raise Refused(
                f"substring_dup: more than {params.most_bytes:,} bytes of text after {len(sizes):,} rows; score a "
                "selection, raise most_bytes (40 bytes of memory a byte), or use unit_dup",
                missing=["memory"],
            )
        ctx.tick(batch.num_rows)
    marks, again, longest = repeated(SEPARATOR.join([*parts, b""]), np.array(sizes, np.int64), params.length)
    null, size = np.array(absent, bool), np.maximum(np.array(sizes, np.int64), 1)
    return {
        "substring_dup_share": pa.array((marks / size).astype(np.float32), mask=null),
        "substring_dup_again": pa.array((again / size).astype(np.float32), mask=null),
        "substring_dup_longest": pa.array(longest, pa.int32(), mask=null),
        "_state": pa.array(np.where(null, states.UNDEFINED, states.VALUE), pa.uint8()),
    }


def repeated(joined: bytes, sizes: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each row: bytes in repeated runs, bytes in runs that begin earlier in the scan, the longest run."""
    rows = sizes.size
    if not joined.strip(SEPARATOR):
        return np.zeros(rows), np.zeros(rows), np.zeros(rows, np.int64)
    array, prefix = _suffixes(joined)
    starts = np.append(0, np.cumsum(sizes + 1))
    # Numbers of 4 bytes, and few arrays at once: there is one entry for every byte of text.
    left = np.repeat((starts[:-1] + sizes).astype(np.int32), sizes + 1)  # bytes to the end of the row
    left -= np.arange(starts[-1], dtype=np.int32)
    room = left[array]
    del left
    match = np.append(np.int32(0), prefix[:-1])  # the prefix shared with the suffix before this one in the array
    # A group is a maximal stretch of the array whose neighbours share `length` bytes within their rows.
    heads = np.flatnonzero((match < length) | (room < length))
    np.maximum(match, prefix, out=match)
    np.minimum(match, room, out=match)  # a common prefix holds the separator on both sides or on none
    del prefix, room
    first = np.repeat(np.minimum.reduceat(array, heads), np.diff(np.append(heads, array.size)))
    hit = match >= length
    place, run, later = array[hit], match[hit], (array > first)[hit]
    del array, match, first, heads, hit
    return (
        _covered(place, length, starts),
        _covered(place[later], length, starts),
        _longest(place, run, starts, rows),
    )


def _suffixes(joined: bytes) -> tuple[np.ndarray, np.ndarray]:
    """The suffix array, and the common prefix of each suffix with the next one."""
    try:
        from pydivsufsort import divsufsort, kasai
    except ModuleNotFoundError:
        raise Missing("substring_dup needs pydivsufsort: pip install 'strata-catalog[flows]'") from None
    text = np.frombuffer(joined, np.uint8).copy()
    array = divsufsort(text)
    prefix = kasai(text, array)
    return array.astype(np.int32, copy=False), np.append(prefix[: array.size - 1], 0).astype(np.int32, copy=False)


def _covered(at: np.ndarray, length: int, starts: np.ndarray) -> np.ndarray:
    """Bytes of each row that lie in a window of `length` that begins at one of the positions."""
    at = np.sort(at)
    ends = np.minimum(
        at + length, np.append(at[1:], np.iinfo(np.int32).max)
    )  # of the next window, if that begins first
    edges = np.searchsorted(at, starts)
    total = np.append(0, np.cumsum((ends - at).astype(np.int64)))
    return (total[edges[1:]] - total[edges[:-1]]).astype(np.float64)


def _longest(array: np.ndarray, run: np.ndarray, starts: np.ndarray, rows: int) -> np.ndarray:
    owner = np.searchsorted(starts, array, side="right") - 1
    longest = np.zeros(rows, np.int64)
    np.maximum.at(longest, owner, run)
    return longest
