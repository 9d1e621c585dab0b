"""A diff counts what sets of ids say, and measures score shifts as scipy does."""

import numpy as np
import pyarrow as pa
import pytest

from catalog.diff import diff_versions, kolmogorov_smirnov
from catalog.errors import NotFound
from catalog.testing import append_texts, attach_columns, sentences, text_dataset


def test_rows_content_and_categories(cat, tmp_path):
    rows = [{"id": f"r{i}", "text": t, "source": "a" if i % 2 else "b"} for i, t in enumerate(sentences(30))]
    text_dataset(cat, tmp_path, "old", rows, key="id", source=None)
    text_dataset(cat, tmp_path, "new", [*rows[5:29], {**rows[29], "text": "edited here"}], key="id")
    held = [{r["sample_id"]: r["content_id"] for b in cat.scan(n, ["sample_id", "content_id"]) for r in b.to_pylist()}
            for n in ("old", "new")]  # fmt: skip
    found = diff_versions(cat, "old", "new")
    common = held[0].keys() & held[1].keys()
    assert (found["added"], found["removed"], found["common"]) == (
        len(held[1].keys() - held[0].keys()),
        len(held[0].keys() - held[1].keys()),
        len(common),
    )
    assert found["content_changed"] == sum(held[0][s] != held[1][s] for s in common)
    assert found["rows"] == {"a": 30, "b": 25, "change": -5} and found["same"] is False
    assert found["chars"]["b"] == sum(len(r["text"]) for r in rows[5:29]) + len("edited here")
    assert sum(v["a"] for v in found["sources"].values()) == 30 and found["languages"] == {} and found["tokens"] is None


def test_versions_of_one_dataset(cat):
    append_texts(cat, "web", sentences(40))
    append_texts(cat, "web", sentences(10, seed=1))
    lengths = [len(t) for t in [*sentences(40), *sentences(10, seed=1)]]
    attach_columns(
        cat,
        "web",
        {
            "tokens": pa.array([n // 4 for n in lengths], pa.int32()),
            "language": ["en"] * 40 + ["de"] * 10,
            "quality": pa.array([0.2] * 40 + [0.9] * 9 + [None], pa.float32()),
        },
    )
    found = diff_versions(cat, "web@v1", "web@v2")
    assert (found["added"], found["removed"], found["common"], found["content_changed"]) == (10, 0, 40, 0)
    assert found["tokens"]["change"] == sum(n // 4 for n in lengths[40:]) and found["tokens"]["counted_rows"] == [
        40,
        50,
    ]
    assert found["languages"] == {"de": {"a": 0, "b": 10, "change": 10}, "en": {"a": 40, "b": 40, "change": 0}}
    quality = found["scores"]["quality"]
    assert quality["rows"] == [40, 49] and quality["ks"] == pytest.approx(9 / 49)
    assert quality["shift"] == pytest.approx((0.2 * 40 + 0.9 * 9) / 49 - 0.2, abs=1e-6)
    assert diff_versions(cat, "web@v2", "web@v1")["removed"] == 10
    same = diff_versions(cat, "web", "web@v2")
    assert same["same"] and same["added"] == same["removed"] == 0 and same["scores"]["quality"]["ks"] == 0
    cat.rollback("web", 1)
    back = diff_versions(cat, "web@v1", "web@v3")
    assert back["same"] and (back["added"], back["removed"], back["common"]) == (0, 0, 40)


def test_columns_of_other_recipes_are_not_compared(cat):
    append_texts(cat, "a", sentences(5))
    append_texts(cat, "b", sentences(5))
    attach_columns(cat, "a", {"q": [0.1] * 5, "only_a": [1] * 5}, scorer="one")
    attach_columns(cat, "b", {"q": [0.2] * 5}, scorer="two")
    found = diff_versions(cat, "a", "b")
    assert found["scores"] == {} and found["columns"] == {
        "only_in_a": ["only_a"],
        "only_in_b": [],
        "made_differently": ["q"],
    }


def test_empty_and_unknown(cat):
    append_texts(cat, "a", sentences(5))
    cat.create_dataset("empty", kind="text", tier="L0")
    assert diff_versions(cat, "empty", "a")["added"] == 5
    with pytest.raises(NotFound, match="did you mean a"):
        diff_versions(cat, "a", "aa")


def test_distance_equals_scipy():
    from scipy.stats import ks_2samp

    rng = np.random.default_rng(0)
    for a, b in (
        (rng.normal(size=500), rng.normal(0.3, 1.2, 700)),
        (rng.integers(0, 4, 300).astype(float), rng.integers(1, 5, 200).astype(float)),
        (np.ones(5), np.ones(9)),
        (np.zeros(3), np.ones(4)),
    ):
        assert kolmogorov_smirnov(a, b) == pytest.approx(ks_2samp(a, b).statistic)
    assert kolmogorov_smirnov(np.empty(0), np.ones(3)) is None


def test_samples_are_drawn_alike_and_say_their_size(cat, monkeypatch):
    append_texts(cat, "web", sentences(2000))
    attach_columns(cat, "web", {"x": pa.array(np.random.default_rng(0).random(2000))})
    monkeypatch.setattr("catalog.diff.KS_ROWS", 200)
    found = diff_versions(cat, "web", "web@v1")["scores"]["x"]
    assert found["ks"] == 0 and 120 < found["ks_rows"][0] == found["ks_rows"][1] < 280
    assert found["rows"] == [2000, 2000], "means stay exact"
