"""Exact duplicates below the document: paragraphs or lines that stand elsewhere too.

As in CCNet (Wenzek et al. 2020, arXiv:1911.00359) and Dolma (Soldaini et al. 2024, arXiv:2402.00159): a unit is compared
by a 64-bit hash of its text, white space collapsed and, if asked, case folded and freed of digits and punctuation.
The first occurrence in scan order is the one to keep; a repeat within the same row counts too. Memory: 9 bytes a unit
while scanning, some 40 while sorting; no text is kept.
"""

from __future__ import annotations

import re
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from catalog import states
from catalog.plugins import Context, Out, Scan, scorer

LINE = re.compile(r"\r\n|[\r\n\u2028\u2029\x85]")
BLANK_LINE = re.compile(r"(?:\r\n|[\r\n])[ \t]*(?:\r\n|[\r\n])\s*")
MARKS = ("\r", "\u2028", "\u2029", "\x85")
ODD = ("  ", *"\t\r\x0b\x0c\x1c\x1d\x1e\x1f")
LOOSE = re.compile(r"[\W\d_]+")


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    unit: Literal["paragraph", "line"] = Field(
        "paragraph", description="paragraph: up to a blank line; line: up to a break"
    )
    shortest: int = Field(20, ge=1, description="units of fewer characters are not compared, and count as unrepeated")
    normalise: Literal["space", "ccnet"] = Field(
        "space", description="space: white space collapsed; ccnet: lower case, digits and punctuation removed too"
    )


@scorer(
    "unit_dup",
    version="1",
    pattern="global",
    most_rows=10_000_000,
    reads=["text"],
    params=Params,
    cost="cpu",
    stage="L1",
    citation="arXiv:1911.00359; arXiv:2402.00159",
    writes=[
        Out("unit_dup_share", pa.float32(), "share of characters in units seen earlier in the scan", "lower", (0, 1)),
        Out("unit_dup_count", pa.int32(), "units seen earlier in the scan", "lower", (0, None)),
        Out(
            "unit_dup_most",
            pa.int32(),
            "greatest number of times a unit of the text stands in the dataset",
            "lower",
            (0, None),
        ),
    ],
)
def unit_dup(scan: Scan, ctx: Context) -> dict[str, pa.Array]:
    """How much of each text consists of paragraphs (or lines) that an earlier row, or an earlier place, has too.

    A text without a unit of the least length repeats nothing (0); a null text is undefined.
    """
    params = ctx.params
    hashes, sizes, counts = [np.empty(0, np.uint64)], [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    lengths, absent = [np.empty(0, np.int64)], [np.empty(0, bool)]
    for batch in scan():
        texts, keys, found, count = batch["text"], [], [], []
        for text in texts.to_pylist():
            more, long = units(text or "", params)
            keys += more
            found += long
            count.append(len(more))
        hashes.append(np.array(keys, np.uint64))
        sizes.append(np.array(found, np.int64))
        counts.append(np.array(count, np.int64))
        lengths.append(pc.fill_null(pc.utf8_length(texts), 0).to_numpy(zero_copy_only=False).astype(np.int64))
        absent.append(texts.is_null().to_numpy(zero_copy_only=False))
        ctx.tick(len(texts))
    rows = sum(map(len, absent))
    owner = np.repeat(np.arange(rows), np.concatenate(counts))
    key, size = np.concatenate(hashes), np.concatenate(sizes)
    order = np.argsort(key, kind="stable")  # stable: equal units stay in scan order
    starts = np.flatnonzero(np.append(True, key[order][1:] != key[order][:-1])) if key.size else np.empty(0, np.int64)
    repeats = np.diff(np.append(starts, key.size))
    again, times = np.ones(key.size, bool), np.empty(key.size, np.int64)
    again[order[starts]] = False
    times[order] = np.repeat(repeats, repeats)
    most = np.zeros(rows, np.int64)
    np.maximum.at(most, owner, times)
    share = np.bincount(owner, size * again, minlength=rows) / np.maximum(np.concatenate(lengths), 1)
    null = np.concatenate(absent)
    return {
        "unit_dup_share": pa.array(np.minimum(share, 1).astype(np.float32), mask=null),
        "unit_dup_count": pa.array(np.bincount(owner[again], minlength=rows), pa.int32(), mask=null),
        "unit_dup_most": pa.array(most, pa.int32(), mask=null),
        "_state": pa.array(np.where(null, states.UNDEFINED, states.VALUE), pa.uint8()),
    }


def units(text: str, params: Params) -> tuple[list[int], list[int]]:
    """Hashes and lengths of the units of a text that are long enough."""
    from xxhash import xxh3_64_intdigest

    if params.unit == "paragraph":
        parts = BLANK_LINE.split(text)
    else:
        parts = LINE.split(text) if any(mark in text for mark in MARKS) else text.split("\n")
    even = params.unit == "line" and _even(text)
    ccnet, shortest = params.normalise == "ccnet", params.shortest
    keys, sizes = [], []
    for part in parts:
        part = part.strip()
        if len(part) < shortest:
            continue
        plain = part if even else " ".join(part.split())
        if len(plain) >= shortest:
            keys.append(xxh3_64_intdigest((LOOSE.sub("", plain.lower()) if ccnet else plain).encode()))
            sizes.append(len(part))
    return keys, sizes


def _even(text: str) -> bool:
    """Whether collapsing the white space inside a line would change nothing; sure only of plain ASCII."""
    return text.isascii() and not any(odd in text for odd in ODD) and " \n" not in text and "\n " not in text
