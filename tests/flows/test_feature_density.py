"""Feature density against a loop over tokens."""

from __future__ import annotations

import math
import re
from collections import Counter
from itertools import pairwise

import pytest

from catalog.errors import BadInput
from catalog.testing import append_texts, sentences
from flows.feature_density import STOP_WORDS, feature_density

TEXTS = [
    f"{text.replace('.', ' ;')}, {'The' if i % 2 else 'the'} {i % 9}, {text.split()[0].upper()}"
    for i, text in enumerate(sentences(80))
]


def _tokens(text: str) -> list[str]:
    return re.findall(r"[A-Za-z]+|\d+|[^\w\s]", text)


def _features(kind: str) -> list:
    rows = [_tokens(text) for text in TEXTS]
    if kind == "pairs":
        return [pair for row in rows for pair in pairwise(row)]
    if kind == "triples":
        return [three for row in rows for three in zip(row, row[1:], row[2:], strict=False)]
    flat = [token for row in rows for token in row]
    if kind == "lower":
        return [token.lower() for token in flat]
    if kind == "words":
        return [token for token in flat if token.isalnum()]
    if kind == "content":
        return [token.lower() for token in flat if token.isalpha() and token.lower() not in STOP_WORDS]
    return flat


@pytest.mark.parametrize("kind", ["tokens", "lower", "words", "content", "pairs", "triples"])
def test_densities_equal_the_loop(cat, kind):
    found = feature_density(cat, append_texts(cat, "rows", TEXTS, fragments=2), [kind])["densities"][kind]
    wanted = _features(kind)
    counts = Counter(wanted)
    assert (found["features"], found["different"]) == (len(wanted), len(counts))
    assert found["density"] == len(counts) / len(wanted)
    assert found["entropy"] == pytest.approx(
        -sum(n / len(wanted) * math.log2(n / len(wanted)) for n in counts.values())
    )
    assert found["once"] == pytest.approx(sum(n == 1 for n in counts.values()) / len(counts))


def test_density_falls_with_size_and_copies_halve_it(cat):
    once = feature_density(cat, append_texts(cat, "rows", TEXTS))["densities"]["tokens"]
    twice = feature_density(cat, append_texts(cat, "twice", [text for text in TEXTS for _ in (0, 1)]))["densities"]
    assert twice["tokens"]["density"] == pytest.approx(once["density"] / 2)
    assert once["density"] < once["curve"][1000] < 1


def test_what_has_no_features_is_refused(cat):
    append_texts(cat, "bare", ["", " "])
    with pytest.raises(BadInput, match="no text with features"):
        feature_density(cat, "bare")
    with pytest.raises(BadInput, match="no kind of feature 'lemmas'"):
        feature_density(cat, "bare", ["lemmas"])
