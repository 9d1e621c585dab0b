"""What two mixes serve differs in languages and scores as their weights say."""

import numpy as np
import pytest
from scipy.stats import ks_2samp

from catalog import Catalog
from catalog.mixes import publish
from catalog.mixes.shifts import ks_statistic, shifts
from catalog.testing import append_texts, attach_columns


def test_the_statistic_is_scipys():
    rng = np.random.default_rng(0)
    for a, b in ((rng.normal(size=300), rng.normal(0.3, size=200)), (rng.integers(0, 4, 99), rng.integers(0, 5, 40))):
        assert ks_statistic(a, b) == pytest.approx(ks_2samp(a, b).statistic, abs=1e-12)


def test_shares_and_scores_follow_the_weights(tmp_path):
    cat = Catalog.open(tmp_path / "home")
    for name, language, level in (("one", "de", 0.2), ("two", "en", 0.8)):
        append_texts(cat, name, [f"{name} text {row}" for row in range(400)], source=name)
        grade = np.random.default_rng(1).normal(level, 0.05, 400)
        noise = np.random.default_rng(2).normal(0, 1, 400)
        attach_columns(
            cat, name, {"language": [language] * 400, "grade": grade, "noise": noise, "group": np.arange(400)}
        )
    for mix, weights in (("even", (1, 1)), ("tilted", (1, 3))):
        parts = [{"dataset": name, "weight": weight} for name, weight in zip(("one", "two"), weights, strict=True)]
        publish(cat, {"name": mix, "total": 400, "parts": parts})
    found = shifts(cat, "even", "tilted")
    assert found["sampled"] == [400, 400]
    assert found["shares"]["language"] == {"en": [0.5, 0.75], "de": [0.5, 0.25]}
    assert found["shares"]["source"] == {"two": [0.5, 0.75], "one": [0.5, 0.25]}
    assert next(iter(found["numbers"])) == "grade" and found["numbers"]["grade"]["shift"] == pytest.approx(
        0.25, abs=0.02
    )
    assert found["numbers"]["noise"]["shift"] < found["numbers"]["noise"]["chance"]
    assert "group" not in found["numbers"]
    assert shifts(cat, "even", "even")["numbers"]["grade"]["shift"] == 0
