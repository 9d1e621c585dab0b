"""Corpus statistics of facts: how often a subject and an object occur, and how often they occur together.

The statistics that Elazar et al. 2022, "Measuring Causal Effects of Data Statistics on Language Model's 'Factual'
Predictions", arXiv:2207.14251, take for causes of what a model answers: for a fact (subject, pattern, object) the units
of text that hold subject and object together, pattern and object together, and the exact sentence that the pattern gives
("[X] was born in [Y]"); beside them the units of each alone. A pattern is held where the words before, between and after
its places are. The causal effects themselves need a model's answers and are not here.

A unit is a paragraph (text between line breaks) or a document. A name occurs where its words stand in a row; words are
compared case-folded in NFKC without punctuation, and scripts without spaces by character, as the duplicate methods
compare them. Names are looked up by 64-bit hashes of their words, one sorted lookup a length of name: the cost grows with
the text and hardly with the number of facts.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any, Literal

import numpy as np

from catalog.catalog import Catalog
from catalog.errors import BadInput
from flows.scorers.ngram._hashing import ngram_hashes, owners, word_hashes
from flows.sets import rows_of

COUNTS = ("subject", "object", "together", "pattern_object", "sentence")


def fact_counts(
    cat: Catalog, ref: str, facts: list[dict[str, str]], unit: Literal["paragraph", "document"] = "paragraph"
) -> dict[str, Any]:
    """{"units", "facts": [{"subject", "object", "counts": {...}}]} of a dataset version or selection, in the facts' order.

    facts: dictionaries with subject, object and perhaps pattern, which holds [X] and [Y] for them.
    """
    phrases = _Phrases()
    places = [_places(phrases, fact, number) for number, fact in enumerate(facts)]
    if not places:
        raise BadInput("facts: none given; a file has lines with subject, object and perhaps pattern")
    table, parts = np.array([place for place, _ in places], np.int64), [part for _, part in places]
    patterned = [i for i, part in enumerate(parts) if part]
    found = {name: np.zeros(len(places), np.int64) for name in COUNTS}
    units = 0
    for batch in rows_of(cat, ref, ["text"]):
        texts = [part for text in batch["text"].to_pylist() for part in _units(text or "", unit)]
        units += len(texts)
        held = phrases.occurrences(texts)
        subject, object_, sentence = (held[:, table[:, i]] for i in range(3))
        found["subject"] += _sums(subject)
        found["object"] += _sums(object_)
        found["together"] += _sums(subject.multiply(object_))
        for i in patterned:
            both = object_[:, [i]]
            for part in parts[i]:
                both = both.multiply(held[:, [part]])
            found["pattern_object"][i] += both.sum()
        found["sentence"] += _sums(sentence)
    listed = []
    for i, fact in enumerate(facts):
        names = COUNTS if fact.get("pattern") else COUNTS[:3]
        counts = {name: int(found[name][i]) for name in names}
        listed.append({"subject": fact["subject"], "object": fact["object"], "counts": counts})
    return {"units": units, "unit": unit, "facts": listed}


class _Phrases:
    """Phrases by number, found by the hash of their words; number 0 is a phrase that never occurs."""

    def __init__(self) -> None:
        self.numbers: dict[tuple[int, int], int] = {}

    def number(self, phrase: str) -> int:
        """A phrase's number; 0 for one without a word."""
        words, offsets = word_hashes([phrase])
        if not words.size:
            return 0
        key = (int(words.size), int(ngram_hashes(words, offsets, int(words.size))[0][0]))
        return self.numbers.setdefault(key, len(self.numbers) + 1)

    def occurrences(self, texts: list[str]) -> Any:
        """Sparse 0/1 matrix: which text holds which phrase."""
        from scipy.sparse import csc_matrix

        by_length: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for (length, key), number in self.numbers.items():
            by_length[length].append((key, number))
        words, offsets = word_hashes(texts)
        owner = owners(offsets)
        pairs = [np.empty((0, 2), np.int64)]
        for length, wanted in by_length.items():
            wanted.sort()
            keys, numbers = np.array([key for key, _ in wanted], np.uint64), np.array([number for _, number in wanted])
            hashes, first = ngram_hashes(words, offsets, length)
            at = np.minimum(np.searchsorted(keys, hashes), len(keys) - 1)
            hit = keys[at] == hashes
            pairs.append(np.column_stack([owner[first[hit]], numbers[at[hit]]]))
        row, column = np.unique(np.concatenate(pairs), axis=0).T
        shape = (len(texts), len(self.numbers) + 1)
        return csc_matrix((np.ones(len(row), np.int64), (row, column)), shape=shape)


def _places(phrases: _Phrases, fact: dict[str, str], number: int) -> tuple[list[int], list[int]]:
    """Numbers of the subject, the object and the whole sentence; numbers of the pattern's parts."""
    for name in ("subject", "object"):
        if not isinstance(fact.get(name), str) or not phrases.number(fact[name]):
            raise BadInput(f"facts: fact {number + 1} has no {name} with a word; each needs subject and object")
    pattern = fact.get("pattern", "")
    if pattern and not ("[X]" in pattern and "[Y]" in pattern):
        raise BadInput(f"facts: the pattern of fact {number + 1} lacks [X] or [Y]: {pattern!r}")
    parts = {phrases.number(part) for part in re.split(r"\[[XY]\]", pattern)} - {0}
    sentence = pattern.replace("[X]", fact["subject"]).replace("[Y]", fact["object"])
    return [phrases.number(text) for text in (fact["subject"], fact["object"], sentence)], sorted(parts)


def _units(text: str, unit: str) -> list[str]:
    return [part for part in text.splitlines() if part.strip()] if unit == "paragraph" else [text] if text else []


def _sums(matrix: Any) -> np.ndarray:
    return np.asarray(matrix.sum(axis=0)).ravel()
