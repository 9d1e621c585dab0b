"""Exact duplicates: which rows hold the same content.

Rows are compared by 128-bit keys: the catalog's own `content_id`, which covers the whole sample (every message, both
answers of a preference), or a hash of `text` after white space is collapsed and case folded. A group is named by the
scan-order index of its first row; which row to keep is a policy, the first row without one. Memory: 16 bytes a row while scanning, some 100 while
sorting; no text is kept. At 10^10 rows the chance that any two different contents share a key is below 10^-18.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from catalog.plugins import Context, Out, Scan, scorer
from flows.scorers.dedup._clusters import ABSENT, columns, first_of_equal
from flows.scorers.dedup._keeper import READS, Keeper, KeeperParams, best_of


class Params(KeeperParams):
    normalise: Literal["none", "space_case"] = Field(
        "none", description="none: the whole content as stored; space_case: text, white space collapsed, case folded"
    )


@scorer(
    "exact_dup",
    version="2",
    pattern="global",
    most_rows=20_000_000,
    reads=READS,
    params=Params,
    cost="cpu",
    stage="L1",
    citation="ours",
    writes=[
        Out("exact_dup_group", pa.int64(), "scan-order index of the first row with the same content", measure=True),
        Out("exact_dup_size", pa.int32(), "rows in the group, this one included", range=(1, None), measure=True),
        Out("exact_dup_keep", pa.bool_(), "true for the row of the group that the keeper policy prefers", measure=True),
    ],
)
def exact_dup(scan: Scan, ctx: Context) -> dict[str, pa.Array]:
    """Group rows of equal content; `keeper` decides which represents the group, else the first in scan order.

    With normalise=space_case a row whose text is null has no group; an empty text equals other empty texts. That
    setting compares `text` alone: for preferences this is the prompt with the chosen answer.
    """
    read = _content_keys if ctx.params.normalise == "none" else _text_keys
    keeper = Keeper(ctx.params)
    keys, held = [np.empty((0, 2), np.uint64)], [np.empty(0, bool)]
    for batch in scan():
        batch_keys, batch_held = read(batch)
        keeper.add(batch)
        keys.append(batch_keys)
        held.append(batch_held)
        ctx.tick(batch.num_rows)
    table, present = np.concatenate(keys), np.concatenate(held)
    rows = np.flatnonzero(present)
    labels = np.full(present.size, ABSENT, np.int64)
    labels[rows] = rows[first_of_equal(table[rows, 0], table[rows, 1])]
    keep = np.zeros(present.size, bool)
    keep[rows] = best_of(labels[rows], keeper.rank(present.size)[rows])
    return columns("exact_dup", labels, keep)


def _content_keys(batch: pa.RecordBatch) -> tuple[np.ndarray, np.ndarray]:
    digests = bytes.fromhex("".join(batch["content_id"].to_pylist()))
    return np.frombuffer(digests, np.uint64).reshape(-1, 2), np.ones(batch.num_rows, bool)


def _text_keys(batch: pa.RecordBatch) -> tuple[np.ndarray, np.ndarray]:
    from xxhash import xxh3_128_digest

    texts = batch["text"].to_pylist()
    digests = b"".join(xxh3_128_digest(" ".join((text or "").split()).casefold().encode()) for text in texts)
    held = np.array([text is not None for text in texts], bool)
    return np.frombuffer(digests, np.uint64).reshape(-1, 2), held
