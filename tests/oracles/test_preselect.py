"""Predictive strength against the loop of the released code; the scorer learned from it; columns of two real models."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest

from catalog.errors import BadInput
from catalog.plugins import Context, get_scorer
from catalog.testing import append_texts, attach_columns, sentences, text_dataset
from flows import score
from flows.models.testing import tiny_language_model
from flows.scorers.combine.preselect import Params, classes

ORACLES = {
    "predictive_strength": "a loop over documents and pairs of models, as in the released code",
    "preselect": "planted texts; fastText's own training (test_fasttext)",
}


def _strength(losses: dict[str, list], **params) -> dict[str, list]:
    scorer = get_scorer("predictive_strength")
    batch = pa.record_batch({name: pa.array(values, pa.float64()) for name, values in losses.items()})
    found = scorer.function(batch, Context(params=scorer.parse_params({"columns": list(losses), **params})))
    return {name: column.to_pylist() for name, column in found.items()}


def _loop(losses: dict[str, list[float]], ability: dict[str, float]) -> list[float]:
    """One document and one pair of models at a time."""
    models, found = list(losses), []
    for document in range(len(next(iter(losses.values())))):
        agree = pairs = 0
        for i in range(len(models)):
            for j in range(i + 1, len(models)):
                a, b = models[i], models[j]
                if ability[a] > ability[b]:
                    pairs += 1
                    agree += losses[a][document] < losses[b][document]
                elif ability[a] < ability[b]:
                    pairs += 1
                    agree += losses[a][document] > losses[b][document]
        found.append(agree / pairs)
    return found


@pytest.mark.parametrize("averages", [[81, 80, 79, 77, 76, 75], [79, 81, 75, 76, 80, 77], [70, 70, 60, 60, 60, 50]])
def test_strengths_equal_the_loop_over_pairs(averages):
    rng = random.Random(sum(averages))
    losses = {f"m{i}": [round(rng.gauss(1, 0.3), 1) for _ in range(200)] for i in range(6)}
    ability = dict(zip(losses, averages, strict=True))
    found = _strength(losses, ability=averages)["predictive_strength"]
    assert found == pytest.approx(_loop(losses, ability), abs=0) and len(set(found)) > 8


def test_the_order_of_the_columns_is_the_ability_when_none_is_given():
    found = _strength({"big": [0.5, 2.0, 1.0], "mid": [0.6, 1.0, 1.0], "small": [0.7, 0.5, 2.0]})
    assert found["predictive_strength"] == pytest.approx([1.0, 0.0, 2 / 3])  # a tie agrees with nobody


def test_a_row_that_a_model_did_not_read_has_no_strength():
    found = _strength({"big": [0.5, None, float("nan")], "small": [0.7, 0.7, 0.7]})
    assert found["predictive_strength"] == [1.0, None, None] and len(set(found["_state"])) == 2


@pytest.mark.parametrize(
    ("columns", "ability", "reason"),
    [(["a"], [], "at least 2"), (["a", "b"], [1.0], "as many abilities"), (["a", "b"], [1.0, 1.0], "not all of them")],
)
def test_what_gives_no_pairs_is_refused(columns, ability, reason):
    with pytest.raises(BadInput, match=reason):
        _strength({name: [1.0] for name in columns}, ability=ability)


def test_the_scorer_learns_what_predicts_and_covers_every_row(cat):
    plain, good = sentences(200, seed=1), sentences(200, seed=2)
    texts = [*plain, *(f"theorem {text} lemma proof" for text in good)]
    ref = append_texts(cat, "rows", texts)
    rng = np.random.default_rng(0)
    order = [row for batch in cat.scan(ref, ["text"]) for row in batch["text"].to_pylist()]
    wanted = np.array(["theorem" in text for text in order])
    graded = np.where(rng.random(400) < 0.5, wanted * 0.8 + rng.integers(0, 3, 400) / 15, np.nan)
    attach_columns(cat, "rows", {"agreement": graded})
    report = score(
        cat, "rows", ["preselect"], params={"strength": "agreement", "share": 0.3, "epochs": 20, "rate": 1.0}
    )
    assert report.reports["preselect"]["auc"] > 0.95 and report.columns["preselect"]["covered"] == 400
    found = np.concatenate([batch["preselect"].to_numpy() for batch in cat.scan("rows", ["preselect"])])
    assert found[wanted].mean() > found[~wanted].mean() + 0.3
    attach_columns(cat, "rows", {"noise": rng.random(400)})
    with pytest.raises(BadInput, match="below the floor"):
        score(cat, "rows", ["preselect"], params={"strength": "noise", "share": 0.4, "floor": 0.99})


def test_classes_are_the_ends_of_the_ranking():
    strength = {f"k{i:02d}": round((i % 10) / 9, 6) for i in range(40)}
    good, bad = classes(strength, Params(share=0.2))
    assert good == ["k09", "k19", "k29", "k39", "k08", "k18", "k28", "k38"]
    assert bad == ["k00", "k10", "k20", "k30", "k01", "k11", "k21", "k31"]
    good, bad = classes(strength, Params(perfect=True))
    assert good == ["k09", "k19", "k29", "k39"] and bad == ["k00", "k10", "k20", "k30"]
    assert classes(dict.fromkeys(strength, 0.4), Params(share=0.5))[1] == []


def test_the_same_loss_of_two_models_is_two_columns_that_can_be_named(cat, tmp_path):
    ref = text_dataset(cat, tmp_path, "web", [{"text": text} for text in sentences(12)])
    for name, seed in (("big", 1), ("small", 2)):
        model = tiny_language_model(tmp_path / name, seed=seed)
        score(cat, ref, ["bits_per_byte"], params={"model": model}, aliases={"bits_per_byte": f"bpb_{name}"},
              dtype="float32")  # fmt: skip
    score(cat, ref, ["predictive_strength"], params={"columns": ["bpb_big", "bpb_small"]})
    for batch in cat.scan(ref, ["bpb_big", "bpb_small", "predictive_strength"]):
        big, small, strength = (batch[name].to_numpy() for name in batch.schema.names if name != "sample_id")
        assert strength.tolist() == (big < small).astype(float).tolist() and 0 < strength.sum() < 12
