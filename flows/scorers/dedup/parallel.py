"""The same text in another language: translations and parallel duplicates, mined by margin.

Margin-based mining of Artetxe and Schwenk 2019, arXiv:1811.01136, section 3.1, with the ratio margin:

    margin(x, y) = cos(x, y) / ( sum over z in NN_k(x) of cos(x, z) / 2k  +  sum over z in NN_k(y) of cos(y, z) / 2k )

NN_k(x) are the k nearest texts of the other's language, and y is taken from NN_k(x). Cosine alone favours texts that are
near to everything; the margin asks how much nearer a pair is than the neighbourhoods of both. Every two languages of the
rows are compared in both directions; `parallel_mutual` is the intersection of both, the paper's strictest retrieval. It
needs vectors of an encoder that knows the languages, such as LaBSE or LASER: name their column with --vectors. With an
English encoder the numbers mean nothing across languages. A threshold near 1.05 is usual; set yours on known pairs.
"""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
from pydantic import Field

from catalog import states
from catalog.errors import Refused
from catalog.plugins import Context, Out, Scan, scorer
from flows.scorers.embedding._vectors import unit_vectors
from flows.scorers.embedding.minilm import VectorParams

CELLS = 1 << 24
"""Products held at once: 64 MB."""


class Params(VectorParams):
    k: int = Field(4, ge=1, le=256, description="neighbours in the other language; all rows of it if they are fewer")
    limit: int = Field(
        100_000, ge=2, le=10_000_000, description="rows beyond which it refuses: rows of two languages are all compared"
    )


@scorer(
    "parallel",
    version="1",
    pattern="global",
    most_rows=500_000,
    reads=["embedding", "language"],
    swaps={"embedding": "vectors"},
    params=Params,
    cost="cpu",
    stage="L1",
    tolerance=1e-4,
    citation="arXiv:1811.01136",
    writes=[
        Out("parallel_margin", pa.float32(), "greatest ratio margin to a row of another language; 0: there is none"),
        Out("parallel_of", pa.int64(), "scan-order index of that row; its own index: none"),
        Out("parallel_mutual", pa.bool_(), "true where that row's best in this language is this row"),
    ],
)
def parallel(scan: Scan, ctx: Context) -> dict[str, pa.Array]:
    """Best partner of each row among the rows of every other language. Ties go to the earlier row.

    Where no other language is, the margin is 0 and the row its own partner. A row without vector or language is undefined.
    """
    points, rows, languages, total = _read(scan, ctx.params.limit)
    best, partner, mutual = mine(points, languages, ctx.params.k)
    margin, of, both = np.zeros(total, np.float32), np.arange(total), np.zeros(total, bool)
    found = partner >= 0
    at = rows[found]
    margin[at], of[at], both[at] = best[found], rows[partner[found]], mutual[found]
    absent = np.ones(total, bool)
    absent[rows] = False
    return {
        "parallel_margin": pa.array(margin, pa.float32(), mask=absent),
        "parallel_of": pa.array(of, pa.int64(), mask=absent),
        "parallel_mutual": pa.array(both, pa.bool_(), mask=absent),
        "_state": pa.array(np.where(absent, states.UNDEFINED, states.VALUE), pa.uint8()),
    }


def mine(points: np.ndarray, languages: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each unit vector: greatest margin, whose (-1: nobody's), and whether it is the best of both."""
    best, partner = np.full(len(points), -np.inf), np.full(len(points), -1, np.int64)
    mutual = np.zeros(len(points), bool)
    names = np.unique(languages)
    members = {name: np.flatnonzero(languages == name) for name in names}
    for one, other in itertools.combinations(names, 2):
        a, b = members[one], members[other]
        here, there = nearest(points[a], points[b], k), nearest(points[b], points[a], k)
        to_b, margin_a = _best(here, here[0].mean(axis=1), there[0].mean(axis=1))
        to_a, margin_b = _best(there, there[0].mean(axis=1), here[0].mean(axis=1))
        for mine_, theirs, to, back, margin in ((a, b, to_b, to_a, margin_a), (b, a, to_a, to_b, margin_b)):
            better = (margin > best[mine_]) | ((margin == best[mine_]) & (theirs[to] < partner[mine_]))
            better &= np.isfinite(margin)
            rows = mine_[better]
            best[rows], partner[rows] = margin[better], theirs[to[better]]
            mutual[rows] = (back[to] == np.arange(mine_.size))[better]
    return best, partner, mutual


def nearest(asked: np.ndarray, among: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Cosines of the k nearest, greatest first, and which they are; equal ones in order."""
    k = min(k, len(among))
    value, place = np.empty((len(asked), k), np.float32), np.empty((len(asked), k), np.int64)
    step = max(1, CELLS // max(len(among), 1))
    for start in range(0, len(asked), step):
        product = asked[start : start + step] @ among.T
        part = np.argpartition(-product, k - 1, axis=1)[:, :k] if k < len(among) else None
        part = np.tile(np.arange(len(among)), (len(product), 1)) if part is None else np.sort(part, axis=1)
        held = np.take_along_axis(product, part, axis=1)
        order = np.argsort(-held, axis=1, kind="stable")
        value[start : start + step] = np.take_along_axis(held, order, axis=1)
        place[start : start + step] = np.take_along_axis(part, order, axis=1)
    return value, place


def _best(found: tuple[np.ndarray, np.ndarray], own: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each row's candidates the one with the greatest margin; no margin where the neighbourhoods are not near."""
    value, place = found
    middle = (own[:, None].astype(np.float64) + others[place]) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        margin = np.where(middle > 0, value / middle, -np.inf)
    at = margin.argmax(axis=1)
    rows = np.arange(len(value))
    return place[rows, at], margin[rows, at]


def _read(scan: Scan, limit: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Unit vectors, their rows and languages, and how many rows there are."""
    points, rows, names, total = [np.empty((0, 1), np.float32)], [np.empty(0, np.int64)], [np.empty(0, object)], 0
    for batch in scan():
        vectors, own = unit_vectors(batch)
        language = np.array(batch["language"].to_pylist(), object)[own]
        known = np.array([name is not None for name in language], bool)
        points.append(vectors[known])
        rows.append(own[known] + total)
        names.append(language[known])
        total += batch.num_rows
        if sum(map(len, rows)) > limit:
            raise Refused(
                f"parallel: more than {limit:,} rows, and those of two languages are all compared; raise limit and wait, "
                "or score a dataset of fewer rows",
                missing=["limit"],
            )
    whole = np.concatenate(points[1:]) if len(points) > 1 else points[0]
    return whole, np.concatenate(rows), np.concatenate(names).astype(str), total
