"""PreSelect's predictive strength: how well the losses of several models on a text agree with what the models can do.

Shum et al. 2025, "Predictive Data Selection", arXiv:2503.00808, section 2.2: of all pairs of models of different ability,
the share of which the abler one has the lower normalised loss (bits per character) on the text; 1 where the losses rank
the models as their benchmarks do. Columns of losses may be any that are comparable within a row: bits per byte order
the models of a row as bits per character do, as both divide by the same length, and so do summed log-likelihoods.

`columns` names one column a model, the ablest first; `ability` gives benchmark averages where some are equal, whose pairs
count on neither side. The models of the paper are six Llama models (Llama 1 of 7, 13, 30 and 65 billion parameters,
Llama 2 of 7 and 13). A model's column is computed under a name of its own:

    strata score web bits_per_byte --param model=big --as bits_per_byte=bpb_big

`preselect` learns the column from a sample, for every row.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from catalog import states
from catalog.errors import BadInput
from catalog.plugins import Context, Out, scorer


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    columns: list[str] = Field(
        default_factory=list, min_length=2, description="a column of losses for each model, the ablest model first"
    )
    ability: list[float] = Field(
        default_factory=list, description="benchmark averages in the same order; not given: each abler than the next"
    )


def strengths(losses: np.ndarray, ability: np.ndarray) -> np.ndarray:
    """Share of the pairs of different ability whose abler model has the lower loss; losses: rows by models."""
    pairs = [(i, j) if ability[i] > ability[j] else (j, i) for i, j in combinations(range(len(ability)), 2)
             if ability[i] != ability[j]]  # fmt: skip
    able, less = np.array(pairs, np.int64).reshape(-1, 2).T
    return (losses[:, able] < losses[:, less]).sum(axis=1) / len(pairs)


@scorer(
    "predictive_strength",
    version="1",
    reads=[],
    columns=("columns",),
    params=Params,
    cost="cpu",
    citation="Shum et al. 2025, arXiv:2503.00808, section 2.2",
    batch_rows=65536,
    stage="L2",
    writes=[
        Out("predictive_strength", pa.float64(), "share of model pairs that the losses order right", "higher", (0, 1))
    ],
)
def predictive_strength(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    names = ctx.params.columns
    ability = np.array(ctx.params.ability or range(len(names), 0, -1), np.float64)
    if len(names) < 2:
        raise BadInput('predictive_strength: name a column a model: --param columns=\'["bpb_large", "bpb_small"]\'')
    if len(ability) != len(names) or len(set(ability.tolist())) < 2:
        raise BadInput(f"predictive_strength: {len(names)} columns need as many abilities, not all of them equal")
    found = []
    for name in names:
        kind = batch.column(name).type
        if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
            raise BadInput(f"predictive_strength: column {name!r} holds {kind}, not numbers; name another")
        found.append(batch.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False))
    losses = np.column_stack(found)
    known = np.isfinite(losses).all(axis=1)
    return {
        "predictive_strength": pa.array(strengths(losses, ability), mask=~known),
        "_state": pa.array(np.where(known, states.VALUE, states.UNDEFINED).astype(np.uint8)),
    }
