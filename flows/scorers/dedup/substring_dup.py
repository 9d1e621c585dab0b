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
                "selection, raise most_bytes (17 bytes of memory a byte), or use unit_dup",
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
    left = np.repeat(starts[:-1] + sizes, sizes + 1) - np.arange(starts[-1])  # bytes to the end of the row
    room = left[array]
    above = np.append(0, prefix[:-1])  # with the suffix before this one in the array
    match = np.minimum(np.maximum(above, prefix), room)  # a common prefix holds the separator on both sides or on none
    # A group is a maximal stretch of the array whose neighbours share `length` bytes within their rows.
    joins = np.minimum(above, room) >= length
    group = np.cumsum(~joins)
    hit = match >= length
    first = np.full(int(group[-1]) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, group, array.astype(np.int64))
    run = np.where(hit, match, 0)
    later = hit & (array > first[group])
    return (
        _covered(array[hit], length, starts, rows),
        _covered(array[later], length, starts, rows),
        _longest(array, run, starts, rows),
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
    return array, np.append(prefix[: array.size - 1], 0).astype(np.int64)


def _covered(at: np.ndarray, length: int, starts: np.ndarray, rows: int) -> np.ndarray:
    """Bytes of each row that lie in a window of `length` that begins at one of the positions."""
    edges = np.zeros(int(starts[-1]) + 1, np.int32)
    np.add.at(edges, at, 1)
    np.add.at(edges, at + length, -1)
    inside = np.append(0, np.cumsum(np.cumsum(edges[:-1]) > 0))
    return (inside[starts[1:]] - inside[starts[:-1]]).astype(np.float64)


def _longest(array: np.ndarray, run: np.ndarray, starts: np.ndarray, rows: int) -> np.ndarray:
    owner = np.searchsorted(starts, array, side="right") - 1
    longest = np.zeros(rows, np.int64)
    np.maximum.at(longest, owner, run)
    return longest
