"""Round-robin rank before the texts of a target: the order in which RDS+ takes rows.

Ivison et al. 2025, "Large-Scale Data Selection for Instruction Tuning", arXiv:2503.01807: texts of the target take turns,
each its next most similar row; a row that was taken before is passed over and the turn with it, as in the authors' code.
So a row comes at the smallest of (rank before a target text, number of that text), which needs no loop over turns. The
first n rows of `target_order` are the selection of size n. With `--pooling weighted` and the model that is to be trained
the vectors are theirs too: hidden states weighted by position.

The rank before the nearest text is what BETR (arXiv:2507.12466) calls the score of a sampled document; see `betr`.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pydantic import Field

from catalog.errors import BadInput, Refused
from catalog.plugins import Context, Out, Scan, scorer
from flows.scorers.embedding._ranks import best_ranks, places
from flows.scorers.embedding._vectors import target_vectors, unit_vectors
from flows.scorers.embedding.minilm import VectorParams


class Params(VectorParams):
    rows: int = Field(2_000, ge=1, le=1_000_000, description="texts of the target at most, those of the lowest hashes")
    limit: int = Field(
        2_000_000_000,
        ge=1,
        description="rows times target texts beyond which it refuses: each pair is compared and sorted",
    )


@scorer(
    "target_rank",
    version="1",
    pattern="global",
    most_rows=2_000_000,
    reads=["embedding"],
    swaps={"embedding": "vectors"},
    fit_on="target",
    params=Params,
    cost="cpu",
    stage="L2",
    tolerance=1e-5,
    citation="arXiv:2503.01807; arXiv:2507.12466",
    writes=[
        Out(
            "target_order",
            pa.int64(),
            "position in the round robin over the target's texts, 0: first",
            "lower",
            (0, None),
        ),
        Out("target_rank", pa.int64(), "best rank before any target text, 1: the most similar row", "lower", (1, None)),
    ],
)
def target_rank(scan: Scan, ctx: Context) -> dict[str, pa.Array]:
    """Where each row comes when the target's texts take turns to choose. A row without a vector is undefined."""
    target, _ = target_vectors(ctx, ctx.params.rows)
    if not len(target):
        raise BadInput("target_rank: no row of the target has an embedding; give a --target whose rows have text")
    parts, rows, total = [np.empty((0, target.shape[1]), np.float32)], [np.empty(0, np.int64)], 0
    for batch in scan():
        vectors, own = unit_vectors(batch)
        parts.append(vectors)
        rows.append(own + total)
        total += batch.num_rows
        if sum(map(len, rows)) * len(target) > ctx.params.limit:
            raise Refused(
                f"target_rank: more than {ctx.params.limit:,} pairs of a row and one of {len(target):,} target texts; "
                "give a lower --param rows, a higher --param limit, or use betr, which ranks a sample",
                missing=["limit"],
            )
    points, at = np.concatenate(parts), np.concatenate(rows)
    rank, turn = best_ranks(points, target)
    missing = np.ones(total, bool)
    missing[at] = False
    made = {name: np.zeros(total, np.int64) for name in ("target_order", "target_rank")}
    made["target_order"][at], made["target_rank"][at] = places(turn), rank
    return {name: pa.array(values, pa.int64(), mask=missing) for name, values in made.items()}
