"""Which words and word pairs tell two sets apart, and by how much: log odds with an informative Dirichlet prior.

Monroe, Colaresi and Quinn 2008, "Fightin' Words: Lexical Feature Selection and Evaluation for Identifying the Content of
Political Conflict", Political Analysis 16(4), equations 15, 16, 20 and 22: delta_w is the difference of the log odds of
word w on the two sides, each side's count raised by alpha_w, its share of both sides' words times the weight of the prior
(alpha_0); z_w is delta_w over its standard deviation. Neither common words (their odds are alike) nor rare ones (their
variance is large) come first, and no list of stop words is needed. Beside it the divergence over DSIR's hashed n-grams
(Xie et al. 2023, arXiv:2302.03169) of the same texts.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np

from catalog.catalog import Catalog
from catalog.errors import BadInput
from flows.scorers.ngram._buckets import features
from flows.scorers.ngram._kl import divergence

ROWS, CHARS = 5_000, 4_000
"""Texts of a side that are read, drawn by their ids, which are hashes; characters of each."""
PRIOR = 1_000.0
"""Weight of the prior, in words."""
LEAST = 5
"""Times a term must occur, on both sides together."""
BUCKETS = 10_000
WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def word_shift(cat: Catalog, a: str, b: str, *, rows: int = ROWS, shown: int = 20) -> dict[str, Any]:
    """{"rows", "words": {side: n}, "a": terms that a has more of, "b": ..., "kl_b_from_a", "kl_a_from_b"}.

    A term is {"term", "z", "a", "b"}: its counts in a million words of each side. The texts are a sample.
    """
    texts = [_texts(cat, ref, rows) for ref in (a, b)]
    counts = [terms(side) for side in texts]
    words = [sum(count for term, count in held.items() if " " not in term) for held in counts]
    found = shift(counts[0], counts[1])
    hashed = [np.bincount(features(BUCKETS, 2)(side)[0], minlength=BUCKETS) for side in texts]
    per = [1e6 / max(total, 1) for total in words]

    def listed(best: list[tuple[str, float]]) -> list[dict[str, Any]]:
        return [
            {"term": term, "z": z, "a": counts[0][term] * per[0], "b": counts[1][term] * per[1]} for term, z in best
        ]

    return {
        "rows": {"a": len(texts[0]), "b": len(texts[1])},
        "words": {"a": words[0], "b": words[1]},
        "a": listed([item for item in found[:shown] if item[1] > 0]),
        "b": listed([item for item in found[::-1][:shown] if item[1] < 0]),
        "kl_b_from_a": divergence(hashed[1], hashed[0]),
        "kl_a_from_b": divergence(hashed[0], hashed[1]),
    }


def shift(a: Counter[str], b: Counter[str], prior: float = PRIOR) -> list[tuple[str, float]]:
    """(term, z), those that `a` has more of first; words and pairs each among their like."""
    out: list[tuple[str, float]] = []
    for pairs in (False, True):
        one, two = ({t: n for t, n in side.items() if (" " in t) == pairs} for side in (a, b))
        out += _shift(one, two, prior)
    return sorted(out, key=lambda item: (-item[1], item[0]))


def _shift(a: dict[str, int], b: dict[str, int], prior: float) -> list[tuple[str, float]]:
    names = sorted(term for term in a.keys() | b.keys() if a.get(term, 0) + b.get(term, 0) >= LEAST)
    if not names:
        return []
    y = np.array([[side.get(term, 0) for term in names] for side in (a, b)], np.float64)
    total = np.array([sum(a.values()), sum(b.values())], np.float64)[:, None]
    alpha = prior * y.sum(axis=0) / total.sum()
    odds = np.log((y + alpha) / (total + prior - y - alpha))
    deviation = np.sqrt((1 / (y + alpha)).sum(axis=0))
    return list(zip(names, ((odds[0] - odds[1]) / deviation).tolist(), strict=True))


def terms(texts: list[str]) -> Counter[str]:
    """Words and pairs of neighbours, case folded."""
    held: Counter[str] = Counter()
    for text in texts:
        words = WORD.findall(text.casefold())
        held.update(words)
        held.update(f"{one} {two}" for one, two in pairwise(words))
    return held


def _texts(cat: Catalog, ref: str, rows: int) -> list[str]:
    """About `rows` texts: those of the smallest sample ids."""
    found = cat.resolve(ref)
    total = found.version.rows if found.version else 0
    where = f"sample_id < '{int(2**32 * rows / total):08x}'" if total > rows else None
    texts = [
        text[:CHARS]
        for batch in cat.scan(found.ref, ["text"], where=where)
        for text in batch.column("text").to_pylist()
        if text
    ]
    if not texts:
        raise BadInput(f"{ref} has no text, so there are no words to compare; name a dataset with text")
    return texts
