"""KL reduction from the counts of the authors' package data-selection, and where its value is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from catalog.errors import BadInput, NotFound
from catalog.mixes import publish
from catalog.selections import save
from catalog.testing import append_texts, sentences
from flows.kl_reduction import kl_reduction

TARGET = [
    f"prove that the sum of {a} and {b} is even" for a in ("two", "four", "six") for b in ("eight", "ten", "twelve")
]


@pytest.fixture
def store(cat):
    """A pool of which every fourth row is like the target."""
    rows = [TARGET[i % 7] + f", case {i}" if i % 4 == 0 else text for i, text in enumerate(sentences(80))]
    append_texts(cat, "pool", rows)
    append_texts(cat, "target", TARGET)
    save(cat, "proofs", "pool", "text LIKE 'prove%'")
    publish(cat, {"name": "m", "seed": 1, "total": 60, "parts": [
        {"dataset": "pool", "where": "text LIKE 'prove%'", "weight": 2, "max_epochs": 4}, {"dataset": "pool", "weight": 1},
    ]})  # fmt: skip
    return cat


def _texts(cat, ref: str) -> list[str]:
    batches = cat.mix(ref).batches(columns=["text"]) if ref == "m@v1" else cat.scan("pool", ["text"])
    texts = [text for batch in batches for text in batch["text"].to_pylist()]
    return [text for text in texts if ref != "proofs" or text.startswith("prove")]


def _official(texts: list[str]) -> np.ndarray:
    count = pytest.importorskip("data_selection.hashed_ngram_dsir").get_ngram_counts
    counts = np.zeros(10_000, int)
    for text in texts:
        count(text, counts=counts)
    return counts


def _kl(target: np.ndarray, other: np.ndarray) -> float:
    total = 0.0
    for p, q in zip(target / target.sum(), other / other.sum(), strict=True):
        total += p * (math.log(p + 1e-8) - math.log(q + 1e-8))
    return total


def test_reductions_of_datasets_selections_and_mixes_follow_from_the_packages_counts(store):
    found = kl_reduction(store, ["proofs", "m@v1", "pool"], "pool", ["target"])
    target, pool = _official(TARGET), _official(_texts(store, "pool"))
    assert found["targets"]["target"] == pytest.approx(_kl(target, pool), abs=1e-12)
    for ref in ("proofs", "m@v1"):
        texts = _texts(store, ref)
        want = _kl(target, pool) - _kl(target, _official(texts))
        assert found["sets"][ref]["kl_reduction"] == pytest.approx(want, abs=1e-12) and want > 0.05
        assert found["sets"][ref]["rows"] == len(texts)
    assert found["sets"]["pool"]["kl_reduction"] == 0 and found["sets"]["m@v1"]["rows"] == 60


def test_several_targets_are_averaged_and_the_target_itself_takes_all(store):
    append_texts(store, "other", ["stocks fell sharply on Monday"])
    found = kl_reduction(store, ["target"], "pool", ["target", "other"])["sets"]["target"]
    far = kl_reduction(store, ["target"], "pool", ["target"])["targets"]["target"]
    assert found["targets"]["target"] == pytest.approx(far, abs=1e-12)
    assert found["kl_reduction"] == pytest.approx(np.mean(list(found["targets"].values())))


def test_what_cannot_be_compared_is_refused(store):
    append_texts(store, "bare", ["", ""])
    with pytest.raises(BadInput, match="bare has no text"):
        kl_reduction(store, ["bare"], "pool", ["target"])
    with pytest.raises(NotFound, match="nobody"):
        kl_reduction(store, ["nobody"], "pool", ["target"])
    with pytest.raises(BadInput, match="one target or more"):
        kl_reduction(store, ["pool"], "pool", [])
