"""The linear classifier against the official fastText package: same texts, same order, same probabilities."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from flows.scorers.ngram._fasttext import fnv, margins, pair_buckets, tokens, train

ORACLES = {"fasttext_quality": "fasttext-wheel 0.9.2, one thread: probabilities within 5e-7"}

GOLDEN = json.loads((Path(__file__).parent / "data" / "fasttext_golden.json").read_text(encoding="utf-8"))
REPORTED = 1e-5  # the package reports exp(log(p + 1e-5))


@pytest.mark.parametrize("run", GOLDEN["runs"], ids=lambda run: f"dim {run['dim']}")
def test_probabilities_equal_the_official_package(run):
    options = {key: run[key] for key in ("dim", "epochs", "rate", "buckets", "seed")}
    model = train([tokens(text) for text in GOLDEN["texts"]], np.array(GOLDEN["labels"], bool), **options)
    got = 1 / (1 + np.exp(-margins(model, [tokens(query) for query in GOLDEN["queries"]])))
    assert got + REPORTED == pytest.approx(np.array(run["probability"]), abs=5e-7)


def test_the_golden_model_has_learned():
    want = np.array(GOLDEN["runs"][1]["probability"])
    assert np.ptp(want) > 0.9


def test_hashes_by_hand():
    assert fnv(b"") == 2166136261 - 2**32
    assert fnv(b"a") == 0xE40C292C - 2**32  # published FNV-1a of "a"
    value = ((2166136261 ^ 0xFFFFFFC3) * 16777619 % 2**32 ^ 0xFFFFFFA9) * 16777619 % 2**32  # é: signed bytes
    assert fnv("é".encode()) % 2**32 == value
    left, right = fnv(b"the") % 2**64, fnv(b"cat") % 2**64
    assert pair_buckets([b"the", b"cat"], 1000).tolist() == [(left * 116049371 + right) % 2**64 % 1000]


def test_a_line_is_what_the_package_reads():
    assert tokens(" a\nb\u2028c\td\xa0e\x00f ") == [b"a", b"b", b"c", "d\xa0e".encode(), b"f"]
    assert tokens("x __label__1 y </s> z") == [b"x", b"y"]
