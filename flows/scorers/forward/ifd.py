"""Instruction-following difficulty: how much the instruction helps the model with the response. Two official forms.

ifd_cherry (Li et al. 2023, arXiv:2308.12032): mean loss of the response given the instruction over its mean loss alone.
ifd_superfiltering (Li et al. 2024, arXiv:2402.00530): the ratio of the two perplexities. They do not rank alike.
In both papers ratios of 1 and above are dropped (the instruction does not help) and the highest of the rest are kept:
hence no direction is declared, and the cut belongs to a selection.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from catalog import states
from catalog.plugins import Context, Out, scorer
from flows.scorers.forward._language_model import LongPassParams, PassParams, spread, states_of
from flows.scorers.forward._turns import last_exchange


def _reads(form: str) -> list[str]:
    return ["messages", *(f"{form}_{part}" for part in ("nll_given", "tokens_given", "nll_alone", "tokens_alone"))]


@scorer(
    "ifd_cherry",
    version="1",
    reads=_reads("ifd_cherry"),
    writes=[Out("ifd_cherry", pa.float64(), "mean loss given the instruction / mean loss alone", range=(0, None))],
    cost="cpu",
    params=PassParams,
    kinds=("chat", "task"),
    stage="L2",
    citation="Li et al. 2023, arXiv:2308.12032",
)
def ifd_cherry(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    """IFD as in Cherry: mean loss of the response given its instruction over its mean loss alone."""
    return _ratio(batch, "ifd_cherry", lambda given, alone: given / alone)


@scorer(
    "ifd_superfiltering",
    version="1",
    reads=_reads("ifd_superfiltering"),
    writes=[
        Out("ifd_superfiltering", pa.float64(), "perplexity given the instruction / perplexity alone", range=(0, None))
    ],
    cost="cpu",
    params=LongPassParams,
    kinds=("chat", "task"),
    stage="L2",
    citation="Li et al. 2024, arXiv:2402.00530",
)
def ifd_superfiltering(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    """IFD as in Superfiltering: perplexity of the response given its instruction over its perplexity alone."""
    return _ratio(batch, "ifd_superfiltering", lambda given, alone: np.exp(np.clip(given - alone, -700, 700)))


def _ratio(batch: pa.RecordBatch, form: str, ratio) -> dict[str, pa.Array]:
    columns = {name: batch.column(name).to_numpy(zero_copy_only=False).astype(np.float64) for name in _reads(form)[1:]}
    given, given_tokens, alone, alone_tokens = columns.values()
    rows = np.flatnonzero(~np.isnan(given) & (alone > 0))
    values = ratio(given[rows] / given_tokens[rows], alone[rows] / alone_tokens[rows])
    pairs = [last_exchange(messages) for messages in batch.column("messages").to_pylist()]
    gap = np.array([states.UNDEFINED if pair else states.OUT_OF_VALIDITY for pair in pairs], np.uint8)
    return {form: spread(values, rows, batch.num_rows, pa.float64()), "_state": states_of(rows, batch.num_rows, gap)}
