"""Perplexity: the exponential of the mean negative log-likelihood a token. Lower means more predictable for this model.

Comparable only between texts scored by one model and tokenizer; short texts scatter widely, and repetition scores low.
As a quality filter: Wenzek et al. 2019, "CCNet" (arXiv:1911.00359); Ankner et al. 2024, "Perplexed by Perplexity"
(arXiv:2405.20541).
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog.plugins import Context, Out, scorer
from flows.scorers.forward._language_model import PassParams

LARGEST = float(np.log(np.finfo(np.float64).max))


@scorer(
    "perplexity",
    version="1",
    reads=["nll_sum", "lm_tokens"],
    writes=[Out("perplexity", pa.float64(), "exp(nll_sum / lm_tokens)", better="lower", range=(1, None))],
    cost="cpu",
    params=PassParams,
    stage="L1",
    citation="Jelinek et al. 1977; as a data filter Wenzek et al. 2019, arXiv:1911.00359",
)
def perplexity(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    nll, none = batch.column("nll_sum"), pa.scalar(None, pa.float64())
    mean = pc.divide(pc.if_else(pc.is_nan(nll), none, nll), batch.column("lm_tokens").cast(pa.float64()))
    return {"perplexity": pc.exp(pc.min_element_wise(mean, LARGEST, skip_nulls=False))}
