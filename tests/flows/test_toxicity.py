"""Toxicity: a tiny classifier against transformers' own pipeline; what RealToxicityPrompts reports, in closed form."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pyarrow as pa
import pytest

from catalog.errors import BadInput, NotFound
from catalog.plugins import Context, get_scorer
from catalog.testing import attach_columns, sentences, text_dataset
from flows import score
from flows.models.testing import tiny_classifier, tiny_encoder
from flows.toxicity import expected_maximum, prompt_toxicity

ORACLES = {
    "toxicity": "transformers' text classification pipeline",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("toxicity")


def _score(texts, **params):
    scorer = get_scorer("toxicity")
    ctx = Context(params=scorer.parse_params(params), dtype="float32")
    ctx.model = scorer.load(ctx)
    return scorer.function(pa.record_batch({"text": pa.array(texts, pa.string())}), ctx)["toxicity"].to_pylist()


@pytest.mark.parametrize(
    ("labels", "config"),
    [
        (("fine", "toxic"), {}),
        (("Toxic", "obscene", "threat"), {"problem_type": "multi_label_classification"}),
        (("toxic",), {}),
    ],
    ids=["exclusive", "several", "one"],
)
def test_probabilities_equal_the_pipelines(labels, config, folder, monkeypatch):
    from transformers import BertForSequenceClassification, PreTrainedTokenizerFast, pipeline

    path = tiny_classifier(folder / f"of-{len(labels)}", labels=labels, **config)
    texts = [*sentences(20), "short", "long " * 700]
    words = PreTrainedTokenizerFast(tokenizer_file=f"{path}/tokenizer.json", model_max_length=128)
    judge = pipeline("text-classification", model=BertForSequenceClassification.from_pretrained(path), tokenizer=words)
    theirs = [
        next(one["score"] for one in found if one["label"].lower() == "toxic")
        for found in judge(texts, top_k=None, truncation=True)
    ]
    ours = _score(texts, model=path, max_tokens=128)
    assert ours == pytest.approx(theirs, abs=1e-5) and np.std(ours) > 0.001


def test_what_cannot_judge_is_refused_in_one_line(folder):
    path = tiny_classifier(folder / "other", labels=("spam", "ham"))
    with pytest.raises(BadInput, match="no class 'toxic'.*spam, ham"):
        _score(["a"], model=path)
    with pytest.raises(BadInput, match="not trained to classify"):
        _score(["a"], model=tiny_encoder(folder / "encoder", dimensions=32))
    with pytest.raises(BadInput, match="beyond the 512 positions"):
        _score(["a"], model=tiny_classifier(folder / "fits"), max_tokens=1024)


def _prompts(cat, folder, scores: dict[str, list[float | None]]) -> str:
    rows = [{"text": f"{prompt} {i}", "prompt": prompt} for prompt, held in scores.items() for i in range(len(held))]
    ref = text_dataset(cat, folder, "generations", rows)
    found = [json.loads(row)["prompt"] for batch in cat.scan(ref, ["meta"]) for row in batch["meta"].to_pylist()]
    left = {prompt: iter(held) for prompt, held in scores.items()}
    attach_columns(cat, ref, {"judged": np.array([math.nan if (v := next(left[p])) is None else v for p in found])})
    return ref


def test_prompt_statistics_are_those_of_the_definition(cat, tmp_path):
    rng = np.random.default_rng(0)
    scores = {f"p{i}": rng.random(5).round(3).tolist() for i in range(12)} | {"quiet": [0.1, 0.2], "gone": [None]}
    found = prompt_toxicity(cat, _prompts(cat, tmp_path, scores), column="judged", prompt="prompt", least=1)
    tops = [max(held) for prompt, held in scores.items() if prompt != "gone"]
    assert found["prompts"] == 13 and found["generations"] == 62
    assert found["expected_maximum"] == pytest.approx(np.mean(tops))
    assert found["deviation"] == pytest.approx(np.std(tops, ddof=1))
    assert found["probability"] == pytest.approx(np.mean([top > 0.5 for top in tops]))
    low, high = found["expected_maximum_interval"]
    half = 1.96 * np.std(tops) / math.sqrt(len(tops))
    assert low == pytest.approx(np.mean(tops) - half, abs=0.2 * half)
    assert high == pytest.approx(np.mean(tops) + half, abs=0.2 * half)


def test_fewer_generations_are_the_mean_over_all_draws(cat, tmp_path):
    scores = {"a": [0.1, 0.9, 0.4, 0.4], "b": [0.6, 0.2, 0.3], "c": [0.5]}
    found = prompt_toxicity(cat, _prompts(cat, tmp_path, scores), column="judged", prompt="prompt", k=2)
    draws = {name: list(itertools.combinations(held, 2)) for name, held in scores.items() if len(held) >= 2}
    assert found["prompts"] == 2 and found["left_out"] == 1
    tops = [np.mean([max(draw) for draw in held]) for held in draws.values()]
    assert found["expected_maximum"] == pytest.approx(np.mean(tops))
    assert found["probability"] == pytest.approx(
        np.mean([np.mean([max(draw) > 0.5 for draw in held]) for held in draws.values()])
    )


def test_the_expected_maximum_of_uniform_scores_is_k_of_k_plus_one():
    grid = (np.arange(10_000) + 0.5) / 10_000
    for k in (1, 2, 25):
        assert expected_maximum(grid, k) == pytest.approx(k / (k + 1), abs=1e-3)


def test_a_column_without_prompts_is_refused(cat, tmp_path):
    ref = _prompts(cat, tmp_path, {"a": [0.1, 0.2]})
    with pytest.raises(BadInput, match="no row has a meta field 'question'"):
        prompt_toxicity(cat, ref, column="judged", prompt="question")
    with pytest.raises(NotFound):
        prompt_toxicity(cat, ref, column="toxic", prompt="prompt")


def test_a_column_is_scored_with_a_folder(cat, tmp_path, folder):
    ref = text_dataset(cat, tmp_path, "web", [{"text": text} for text in sentences(8)])
    report = score(cat, ref, ["toxicity"], params={"model": tiny_classifier(folder / "fits")}, dtype="float32")
    assert report.columns["toxicity"]["covered"] == 8
