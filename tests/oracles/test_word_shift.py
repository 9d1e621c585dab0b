"""Log odds with a Dirichlet prior against the formulas of the paper, term by term."""

import math
from collections import Counter

import pytest

from catalog.errors import BadInput
from catalog.testing import sentences, text_dataset
from flows.word_shift import LEAST, PRIOR, shift, terms, word_shift


def naive(a: Counter, b: Counter, prior: float) -> dict[str, float]:
    """Equations 16, 20 and 22 of Monroe et al. with alpha in proportion to both sides' counts."""
    n = [sum(side.values()) for side in (a, b)]
    out = {}
    for term in set(a) | set(b):
        both = a[term] + b[term]
        if both < LEAST:
            continue
        alpha = prior * both / sum(n)
        odds = [math.log((y + alpha) / (total + prior - y - alpha)) for y, total in zip((a[term], b[term]), n)]
        out[term] = (odds[0] - odds[1]) / math.sqrt(1 / (a[term] + alpha) + 1 / (b[term] + alpha))
    return out


def test_scores_are_those_of_the_paper():
    sides = [terms(sentences(60, seed=seed)) for seed in (1, 2)]
    found = dict(shift(*sides))
    for pairs in (False, True):
        cut = [Counter({t: n for t, n in side.items() if (" " in t) == pairs}) for side in sides]
        expected = naive(*cut, PRIOR)
        assert {t for t in found if (" " in t) == pairs} == set(expected)
        assert all(found[term] == pytest.approx(z, rel=1e-9, abs=1e-9) for term, z in expected.items())


def test_swapping_the_sides_swaps_the_signs():
    a, b = terms(["red red red red fish"] * 3), terms(["blue blue blue blue fish"] * 3)
    forth, back = dict(shift(a, b)), dict(shift(b, a))
    assert forth["red"] > 0 > forth["blue"] and abs(forth["fish"]) < 1e-9
    assert all(forth[term] == pytest.approx(-back[term]) for term in forth)


def test_of_datasets_with_texts_and_without(cat, tmp_path):
    text_dataset(
        cat,
        tmp_path,
        "sea",
        ["the ship sails on the sea under the stars"] * 1 + [f"ship number {at} sails" for at in range(9)],
    )
    text_dataset(cat, tmp_path, "soup", [f"season the soup and stir soup {at}" for at in range(9)])
    held = word_shift(cat, "sea", "soup")
    assert held["a"][0]["term"] in ("ship", "sails") and held["b"][0]["term"] == "soup"
    assert held["a"][0]["b"] == 0 and held["kl_b_from_a"] > 0
    same = word_shift(cat, "sea", "sea")
    assert (same["a"], same["b"], round(same["kl_a_from_b"], 9)) == ([], [], 0)
    text_dataset(cat, tmp_path, "many", sentences(300))
    assert 10 < word_shift(cat, "many", "soup", rows=50)["rows"]["a"] < 120
    with pytest.raises(BadInput, match="no text"):
        word_shift(cat, "sea", _empty(cat, tmp_path))


def _empty(cat, tmp_path) -> str:
    text_dataset(cat, tmp_path, "none", [{"text": "x", "url": "a"}])
    cat.retract(where="text = 'x'", datasets=["none"], reason="test")
    return "none"
