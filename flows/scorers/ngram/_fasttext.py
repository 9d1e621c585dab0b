"""fastText's supervised mode for two classes, in numpy: the numbers of one thread of the reference implementation.

Joulin, Grave, Bojanowski and Mikolov, "Bag of Tricks for Efficient Text Classification", 2016, arXiv:1607.01759. A text
is the mean of the vectors of its words, of the end-of-line token and of its hashed word pairs; a softmax over two labels
is trained by plain gradient descent, text by text, with a step that falls linearly to zero. Random start, hash
functions, order of the updates and single precision are those of the reference with `-thread 1`, which fills only the
first tenth of the input matrix with random numbers. Only rows that training touches are held. A prediction needs one
number a feature, so the model that is kept is a vector of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from catalog.errors import BadInput

END = b"</s>"
LABEL = b"__label__"
_PAIR = np.uint64(116049371)
_MODULUS, _FACTOR = 2147483647, 48271
_CHUNK = 1 << 20
_UPDATE_TOKENS = 100
_MEMORY = 4 << 30


@dataclass(frozen=True)
class Linear:
    """Weight of each known word (by the two hashes of its bytes, sorted) and of each bucket of pairs."""

    words: np.ndarray
    word_weights: np.ndarray
    bucket_weights: np.ndarray


def tokens(text: str) -> list[bytes]:
    """Words as the reference sees one line: lines joined by a space, split at ASCII white space, its marks left out."""
    words = " ".join(text.strip().splitlines()).encode("utf-8", "surrogatepass").replace(b"\0", b" ").split()
    words = words[: words.index(END)] if END in words else words
    return [word for word in words if not word.startswith(LABEL)]


@lru_cache(maxsize=1 << 20)
def fnv(word: bytes) -> int:
    """FNV-1a of 32 bits over signed bytes, as a signed number: the reference's hash of a word."""
    value = 2166136261
    for byte in word:
        value = (value ^ (byte if byte < 128 else byte | 0xFFFFFF00)) * 16777619 & 0xFFFFFFFF
    return value - (1 << 32) if value >= 1 << 31 else value


@lru_cache(maxsize=1 << 20)
def word_key(word: bytes) -> int:
    """64-bit identity of a word; two words of one key would share a weight."""
    from xxhash import xxh3_64_intdigest

    return xxh3_64_intdigest(word)


def pair_buckets(words: Sequence[bytes], buckets: int) -> np.ndarray:
    """Bucket of each pair of neighbours; the line's end is the last word."""
    hashes = np.fromiter((fnv(word) for word in words), np.int64, len(words)).view(np.uint64)
    return ((hashes[:-1] * _PAIR + hashes[1:]) % np.uint64(buckets)).astype(np.int64)


def train(
    texts: Sequence[list[bytes]], positive: np.ndarray, *, dim: int, epochs: int, rate: float, buckets: int, seed: int
) -> Linear:
    """The linear form of a model trained on tokenised texts in the given order."""
    counts = Counter(word for text in texts for word in text)
    counts[END] = len(texts)
    order = sorted(counts, key=lambda word: -counts[word])  # ties stay in the order of their first appearance
    index = {word: place for place, word in enumerate(order)}
    features = [_features(text, index, buckets) for text in texts]
    touched = np.unique(np.concatenate([ids for ids, _ in features]))
    if touched.size * dim * 4 > _MEMORY:
        raise BadInput(
            f"fasttext_quality: training would hold {touched.size:,} vectors of {dim} numbers; lower rows, dim or buckets"
        )
    size = len(order) + buckets
    vectors = _start(size, dim, seed, touched)
    features = [(np.searchsorted(touched, ids), number) for ids, number in features]
    lengths = np.array([len(text) + 2 for text in texts], np.int64)  # the label and the line's end count
    out = _descend(features, lengths, positive, vectors, epochs, rate)
    direction = (out[1] - out[0]).astype(np.float64)
    weights = _untouched(size, dim, seed, direction)
    weights[touched] = vectors @ direction
    keys = np.fromiter((word_key(word) for word in order), np.uint64, len(order))
    sort = np.argsort(keys)
    return Linear(keys[sort], weights[: len(order)][sort].astype(np.float32), weights[len(order) :].astype(np.float32))


def margins(model: Linear, texts: Sequence[list[bytes]]) -> np.ndarray:
    """Log-odds of the positive class. Unknown words add nothing, their pairs do."""
    result = np.zeros(len(texts))
    for row, text in enumerate(texts):
        line = [*text, END]
        keys = np.fromiter((word_key(word) for word in line), np.uint64, len(line))
        place = np.minimum(np.searchsorted(model.words, keys), model.words.size - 1)
        known = model.words[place] == keys
        pairs = pair_buckets(line, model.bucket_weights.size)
        total = model.word_weights[place[known]].sum(dtype=np.float64)
        total += model.bucket_weights[pairs].sum(dtype=np.float64)
        result[row] = total / max(int(known.sum()) + pairs.size, 1)
    return result


def _features(text: list[bytes], index: dict[bytes, int], buckets: int) -> tuple[np.ndarray, np.ndarray]:
    line = [*text, END]
    words = np.fromiter((index[word] for word in line), np.int64, len(line))
    return np.unique(np.concatenate([words, len(index) + pair_buckets(line, buckets)]), return_counts=True)


def _descend(features, lengths, positive, vectors: np.ndarray, epochs: int, rate: float) -> np.ndarray:
    """Gradient descent in place; returns the output vectors (negative, positive)."""
    out = np.zeros((2, vectors.shape[1]), np.float32)
    total, done, local = epochs * int(lengths.sum()), 0, 0
    while done < total:
        for (ids, number), length, label in zip(features, lengths.tolist(), positive.tolist(), strict=True):
            if done >= total:
                break
            step = rate * (1.0 - done / total)
            weight = number.astype(np.float32)
            norm = np.float32(weight.sum())
            held = vectors[ids]
            hidden = (weight @ held) / norm
            score = out @ hidden
            chance = np.exp(score - score.max())
            error = np.float32(step) * (np.array([not label, label], np.float32) - chance / chance.sum())
            gradient = error @ out
            out += error[:, None] * hidden
            vectors[ids] = held + (weight / norm)[:, None] * gradient
            local += length
            if local > _UPDATE_TOKENS:
                done, local = done + local, 0
    return out


@lru_cache(maxsize=16)
def _random(start: int, stop: int, dim: int, seed: int) -> np.ndarray:
    """Numbers start .. stop of the random start, flat: uniform in (-1/dim, 1/dim) from two draws of minstd_rand each."""
    first = max(seed % _MODULUS, 1)
    state = first * pow(_FACTOR, 2 * start + 1, _MODULUS) % _MODULUS
    powers = _powers(2 * (stop - start))
    draws = powers * np.int64(state) % _MODULUS - 1
    span = 2147483646.0
    share = (draws[0::2] + draws[1::2] * span) / (span * span)
    low = float(np.float32(1.0 / dim))
    return (share * (2 * low) - low).astype(np.float32)


@lru_cache(maxsize=4)
def _powers(count: int) -> np.ndarray:
    powers = np.ones(1, np.int64)
    while powers.size < count:
        powers = np.concatenate([powers, powers * pow(_FACTOR, powers.size, _MODULUS) % _MODULUS])
    return powers[:count]


def _filled(size: int, dim: int) -> int:
    """How many numbers of the input matrix start at random; the rest start at zero."""
    return size * dim // 10


def _blocks(size: int, dim: int, seed: int):
    filled, rows = _filled(size, dim), max(_CHUNK // dim, 1)
    for row in range(0, -(-filled // dim), rows):
        stop = min((row + rows) * dim, filled)
        block = _random(row * dim, (row + rows) * dim, dim, seed)[: stop - row * dim]
        yield row, np.pad(block, (0, -block.size % dim)).reshape(-1, dim)


def _start(size: int, dim: int, seed: int, rows: np.ndarray) -> np.ndarray:
    vectors = np.zeros((rows.size, dim), np.float32)
    for first, block in _blocks(size, dim, seed):
        low, high = np.searchsorted(rows, [first, first + len(block)])
        vectors[low:high] = block[rows[low:high] - first]
    return vectors


def _untouched(size: int, dim: int, seed: int, direction: np.ndarray) -> np.ndarray:
    """Weights of rows that training never touched: their random start along the direction of the classes."""
    weights = np.zeros(size)
    for first, block in _blocks(size, dim, seed):
        weights[first : first + len(block)] = block @ direction
    return weights
