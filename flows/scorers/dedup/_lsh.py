"""MinHash signatures, banded locality-sensitive hashing, and the connected components of verified pairs.

The permutations are x -> a*x + b modulo 2^32 with odd a (universal hashing of mixed 64-bit shingle hashes). The result
is defined without reference to order: an edge joins two rows that share a bucket in at least one band and whose
signatures agree in at least `need` places; a cluster is a connected component. How pairs are visited only saves work.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_BLOCK = 1 << 15  # shingles a block of the signature loop: 128 KB, stays in the cache
_SMALL = 8  # buckets up to this size are compared all pairs at once
_PAIRS = 1 << 14  # pairs compared at once: some 15 MB of signatures


def permutations(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Multipliers (odd) and offsets of `count` permutations of the 32-bit integers."""
    draws = np.random.Generator(np.random.PCG64(seed)).integers(0, 1 << 32, (2, count), dtype=np.uint32)
    return draws[0] | np.uint32(1), draws[1]


def signatures(shingles: np.ndarray, counts: np.ndarray, multipliers: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Signature (rows, permutations) of the sets laid end to end in `shingles` (uint32); no set may be empty."""
    starts = np.cumsum(counts) - counts
    result = np.empty((multipliers.size, counts.size), np.uint32)
    for first, last in _blocks(counts):
        part = shingles[starts[first] : starts[last - 1] + counts[last - 1]]
        inner, scratch = starts[first:last] - starts[first], np.empty_like(part)
        for row, (multiplier, offset) in enumerate(zip(multipliers, offsets, strict=True)):
            np.multiply(part, multiplier, out=scratch)
            np.add(scratch, offset, out=scratch)
            np.minimum.reduceat(scratch, inner, out=result[row, first:last])
    return np.ascontiguousarray(result.T)


def best_bands(num_perm: int, threshold: float) -> int:
    """The number of bands dividing num_perm with the least false positive + false negative area at the threshold."""
    similarity = np.linspace(0, 1, 2001)

    def error(bands: int) -> float:
        candidate = 1 - (1 - similarity ** (num_perm // bands)) ** bands
        return float(np.where(similarity < threshold, candidate, 1 - candidate).mean())

    return min((bands for bands in range(1, num_perm + 1) if num_perm % bands == 0), key=error)


def components(signature: np.ndarray, bands: int, need: int) -> np.ndarray:
    """Label of every row: the smallest index of its connected component."""
    labels = np.arange(len(signature))
    rows = signature.shape[1] // bands if bands else 0
    for band in range(bands):
        members, bounds = _buckets(signature[:, band * rows : (band + 1) * rows])
        edges = list(_edges(signature, members, bounds, labels, need))
        if edges:
            labels = _merge(labels, np.concatenate(edges))
    return labels


def _blocks(counts: np.ndarray) -> Iterator[tuple[int, int]]:
    """Runs of whole sets that hold about `_BLOCK` shingles."""
    total, first = np.cumsum(counts), 0
    while first < counts.size:
        done = total[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(total, done + _BLOCK, side="right")))
        yield first, last
        first = last


def _buckets(band: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of all buckets with two or more members, bucket after bucket, and the buckets' bounds."""
    keys = np.zeros(len(band), np.uint64)
    for start in range(0, len(band), 1 << 18):
        part = keys[start : start + (1 << 18)]
        for column in np.ascontiguousarray(band[start : start + (1 << 18)].T):
            part *= np.uint64(0x9E3779B97F4A7C15)
            part ^= part >> np.uint64(29)
            part += column
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])) if keys.size else np.empty(0, np.int64)
    sizes = np.diff(np.append(starts, keys.size))
    shared = sizes > 1
    return order[np.repeat(shared, sizes)], np.append(0, np.cumsum(sizes[shared]))


def _edges(
    signature: np.ndarray, members: np.ndarray, bounds: np.ndarray, labels: np.ndarray, need: int
) -> Iterator[np.ndarray]:
    """Verified pairs (k, 2) that connect what the buckets connect; buckets already in one component are skipped."""
    if bounds.size < 2:
        return
    held, starts, sizes = labels[members], bounds[:-1], np.diff(bounds)
    open_ = np.minimum.reduceat(held, starts) != np.maximum.reduceat(held, starts)
    for size in range(2, _SMALL + 1):
        chosen = starts[open_ & (sizes == size)]
        left, right = np.triu_indices(size, 1)
        for part in np.array_split(chosen, len(chosen) * left.size // _PAIRS + 1):
            pairs = np.stack([members[part[:, None] + left].ravel(), members[part[:, None] + right].ravel()], axis=1)
            pairs = pairs[labels[pairs[:, 0]] != labels[pairs[:, 1]]]
            yield pairs[(signature[pairs[:, 0]] == signature[pairs[:, 1]]).sum(axis=1) >= need]
    for start, size in zip(starts[open_ & (sizes > _SMALL)], sizes[open_ & (sizes > _SMALL)], strict=True):
        yield _link(signature, members[start : start + size], labels, need)


def _link(signature: np.ndarray, members: np.ndarray, labels: np.ndarray, need: int) -> np.ndarray:
    """Edges of one large bucket, breadth first: a bucket of copies costs one pass over it, not all pairs."""
    edges, waiting = [], members
    while waiting.size:
        queue, waiting = _split(waiting, labels, labels[waiting[:1]])
        while queue.size and waiting.size:
            row, queue = queue[0], queue[1:]
            near = waiting[_agreement(signature, row, waiting) >= need]
            edges.append(np.stack([np.full(near.size, row), near], axis=1))
            reached, waiting = _split(waiting, labels, labels[near])
            queue = np.concatenate([queue, reached])
    return np.concatenate(edges) if edges else np.empty((0, 2), np.int64)


def _split(rows: np.ndarray, labels: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    taken = np.isin(labels[rows], wanted)
    return rows[taken], rows[~taken]


def _agreement(signature: np.ndarray, row: int, others: np.ndarray) -> np.ndarray:
    parts = np.array_split(others, others.size // _PAIRS + 1)
    return np.concatenate([(signature[part] == signature[row]).sum(axis=1) for part in parts])


def _merge(labels: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Labels after joining the components of each edge's ends."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ends = labels[edges]
    graph = coo_array((np.ones(len(ends), bool), (ends[:, 0], ends[:, 1])), shape=(labels.size, labels.size))
    component = connected_components(graph, directed=False)[1]
    first = np.empty(component.max() + 1, np.int64)
    first[component[::-1]] = np.arange(labels.size)[::-1]
    return first[component[labels]]
