"""Exclamation marks per 100 characters."""

import pyarrow as pa
import pyarrow.compute as pc

from catalog.plugins import Out, scorer


@scorer(
    "excitement",
    version="1",
    reads=["text"],
    cost="cpu",
    citation="ours",
    writes=[Out("excitement", pa.float32(), "exclamation marks per 100 characters", "lower", (0, 100))],
)
def excitement(batch, ctx):
    text = batch["text"]
    marks = pc.cast(pc.count_substring(text, "!"), pa.float32())
    size = pc.if_else(pc.equal(pc.utf8_length(text), 0), None, pc.cast(pc.utf8_length(text), pa.float32()))
    return {"excitement": pc.cast(pc.multiply(pc.divide(marks, size), 100), pa.float32())}
