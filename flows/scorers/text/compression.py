"""How far zlib shrinks a record: the measure of the entropy law and of ZIP selection (Yin et al. 2024, arXiv:2407.06645).

The ratio is the bytes of a record over the bytes that zlib, level 9, makes of them: the more a text repeats itself and
what is common, the higher. As in the released code, the bytes are those of Python's str() of a list that holds the
record, here of its text; ZIP goes on to choose rows greedily by the ratio of what is chosen so far, which needs more than
a row. A short record has a ratio below 1, since zlib's own bytes count.
"""

from __future__ import annotations

import zlib

import pyarrow as pa

from catalog.plugins import Context, Out, scorer
from flows.scorers.text._rows import score_rows

OUTS = (
    Out("compression_ratio", pa.float32(), "bytes of the record over bytes after zlib level 9", "lower", (0, None)),
)


def ratio(record: object) -> float:
    """ZIP's ratio of one record."""
    data = str([record]).encode()
    return len(data) / len(zlib.compress(data, 9))


@scorer(
    "compression",
    version="1",
    reads=["text"],
    writes=OUTS,
    cost="cpu",
    citation="Yin et al. 2024, arXiv:2407.06645",
)
def compression(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    return score_rows(batch["text"], OUTS, lambda text: {"compression_ratio": ratio(text)}, lambda text: True)
