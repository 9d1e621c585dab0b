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
UNUSUAL = "[\t\r\x0b\x0c\x1c-\x1f\x85\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
"""White space other than spaces and line feeds, as Python's `strip` and `split` know it."""
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
        texts = batch["text"].cast(pa.string())
        keys, found, count = units_of(texts, params)
        hashes.append(keys)
        sizes.append(found)
        counts.append(count)
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


def units_of(texts: pa.StringArray, params: Params) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hashes (uint64) and lengths of the units of all texts, in order, and how many each text has.

    Texts whose white space is spaces and line feeds alone are cut in Arrow, the rest one by one.
    """
    if params.normalise == "ccnet":
        plain = np.zeros(len(texts), bool)
    else:
        plain = ~pc.fill_null(pc.match_substring_regex(texts, UNUSUAL), True).to_numpy(zero_copy_only=False)
    keys, sizes, owner = _plain_units(texts.filter(pa.array(plain)), params)
    owner = np.flatnonzero(plain)[owner]
    others = np.flatnonzero(~plain)
    if len(others):
        held = [units(text or "", params) for text in texts.take(pa.array(others)).to_pylist()]
        owner = np.append(owner, np.repeat(others, [len(more) for more, _ in held]))
        keys = np.append(keys, np.array([key for more, _ in held for key in more], np.uint64))
        sizes = np.append(sizes, np.array([size for _, long in held for size in long], np.int64))
        order = np.argsort(owner, kind="stable")
        keys, sizes, owner = keys[order], sizes[order], owner[order]
    return keys, sizes, np.bincount(owner, minlength=len(texts))


def _plain_units(texts: pa.StringArray, params: Params) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hashes, lengths and row of every unit of texts without unusual white space."""
    from xxhash import xxh3_64_intdigest

    lines = params.unit == "line"
    split = pc.split_pattern(texts, "\n") if lines else pc.split_pattern_regex(texts, "\n *\n[ \n]*")
    owner = np.repeat(np.arange(len(texts)), pc.list_value_length(split).to_numpy(zero_copy_only=False))
    parts = pc.utf8_trim(split.flatten(), " \n")
    size = pc.utf8_length(parts).to_numpy(zero_copy_only=False).astype(np.int64)
    long = size >= params.shortest
    parts, size, owner = parts.filter(pa.array(long)), size[long], owner[long]
    gaps = pc.match_substring(parts, "  ") if lines else pc.match_substring_regex(parts, "  |\n")
    if pc.any(gaps).as_py():
        parts = pc.replace_substring_regex(parts, "[ \n]+", " ")
        long = pc.utf8_length(parts).to_numpy(zero_copy_only=False) >= params.shortest
        parts, size, owner = parts.filter(pa.array(long)), size[long], owner[long]
    keys = np.fromiter(map(xxh3_64_intdigest, parts.cast(pa.binary()).to_pylist()), np.uint64, len(parts))
    return keys, size, owner


def units(text: str, params: Params) -> tuple[list[int], list[int]]:
    """Hashes and lengths of the units of a text that are long enough."""
    from xxhash import xxh3_64_intdigest

    parts = (BLANK_LINE if params.unit == "paragraph" else LINE).split(text)
    ccnet, shortest = params.normalise == "ccnet", params.shortest
    keys, sizes = [], []
    for part in parts:
        part = part.strip()
        if len(part) < shortest:
            continue
        plain = " ".join(part.split())
        if len(plain) >= shortest:
            keys.append(xxh3_64_intdigest((LOOSE.sub("", plain.lower()) if ccnet else plain).encode()))
            sizes.append(len(part))
    return keys, sizes
