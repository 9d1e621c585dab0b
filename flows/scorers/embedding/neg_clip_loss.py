"""negCLIPLoss: how well the two vectors of a row match each other, and how little they match those of other rows.

Wang et al. 2024, "CLIPLoss and Norm-Based Data Selection Methods for Multimodal Contrastive Learning",
arXiv:2405.19547. A plain similarity favours captions that fit everything; here the terms by which CLIP's loss
normalises are taken off: s_ii - t/2 (log sum_j exp(s_ij / t) + log sum_j exp(s_ji / t)) within random batches of the
dataset, averaged over several divisions into batches. It is -t times the loss of the pair, so at most 0.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pydantic import Field

from catalog import states
from catalog.errors import BadInput
from catalog.plugins import Context, Out, Scan, scorer
from flows.scorers.embedding.pair_similarity import Params as PairParams
from flows.scorers.embedding.pair_similarity import pairs


class Params(PairParams):
    batch: int = Field(4096, ge=2, le=65_536, description="rows of a batch; the paper takes 32,768")
    divisions: int = Field(5, ge=1, le=100, description="random divisions into batches that are averaged")
    temperature: float = Field(0.01, gt=0, le=10, description="temperature of the loss: that of the trained CLIP model")
    limit: int = Field(1_000_000, ge=2, le=100_000_000, description="rows beyond which it refuses: all are held")


@scorer(
    "neg_clip_loss",
    version="1",
    pattern="global",
    most_rows=3_000_000,
    reads=[],
    columns=("left", "right"),
    params=Params,
    cost="cpu",
    citation="arXiv:2405.19547",
    tolerance=1e-6,
    writes=[Out("neg_clip_loss", pa.float32(), "minus the contrastive loss of the pair, times the temperature", "higher",
                (None, 0))],
)  # fmt: skip
def neg_clip_loss(scan: Scan, ctx: Context) -> dict[str, pa.Array]:
    """Similarity of the two vectors less what random batches explain. A row that lacks one of them is undefined."""
    params = ctx.params
    lefts, rights, at, ids, total = [], [], [np.empty(0, np.int64)], [], 0
    for batch in scan():
        left, right, rows = pairs(batch, params.left, params.right, "neg_clip_loss")
        lefts.append(left.astype(np.float32))
        rights.append(right.astype(np.float32))
        at.append(rows + total)
        names = batch.column("sample_id").to_pylist()
        ids += [names[row] for row in rows]
        total += batch.num_rows
        if len(ids) > params.limit:
            raise BadInput(
                f"neg_clip_loss: more than {params.limit:,} rows, and all are held in memory; score a --where selection, "
                "or raise --limit"
            )
    value, known = np.zeros(total), np.zeros(total, bool)
    if ids:
        where = np.concatenate(at)
        value[where], known[where] = (
            averaged(np.concatenate(lefts), np.concatenate(rights), ids, ctx.seed, params),
            True,
        )
    return {
        "neg_clip_loss": pa.array(value, mask=~known).cast(pa.float32()),
        "_state": pa.array(np.where(known, states.VALUE, states.UNDEFINED).astype(np.uint8)),
    }


def averaged(left: np.ndarray, right: np.ndarray, ids: list[str], seed: int, params: Params) -> np.ndarray:
    """The mean over divisions into batches that the ids and the seed decide."""
    import xxhash

    total = np.zeros(len(ids))
    for division in range(params.divisions):
        salt = (seed * 1_000_003 + division) % 2**64
        order = np.argsort(np.array([xxhash.xxh64_intdigest(i.encode(), salt) for i in ids], np.uint64), kind="stable")
        for part in np.array_split(order, max(round(len(order) / params.batch), 1)):
            total[part] += normalised(left[part], right[part], params.temperature)
    return np.minimum(total / params.divisions, 0)


def normalised(left: np.ndarray, right: np.ndarray, temperature: float) -> np.ndarray:
    """The values of one batch."""
    similar = (left @ right.T).astype(np.float64)
    own = np.diag(similar).copy()
    similar /= temperature
    return own - temperature / 2 * (_log_sum(similar) + _log_sum(similar.T))


def _log_sum(values: np.ndarray) -> np.ndarray:
    high = values.max(axis=1)
    return high + np.log(np.exp(values - high[:, None]).sum(axis=1))
