"""Bits per byte: the model's code length of the text in bits, over its UTF-8 bytes. Comparable across tokenizers.

The length-normalised loss of Gao et al. 2020, "The Pile" (arXiv:2101.00027, section 3.1).
"""

from __future__ import annotations

import math

import pyarrow as pa
import pyarrow.compute as pc

from catalog.plugins import Context, Out, scorer
from flows.scorers.forward._language_model import PassParams


@scorer(
    "bits_per_byte",
    version="1",
    reads=["nll_sum", "lm_bytes"],
    writes=[Out("bits_per_byte", pa.float64(), "nll_sum / ln 2 / lm_bytes", better="lower", range=(0, None))],
    cost="cpu",
    params=PassParams,
    stage="L1",
    citation="Gao et al. 2020, arXiv:2101.00027",
)
def bits_per_byte(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    nll, size = batch.column("nll_sum"), batch.column("lm_bytes").cast(pa.float64())
    size = pc.if_else(pc.greater(size, 0.0), size, pa.scalar(None, pa.float64()))
    nll = pc.if_else(pc.is_nan(nll), pa.scalar(None, pa.float64()), nll)
    return {"bits_per_byte": pc.divide(pc.divide(nll, math.log(2)), size)}
