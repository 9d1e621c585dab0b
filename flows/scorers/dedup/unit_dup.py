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
from pydantic import BaseModel, ConfigDict, Field

from catalog import states
from catalog.plugins import Context, Out, Scan, scorer

LINE = re.compile(r"\r\n|[\r\n\u2028\u2029\x85]")
BLANK_LINE = re.compile(r"(?:\r\n|[\r\n])[ \t]*(?:\r\n|[\r\n])\s*")
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
    hashes, sizes, owners = [np.empty(0, np.uint64)], [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    lengths, absent = [np.empty(0, np.int64)], [np.empty(0, bool)]
    rows = 0
    for batch in scan():
        texts = batch["text"].to_pylist()
        found = [(at, len(unit), key) for at, text in enumerate(texts) for unit, key in units(text or "", params)]
        hashes.append(np.fromiter((key for _, _, key in found), np.uint64, len(found)))
        sizes.append(np.fromiter((size for _, size, _ in found), np.int64, len(found)))
        owners.append(np.fromiter((at for at, _, _ in found), np.int64, len(found)) + rows)
        lengths.append(np.fromiter((len(text or "") for text in texts), np.int64, len(texts)))
        absent.append(np.array([text is None for text in texts], bool))
        rows += len(texts)
        ctx.tick(len(texts))
    key, size, owner = np.concatenate(hashes), np.concatenate(sizes), np.concatenate(owners)
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


def units(text: str, params: Params) -> list[tuple[str, int]]:
    """The units of a text that are long enough, with their hashes."""
    from xxhash import xxh3_64_intdigest

    parts = BLANK_LINE.split(text) if params.unit == "paragraph" else LINE.split(text)
    found = []
    for part in parts:
        plain = " ".join(part.split())
        if len(plain) >= params.shortest:
            key = LOOSE.sub("", plain.lower()) if params.normalise == "ccnet" else plain
            found.append((part.strip(), xxh3_64_intdigest(key.encode())))
    return found
