"""The near-duplicate keys of the standing index: the bands of the `minhash` scorer, hashed to 64 bits.

Two texts share a key in at least one of 14 bands with probability 1-(1-s^8)^14 at a Jaccard similarity s of their word
5-grams (FineWeb's bands, arXiv:2406.17557): 0.77 at 0.75, 0.99 at 0.87, 0.05 at 0.5. The keys depend on the text alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from catalog.plugins import register
from flows.scorers.dedup._lsh import permutations, signatures
from flows.scorers.dedup.minhash import shingle

BANDS, ROWS, NGRAM = 14, 8, 5


@dataclass(frozen=True)
class MinHashSketch:
    """keys(texts) -> (keys (n, bands) uint64, held bool): texts without a word have no key."""

    name: str = "minhash"
    version: str = "1"
    bands: int = BANDS
    module: str = __name__

    def keys(self, texts: list[str | None]) -> tuple[np.ndarray, np.ndarray]:
        signature, held = _signatures(texts)
        keys = np.zeros((len(texts), BANDS), np.uint64)
        step = np.uint64(0x9E3779B97F4A7C15)
        for band in range(BANDS):
            mixed = np.full(len(signature), band + 1, np.uint64)
            for column in range(band * ROWS, (band + 1) * ROWS):
                mixed = (mixed ^ (mixed >> np.uint64(29))) * step + signature[:, column]
            keys[held, band] = (mixed ^ (mixed >> np.uint64(32))) * step
        return keys, held

    def explain(self, a: str | None, b: str | None) -> dict[str, Any]:
        """What two texts share: exact and estimated Jaccard similarity, and the bands of equal keys."""
        signature, held = _signatures([a, b])
        if not held.all():
            return {"jaccard": None, "estimate": None, "bands": []}
        keys = self.keys([a, b])[0]
        shingles, counts = shingle([a, b], NGRAM)
        left, right = set(shingles[: counts[0]].tolist()), set(shingles[counts[0] :].tolist())
        return {
            "jaccard": len(left & right) / len(left | right),
            "estimate": float((signature[0] == signature[1]).mean()),
            "bands": np.flatnonzero(keys[0] == keys[1]).tolist(),
        }


def _signatures(texts: list[str | None]) -> tuple[np.ndarray, np.ndarray]:
    family = permutations(BANDS * ROWS, 0)
    parts, held = [np.empty((0, BANDS * ROWS), np.uint32)], np.zeros(len(texts), bool)
    for start in range(0, len(texts), 512):
        shingles, counts = shingle(texts[start : start + 512], NGRAM)
        at = np.flatnonzero(counts)
        held[start + at] = True
        parts.append(signatures(shingles, counts[at], *family))
    return np.concatenate(parts), held


register("sketch", "minhash", MinHashSketch())
