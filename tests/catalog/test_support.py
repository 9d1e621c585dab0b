"""The held texts nearest to a text: by words without vectors, by meaning with them, and against human reference texts."""

from __future__ import annotations

import numpy as np
import pytest
from fastapi.testclient import TestClient

from catalog.errors import BadInput
from catalog.support import compared, support
from catalog.testing import sentences, text_dataset
from flows import score
from flows.models.testing import tiny_encoder
from ui.api.app import create_app
from ui.api.tokens import create


def test_n_grams_and_runs_by_hand():
    words, other = "a b c d e f".split(), "x b c d e y a b".split()
    assert compared(words, other, 2) == {"overlap": pytest.approx(4 / 5), "longest": 4}
    assert compared(words, other, 4) == {"overlap": pytest.approx(1 / 3), "longest": 4}
    assert compared(["a"], other, 5) == {"overlap": 1.0, "longest": 1}
    assert compared(words, [], 3) == {"overlap": 0.0, "longest": 0}


def test_the_text_that_was_copied_is_found_by_words_alone(cat, tmp_path):
    texts = sentences(60, seed=1, low=12, high=30)
    text_dataset(cat, tmp_path, "a", texts[:30])
    text_dataset(cat, tmp_path, "b", texts[30:])
    asked = "Quite new words first: " + " ".join(texts[41].split()[2:11])
    found = support(cat, asked, limit=3)
    best = found["nearest"][0]
    assert best["dataset"] == "b" and best["text"] == texts[41] and found["longest"] == best["longest"] >= 8
    assert found["cosine"] is None and any("not searched by meaning" in line for line in found["notes"])
    assert support(cat, asked, ["a"])["longest"] < 8
    with pytest.raises(BadInput, match="has no word"):
        support(cat, "?!")


def test_cosine_and_rank_among_human_texts(cat, tmp_path):
    texts = sentences(50, seed=2, low=8, high=20)
    model = {"model": tiny_encoder(tmp_path / "model", dimensions=32)}
    text_dataset(cat, tmp_path, "held", texts[:30])
    text_dataset(cat, tmp_path, "human", texts[20:])  # ten of thirty stand in the data word for word
    score(cat, "held", ["minilm"], params=model, dtype="float32")
    copied = support(cat, texts[3], reference="human")
    assert copied["searched"] == ["held"] and copied["cosine"] == pytest.approx(1, abs=1e-4)
    assert copied["rank"] == pytest.approx(0, abs=0.34) and copied["nearest"][0]["text"] == texts[3]
    far = support(cat, "zzz qqq", reference="human")
    vectors = np.array([v for b in cat.scan("held", ["embedding"]) for v in b[0].to_pylist()])
    assert -1 <= far["cosine"] < 0.999 and len(vectors) == 30 and 1 >= far["rank"] > 0.3
    web = TestClient(create_app(cat), headers={"Authorization": f"Bearer {create(cat, 'ana', 'read')}"})
    answer = web.post("/support", json={"text": texts[3], "datasets": ["held"], "limit": 1}).json()
    assert answer["nearest"][0]["overlap"] == 1.0 and len(answer["nearest"]) == 1
