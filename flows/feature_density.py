"""Feature density: different features over all features of a dataset, by kind of feature and preprocessing.

Eronen, Ptaszynski, Masui et al. 2021, "Improving Classifier Training Efficiency for Automatic Cyberbullying Detection
with Feature Density", arXiv:2111.01689: a generalised type-token ratio, taken of the whole dataset before any training;
classifiers did best between extremes. The kinds that need no linguistic parser are here: words and punctuation as written
(`tokens`), lower-cased (`lower`), words alone (`words`), without digits and English stop words (`content`), and pairs and
triples of tokens. Lemmas, parts of speech, entities and dependencies are not.

Density falls with size, so that two datasets compare at equal length only: `curve` gives it after 1,000, 10,000 ...
features. Rows come in the order of keyed hashes of their ids, and features are told apart by 64-bit hashes. `entropy` is
that of the feature's frequencies in bits, `once` the share of different features that occur once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from catalog.catalog import Catalog
from catalog.errors import BadInput
from flows.scorers.text._chars import DIGIT, LETTER, chars_of, slices
from flows.scorers.text._words import Words, words_of
from flows.sets import rows_of

KINDS = ("tokens", "lower", "words", "content", "pairs", "triples")
STOP_WORDS = (
    "a an and are as at be but by for from had has have he her his i in is it its not of on or she that the their them "
    "they this to was we were which will with you"
).split()
ROWS = 50_000
STEP = np.uint64(0x9E3779B97F4A7C15)


def feature_density(
    cat: Catalog, ref: str, kinds: list[str] | None = None, *, rows: int = ROWS, seed: int = 0
) -> dict[str, Any]:
    """{"rows", "densities": {kind: {"features", "different", "density", "entropy", "once", "curve"}}} of a dataset version
    or selection, on at most `rows` rows, those with the lowest keyed hashes."""
    wanted = list(kinds or KINDS)
    if unknown := set(wanted) - set(KINDS):
        raise BadInput(f"feature density: no kind of feature {sorted(unknown)[0]!r}; there are: {', '.join(KINDS)}")
    texts = _sample(cat, ref, rows, seed)
    hashes: dict[str, list[np.ndarray]] = {kind: [] for kind in wanted}
    for part in slices(pa.array(texts, pa.large_string())):
        for kind, found in features(part, wanted).items():
            hashes[kind].append(found)
    held = {kind: np.concatenate([np.empty(0, np.uint64), *parts]) for kind, parts in hashes.items()}
    if not any(len(found) for found in held.values()):
        raise BadInput(f"{ref} has no text with features to count; name a dataset with text")
    return {"rows": len(texts), "densities": {kind: facts_of(found) for kind, found in held.items()}}


def features(texts: pa.Array, kinds: list[str]) -> dict[str, np.ndarray]:
    """Hashes of the features of each kind, in order."""
    chars = chars_of(texts)
    words = words_of(chars, "split")
    found = {"tokens": _hashed(words, lower=False), "lower": _hashed(words, lower=True)}
    solid = (words.bits & (LETTER | DIGIT)) > 0
    stopped = np.isin(found["lower"], _stop_hashes())
    found["words"] = found["tokens"][solid]
    found["content"] = found["lower"][((words.bits & LETTER) > 0) & ((words.bits & DIGIT) == 0) & ~stopped]
    found |= {"pairs": _joined(found["tokens"], words.row, 2), "triples": _joined(found["tokens"], words.row, 3)}
    return {kind: found[kind] for kind in kinds}


def facts_of(hashes: np.ndarray) -> dict[str, Any]:
    """Density of a sequence of features, and after the first 1,000, 10,000 ... of them."""
    different, first, counts = np.unique(hashes, return_index=True, return_counts=True)
    share = counts / max(len(hashes), 1)
    sizes = [10**power for power in range(3, 10) if 10**power <= len(hashes)]
    return {
        "features": len(hashes),
        "different": len(different),
        "density": len(different) / len(hashes) if len(hashes) else None,
        "entropy": float(-(share * np.log2(share)).sum()) if len(hashes) else None,
        "once": float((counts == 1).mean()) if len(hashes) else None,
        "curve": {size: float((first < size).sum() / size) for size in sizes},
    }


def _hashed(words: Words, lower: bool) -> np.ndarray:
    """A 64-bit hash of each token, once a distinct string."""
    from xxhash import xxh3_64_intdigest

    encoded = words.encoded
    strings = ((text.lower() if lower else text).encode() for text in encoded.dictionary.to_pylist())
    table = np.fromiter((xxh3_64_intdigest(text) for text in strings), np.uint64, len(encoded.dictionary))
    return table[encoded.indices.to_numpy()] if len(table) else np.empty(0, np.uint64)


def _joined(hashes: np.ndarray, row: np.ndarray, n: int) -> np.ndarray:
    """Hashes of n neighbours of one row."""
    size = max(len(hashes) - n + 1, 0)
    total = np.zeros(size, np.uint64)
    for shift in range(n):
        total = total * STEP + hashes[shift : shift + size]
    return total[row[:size] == row[n - 1 : n - 1 + size]]


def _stop_hashes() -> np.ndarray:
    from xxhash import xxh3_64_intdigest

    return np.array([xxh3_64_intdigest(word.encode()) for word in STOP_WORDS], np.uint64)


def _sample(cat: Catalog, ref: str, rows: int, seed: int) -> list[str]:
    """Texts in the order of the keyed hashes of their ids."""
    from flows.scorers.ngram._kl import draws_of

    held: list[tuple[int, str]] = []
    for batch in rows_of(cat, ref, ["sample_id", "text"]):
        texts = zip(draws_of(batch, seed).tolist(), batch["text"].to_pylist(), strict=True)
        held += [(key, text) for key, text in texts if text]
        if len(held) > 2 * rows:
            held = sorted(held)[:rows]
    return [text for _, text in sorted(held)[:rows]]
