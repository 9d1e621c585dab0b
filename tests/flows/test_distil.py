"""A column on a sample becomes a column for all, with its agreement; below the floor it is refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from catalog.errors import BadInput
from catalog.testing import attach_columns, sentences, text_dataset
from flows import score
from flows.scorers.combine._students import apply, train

ORACLES = {"distil": "predictions of scikit-learn's trees and ridge, closed form; held-out rows"}


def test_a_student_learns_a_sample_and_scores_every_row(cat, tmp_path):
    texts = sentences(400, seed=1)
    truth = np.array([sum(text.count(word) for word in ("river", "stars", "oak", "fox")) / len(text) for text in texts])
    text_dataset(cat, tmp_path, "web", texts)
    attach_columns(cat, "web", {"judge": np.where(np.arange(400) < 250, truth, np.nan),
                                "noise": np.random.default_rng(0).standard_normal(400)})  # fmt: skip
    score(cat, "web", ["distil"], params={"teacher": "judge", "floor": 0.5})
    column = next(c for c in cat.columns("web") if c.scorer == "distil")
    report = column.report
    assert report["rows"] == 250 and report["low"] < report["spearman"] < report["high"]
    guess = np.concatenate([b.column(0).to_numpy() for b in cat.scan("web", [column.alias])])
    assert column.covered == 400 and spearmanr(guess[250:], truth[250:])[0] > 0.5
    assert 0.3 < report["calibration"]["slope"] < 3 and len(report["calibration"]["tenths"]) == 10
    with pytest.raises(BadInput, match=r"Spearman correlation with 'noise' is .* below the floor 0.6"):
        score(cat, "web", ["distil"], params={"teacher": "noise"})
    assert sum(c.scorer == "distil" for c in cat.columns("web")) == 1


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({}, "say what to learn"),
        ({"teacher": "judge", "student": "ridge"}, "vectors=embedding"),
        ({"teacher": "few"}, "has 10 usable values"),
    ],
)
def test_mistakes_are_one_line(cat, tmp_path, params, error):
    text_dataset(cat, tmp_path, "web", sentences(60, seed=2))
    attach_columns(cat, "web", {"judge": np.arange(60.0), "few": np.where(np.arange(60) < 10, np.arange(60.0), np.nan)})
    with pytest.raises(BadInput, match=error):
        score(cat, "web", ["distil"], params=params)


def test_stored_students_are_what_scikit_learn_predicts():
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.linear_model import Ridge

    rng = np.random.default_rng(0)
    points = rng.standard_normal((400, 6))
    wanted = np.sin(points[:, 0] * 2) + points[:, 1] ** 2
    new = rng.standard_normal((100, 6))
    trees = HistGradientBoostingRegressor(max_iter=200, early_stopping=False, random_state=3).fit(points, wanted)
    assert apply("gbdt", train("gbdt", points, wanted, 3), new) == pytest.approx(trees.predict(new))
    flat = np.linalg.solve((c := points - points.mean(0)).T @ c + np.eye(6), c.T @ (wanted - wanted.mean()))
    assert train("ridge", points, wanted, 0)["weights"] == pytest.approx(flat)
    assert apply("ridge", train("ridge", points, wanted, 0), new) == pytest.approx(
        Ridge().fit(points, wanted).predict(new)
    )
    small = train("mlp", points, wanted, 3)
    assert spearmanr(apply("mlp", small, points), wanted)[0] > 0.7
