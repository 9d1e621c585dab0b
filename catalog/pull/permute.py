"""Shuffle [0, rows) without a table: a keyed permutation computed at any position, and backwards.

A Feistel network over a x b >= rows with alternating modular additions, and cycle walking down to `rows` (J. Black
and P. Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002, methods 2 and 3). With a and b near the square
root, at most about one position in sqrt(rows) walks again. The round function is the finaliser of SplitMix64 (G. Steele,
D. Lea and C. Flood, OOPSLA 2014) over a 64-bit round key; this is a shuffle, not a secret. Memory: twelve keys.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from math import isqrt

import numpy as np

ALGORITHM = "feistel-1"
ROUNDS = 12
ODD = np.uint64(0x9E3779B97F4A7C15)
MIX1, MIX2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
S30, S27, S31 = np.uint64(30), np.uint64(27), np.uint64(31)


@lru_cache(maxsize=4096)
def round_keys(seed: int, key: str, epoch: int) -> np.ndarray:
    """Twelve round keys of one epoch of one part."""
    text = f"{ALGORITHM}|{seed}|{epoch}|{key}".encode()
    return np.frombuffer(hashlib.shake_256(text).digest(8 * ROUNDS), "<u8").astype(np.uint64)


def mixed(value: np.ndarray, key: np.uint64 | np.ndarray) -> np.ndarray:
    """SplitMix64 of a value under a key."""
    z = value * ODD + key
    z = (z ^ (z >> S30)) * MIX1
    z = (z ^ (z >> S27)) * MIX2
    return z ^ (z >> S31)


def _sides(rows: int) -> tuple[np.uint64, np.uint64]:
    a = isqrt(rows - 1) + 1
    return np.uint64(a), np.uint64(-(-rows // a))


def _forward(x: np.ndarray, keys: np.ndarray, a: np.uint64, b: np.uint64) -> np.ndarray:
    left, right = x % a, x // a
    for number, key in enumerate(keys):
        side = b if number % 2 else a
        left, right = right, (left + mixed(right, key) % side) % side
    return left + a * right  # an even number of rounds: left is below a again


def _backward(x: np.ndarray, keys: np.ndarray, a: np.uint64, b: np.uint64) -> np.ndarray:
    left, right = x % a, x // a
    for number in reversed(range(len(keys))):
        side = b if number % 2 else a
        left, right = (right + side - mixed(left, keys[number]) % side) % side, left
    return left + a * right


def _walk(step, positions: np.ndarray, rows: int, keys: np.ndarray) -> np.ndarray:
    if rows <= 1:
        return np.zeros(len(positions), np.int64)
    a, b = _sides(rows)
    out = step(np.asarray(positions).astype(np.uint64), keys, a, b)
    while (outside := np.flatnonzero(out >= np.uint64(rows))).size:
        out[outside] = step(out[outside], keys if keys.ndim == 1 else keys[:, outside], a, b)
    return out.astype(np.int64)


def permute(positions: np.ndarray, rows: int, keys: np.ndarray) -> np.ndarray:
    """Image of each position under the permutation of [0, rows) that the keys name: twelve, or twelve a position."""
    return _walk(_forward, positions, rows, keys)


def inverse(images: np.ndarray, rows: int, keys: np.ndarray) -> np.ndarray:
    """The position that each image came from."""
    return _walk(_backward, images, rows, keys)
