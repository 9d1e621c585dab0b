"""Length of the text in bytes and lines. Its length in characters needs no scorer: the store keeps it as `chars`."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from catalog.plugins import Context, Out, scorer
from flows.scorers.text._chars import Chars, score_slices
from flows.scorers.text._lines import text_lines


@scorer(
    "text_length",
    version="1",
    reads=["text"],
    writes=[
        Out("bytes_utf8", pa.int32(), "bytes in UTF-8", range=(0, None), measure=True),
        Out("lines", pa.int32(), "lines, as str.splitlines cuts them", range=(0, None), measure=True),
    ],
    cost="cpu",
    citation="ours",
)
def text_length(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    return score_slices(batch["text"], lengths)


def lengths(chars: Chars) -> dict[str, np.ndarray]:
    """Both lengths of each row."""
    return {"bytes_utf8": np.diff(chars.utf8_at[chars.rows]), "lines": text_lines(chars).per_row()}
