"""Two datasets side by side through shared prototypes, and how far one must be carried to become the other.

prototypes   van Noord 2023, "Prototype-based Dataset Comparison", arXiv:2309.02401 (ProtoSim): every row goes to the
             prototype with the largest dot product; the histograms of both sides say which prototypes one side alone
             uses, and the rows nearest to a prototype show what it stands for. The paper trains its prototypes in a layer
             of a vision transformer with self-distillation; here they are spherical k-means centroids of the stored
             vectors of both sides, so that the comparison is theirs and the prototypes are not.
transport    Sinkhorn divergence of the vectors under the squared distance (Feydy et al. 2019, arXiv:1810.08278), the set
             distance of GOT-D and LAVA without labels, free of the entropy's bias: zero for equal sets.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from catalog.catalog import Catalog
from catalog.errors import BadInput
from flows.scorers.embedding._transport import divergence
from flows.scorers.embedding._vectors import unit, unit_vectors
from flows.sets import dataset_of, rows_of

MOST = 2_000
"""Rows a side in a transport problem."""
HELD = 20_000
"""Rows beyond four samples that are held before the lowest are picked."""


def transport(left: np.ndarray, right: np.ndarray, epsilon: float = 0.02) -> dict[str, Any]:
    """Sinkhorn divergence of the first rows of both sides, which are drawn by hash."""
    left, right = left[:MOST], right[:MOST]
    value = divergence(left, right, epsilon, 1_000)
    return {"divergence": value, "rows": {"a": len(left), "b": len(right)}, "epsilon": epsilon}


def prototypes(
    cat: Catalog,
    a: str,
    b: str,
    *,
    rows: int = 5_000,
    count: int = 64,
    vectors: str = "embedding",
    seed: int = 0,
    shown: int = 10,
    examples: int = 3,
) -> dict[str, Any]:
    """Shares of both sides by prototype, the most one-sided first, each with the rows nearest to it."""
    sides = [_sample(cat, ref, vectors, rows, seed) for ref in (a, b)]
    points = [held for held, _ in sides]
    if points[0].shape[1] != points[1].shape[1]:
        raise BadInput(
            f"{a} has vectors of {points[0].shape[1]} numbers, {b} of {points[1].shape[1]}; embed both alike"
        )
    centres = trained(np.concatenate(points), count, seed)
    table = histogram(points, centres)
    shares = table / table.sum(axis=1, keepdims=True)
    order = np.lexsort((np.arange(len(centres)), -np.abs(shares[0] - shares[1])))
    listed = []
    for number in order[:shown]:
        near = [_nearest(held, ids, centres[number], examples) for held, ids in sides]
        listed.append({"a": float(shares[0][number]), "b": float(shares[1][number]), "only": _only(table[:, number]),
                       "examples": {"a": near[0], "b": near[1]}})  # fmt: skip
    _texts(cat, (a, b), listed)
    alone = [shares[0][table[1] == 0].sum(), shares[1][table[0] == 0].sum()]
    return {
        "prototypes": len(centres),
        "shared": int(((table[0] > 0) & (table[1] > 0)).sum()),
        "only_a": int(((table[0] > 0) & (table[1] == 0)).sum()),
        "only_b": int(((table[1] > 0) & (table[0] == 0)).sum()),
        "rows_alone": {"a": float(alone[0]), "b": float(alone[1])},
        "listed": listed,
    }


def trained(points: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Unit prototypes: k-means of unit vectors; fewer where fewer rows differ."""
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    count = min(count, len(np.unique(points, axis=0)))
    with threadpool_limits(1):  # sums over threads come in no fixed order
        found = KMeans(count, n_init=1, random_state=seed).fit(points).cluster_centers_
    return unit(found)


def histogram(sides: list[np.ndarray], centres: np.ndarray) -> np.ndarray:
    """Rows of each side that go to each prototype: the one with the largest dot product."""
    chosen = [(held @ centres.T.astype(held.dtype)).argmax(axis=1) for held in sides]
    return np.array([np.bincount(found, minlength=len(centres)) for found in chosen])


def _only(counts: np.ndarray) -> str:
    return "a" if not counts[1] else "b" if not counts[0] else ""


def _nearest(points: np.ndarray, ids: list[str], centre: np.ndarray, examples: int) -> list[dict[str, Any]]:
    cosine = points @ centre.astype(points.dtype)
    best = np.argsort(-cosine, kind="stable")[:examples]
    return [{"sample_id": ids[row], "cosine": float(cosine[row])} for row in best]


def _texts(cat: Catalog, refs: tuple[str, str], listed: list[dict[str, Any]]) -> None:
    """The beginning of each example's text."""
    for side, ref in zip("ab", refs):
        wanted = sorted({example["sample_id"] for item in listed for example in item["examples"][side]})
        if not wanted:
            continue
        inside = ", ".join(f"'{sample}'" for sample in wanted)
        found: dict[str, str] = {}
        for batch in cat.scan(dataset_of(cat, ref), ["sample_id", "text"], where=f"sample_id IN ({inside})"):
            found |= zip(batch["sample_id"].to_pylist(), batch["text"].to_pylist())
        for item in listed:
            for example in item["examples"][side]:
                example["text"] = " ".join((found.get(example["sample_id"]) or "").split())[:100]


def _sample(cat: Catalog, ref: str, name: str, rows: int, seed: int) -> tuple[np.ndarray, list[str]]:
    """Unit vectors and ids of the rows with the lowest keyed hashes; a few times as many are held at most."""
    import xxhash

    held: list[tuple[np.ndarray, np.ndarray, list[str]]] = []
    size = 0
    for batch in rows_of(cat, ref, ["sample_id", name]):
        points, at = unit_vectors(batch, name)
        names = batch["sample_id"].to_pylist()
        ids = [names[row] for row in at]
        keys = np.array([xxhash.xxh64_intdigest(one.encode(), seed) for one in ids], np.uint64)
        held.append((keys, points, ids))
        size += len(ids)
        if size > 4 * rows + HELD:
            held = [_lowest(held, rows)]
            size = len(held[0][0])
    if not size:
        raise BadInput(f"{ref}: no row has a vector in {name}, so there is nothing to compare; it needs rows with text")
    _, points, ids = _lowest(held, rows)
    return points, ids


def _lowest(
    held: list[tuple[np.ndarray, np.ndarray, list[str]]], rows: int
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """The `rows` lowest keys of all parts, in their order."""
    keys = np.concatenate([part[0] for part in held])
    points = np.concatenate([part[1] for part in held])
    ids = [one for part in held for one in part[2]]
    order = np.argsort(keys, kind="stable")[:rows]
    return keys[order], points[order], [ids[at] for at in order]
