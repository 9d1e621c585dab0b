"""Length of the text in three units; cheap facts that many selections and reports need."""

from __future__ import annotations

import pyarrow as pa

from catalog.plugins import Context, Out, scorer
from flows.scorers.text._chars import Chars, score_slices
from flows.scorers.text._lines import text_lines


@scorer(
    "text_length",
    version="1",
    reads=["text"],
    writes=[
        Out("chars", pa.int32(), "characters (code points)", range=(0, None), measure=True),
        Out("bytes_utf8", pa.int32(), "bytes in UTF-8", range=(0, None), measure=True),
        Out("lines", pa.int32(), "lines, as str.splitlines cuts them", range=(0, None), measure=True),
    ],
    cost="cpu",
    citation="ours",
)
def text_length(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    return score_slices(batch["text"], lengths)


def lengths(chars: Chars) -> dict:
    """The three lengths of each row."""
    at = chars.utf8_at[chars.rows]
    return {
        "chars": chars.rows[1:] - chars.rows[:-1],
        "bytes_utf8": at[1:] - at[:-1],
        "lines": text_lines(chars).per_row(),
    }
