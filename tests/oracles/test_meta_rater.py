"""Weights learned from trials: against LightGBM under Meta-rater's settings, and against a known best weighting."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from catalog.errors import BadInput
from flows.meta_rater import draw_weights, learn_weights, read_trials

GOLDEN = json.loads((Path(__file__).parent / "data" / "meta_rater_golden.json").read_text())


def trials(seed: int, columns: int = 5, rows: int = 256) -> list[dict[str, float]]:
    """As in make_meta_rater_golden.py."""
    rng = np.random.default_rng(seed)
    best = rng.dirichlet(np.ones(columns) * 2)
    weights = rng.dirichlet(np.ones(columns), rows)
    loss = 3 + ((weights - best) ** 2).sum(axis=1) + 0.01 * rng.standard_normal(rows)
    return [{**{f"c{i}": x for i, x in enumerate(row)}, "loss": value} for row, value in zip(weights, loss)]


@pytest.mark.slow
@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: f"seed {golden['seed']}")
def test_learned_weights_equal_the_pipeline(golden):
    made = learn_weights(trials(golden["seed"]), seed=42)
    assert list(made["weights"].values()) == pytest.approx(golden["weights"], abs=1e-9)


def test_learned_weights_are_near_the_best():
    golden = GOLDEN[0]
    made = learn_weights(trials(golden["seed"]), searched=20_000, averaged=32)
    found = np.array(list(made["weights"].values()))
    assert found.sum() == pytest.approx(1)
    assert np.abs(found - golden["best"]).sum() < 0.5  # random weights are 0.9 off on average
    assert made["spearman"] > 0.9 and made["trials"] == 256


def test_trials_are_read_from_files(tmp_path):
    rows = trials(1, columns=2, rows=40)
    (tmp_path / "t.json").write_text(json.dumps(rows))
    (tmp_path / "t.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    (tmp_path / "t.csv").write_text("c0,c1,loss\n" + "\n".join(f"{r['c0']},{r['c1']},{r['loss']}" for r in rows))
    for name in ("t.json", "t.jsonl"):
        assert read_trials(tmp_path / name) == rows
    assert float(read_trials(tmp_path / "t.csv")[3]["loss"]) == rows[3]["loss"]


def test_drawn_weights_sum_to_one():
    drawn = draw_weights(["a", "b", "c"], 50, seed=3)
    assert len(drawn) == 50 and all(sum(row.values()) == pytest.approx(1) for row in drawn)


def test_mistakes_are_one_line(tmp_path):
    rows = trials(0, rows=40)
    for given, options, error in (
        (rows[:5], {}, "too few"),
        (rows, {"loss": "perplexity"}, "'perplexity' is missing"),
        ([{**row, "loss": 1.0} for row in rows], {}, "the same loss"),
        ([{**row, "c0": float("nan")} for row in rows], {}, "not finite"),
        (rows, {"searched": 5, "averaged": 10}, "cannot average"),
    ):
        with pytest.raises(BadInput, match=error) as caught:
            learn_weights(given, **options)
        assert "\n" not in str(caught.value)
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(BadInput, match="neither CSV nor JSON"):
        read_trials(tmp_path / "bad.json")
    with pytest.raises(BadInput, match="two or more"):
        draw_weights(["a"], 5)
