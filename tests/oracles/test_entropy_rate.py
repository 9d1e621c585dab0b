"""Surprisal by position: transformers' own logits, token by token, and the Mann-Kendall count of pairs."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest

from catalog.plugins import Context, get_scorer
from catalog.testing import sentences
from flows.models.testing import tiny_language_model
from flows.scorers.forward.entropy_rate import trend

ORACLES = {
    "entropy_rate": "transformers' logits token by token; a loop over all pairs",
}


def _tau(values: list[float]) -> float:
    """Mann-Kendall: pairs that rise less pairs that fall; tau-b takes tied pairs out of one side."""
    rise = tied = 0
    for i in range(len(values)):
        for j in range(i + 1, len(values)):
            rise += (values[j] > values[i]) - (values[j] < values[i])
            tied += values[i] == values[j]
    pairs = len(values) * (len(values) - 1) / 2
    return rise / math.sqrt(pairs * (pairs - tied))


@pytest.mark.parametrize("size", [10, 60, 200])
def test_trend_equals_the_count_of_pairs(size):
    rng = np.random.default_rng(size)
    values = np.round(rng.normal(size=size) + np.linspace(0, 1, size), 1)
    assert trend(values) == pytest.approx(_tau(values.tolist()), abs=1e-12)


def test_trends_that_are_known():
    assert trend(np.arange(50.0)) == pytest.approx(1) and trend(-np.arange(50.0)) == pytest.approx(-1)
    assert trend(np.full(50, 2.0) + np.arange(50) * 1e-7) == 0


@pytest.mark.parametrize("bos", [True, False])
def test_surprisals_equal_the_models_own(tmp_path, bos):
    import torch
    from tokenizers import Tokenizer
    from transformers import AutoModelForCausalLM

    path = tiny_language_model(tmp_path / "model", bos=bos, seed=3)
    texts = [*sentences(6, low=30, high=90), "short", "", None]
    scorer = get_scorer("entropy_rate")
    ctx = Context(params=scorer.parse_params({"model": path, "max_tokens": 120, "min_tokens": 20}), dtype="float32")
    ctx.model = scorer.load(ctx)
    found = scorer.function(pa.record_batch({"text": pa.array(texts, pa.string())}), ctx)
    model, words = AutoModelForCausalLM.from_pretrained(path), Tokenizer.from_file(f"{path}/tokenizer.json")
    for row, text in enumerate(texts[:6]):
        ids = words.encode(text).ids[:120]
        surprisals = []
        for place in range(1, len(ids)):  # one prefix at a time
            with torch.no_grad():
                logits = model(torch.tensor([ids[:place]])).logits[0, -1].double()
            surprisals.append(float(-logits.log_softmax(0)[ids[place]]))
        wanted = [np.mean(part) for part in np.array_split(surprisals, 10)]
        assert found["surprisal_tenths"][row].as_py() == pytest.approx(wanted, abs=1e-4)
        assert found["surprisal_trend"][row].as_py() == pytest.approx(_tau(np.round(surprisals, 3).tolist()), abs=2e-3)
    assert found["surprisal_trend"].to_pylist()[6:] == [None, None, None]
