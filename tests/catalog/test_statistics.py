"""Stored statistics equal what numpy and scipy say over the live rows, in any batches; digests do not depend on order."""

import numpy as np
import pyarrow as pa
import pytest

from catalog.sql import Facet, facets
from catalog.statistics import LISTED, Moments, RowStatistics, column_statistics, correlations, value_words
from catalog.testing import append_texts, attach_columns, sentences

N = 300


def rows_of(texts, sources):
    return pa.record_batch(
        {
            "text": pa.array(texts, pa.string()),
            "source": pa.array(sources, pa.string()),
            "licence": pa.array([None] * len(texts), pa.string()),
            "file": pa.array(["f"] * len(texts)),
        }
    )


def test_row_statistics_count_and_merge_exactly():
    texts = [*sentences(N), None, "", "é" * 10_000]
    sources = ["a" if i % 3 else "b" for i in range(len(texts))]
    whole = RowStatistics()
    whole.add(rows_of(texts, sources))
    parts = RowStatistics()
    for at in range(0, len(texts), 7):
        part = RowStatistics()
        part.add(rows_of(texts[at : at + 7], sources[at : at + 7]))
        parts.merge(part.to_json())
    assert whole.to_json() == parts.to_json()
    body = whole.to_json()
    lengths = [len(text or "") for text in texts]
    assert (body["rows"], body["chars"]) == (len(texts), sum(lengths))
    assert body["bytes"] == sum(len((text or "").encode()) for text in texts)
    assert body["facets"]["source"] == {"a": sources.count("a"), "b": sources.count("b")}
    assert body["facets"]["licence"] == {"unknown": len(texts)}
    for q, value in body["chars_quantiles"].items():
        true = np.percentile(lengths, int(q), method="inverted_cdf")
        assert abs(value - true) <= 0.1 * true + 1, q


def test_facets_with_too_many_values_say_so(cat):
    many = RowStatistics()
    many.add(rows_of(["x"] * (LISTED + 5), [f"s{i}" for i in range(LISTED + 5)]))
    body = many.to_json()
    assert len(body["facets"]["source"]) == LISTED and body["cut"] == ["source"]
    again = RowStatistics()
    again.merge(body)
    assert again.to_json()["cut"] == ["source"]
    append_texts(cat, "web", sentences(3))
    assert facets(cat, "web", "source") == Facet({"web": 3}, 0, True)


def test_no_rows():
    assert RowStatistics().to_json()["chars_quantiles"]["50"] == 0
    assert Moments().count == 0


@pytest.fixture
def scored(cat):
    rng = np.random.default_rng(0)
    values = rng.normal(1e6, 1.0, N)
    texts = sentences(N)
    held = [None if i % 10 == 0 else float(v) for i, v in enumerate(values)]
    held[1], held[2] = float("nan"), float("inf")
    append_texts(cat, "web", texts, fragments=3)
    columns = {
        "x": pa.array(held, pa.float64()),
        "length": pa.array([len(t) for t in texts], pa.int32()),
        "lang": ["en" if i % 4 else "fr" for i in range(N)],
        "flag": pa.array([i % 5 == 0 for i in range(N)]),
        "same": pa.array([0.25] * N, pa.float32()),
        "none": pa.nulls(N, pa.float32()),
        "vector": pa.array([[1.0, float(i)] for i in range(N)], pa.list_(pa.float32(), 2)),
    }
    attach_columns(cat, "web", columns, states=[2 if i % 10 == 0 else 1 for i in range(N)])
    return (
        cat,
        {c.alias: c for c in cat.columns("web")},
        np.array([v if v is not None else np.nan for v in held]),
        texts,
    )


def test_numbers_equal_numpy_and_scipy(scored):
    from scipy.stats import pearsonr, spearmanr

    _, columns, values, texts = scored
    finite = np.isfinite(values)
    held, lengths = columns["x"].statistics, np.array([len(t) for t in texts])
    assert (held["count"], held["nulls"], held["not_finite"]) == (N - 30, 30, 2)
    assert held["mean"] == pytest.approx(values[finite].mean(), rel=1e-12)
    assert held["std"] == pytest.approx(values[finite].std(), rel=1e-9), "a large mean costs no precision"
    assert (held["min"], held["max"]) == (values[finite].min(), values[finite].max())
    for q, value in held["quantiles"].items():
        assert value == pytest.approx(np.percentile(values[finite], int(q)))
    heights, edges = np.histogram(values[finite], 40)
    assert held["histogram"]["counts"] == heights.tolist() and held["histogram"]["edges"] == pytest.approx(
        edges.tolist()
    )
    correlation = held["length_correlation"]
    assert correlation["pearson"] == pytest.approx(pearsonr(values[finite], lengths[finite]).statistic, abs=1e-4)
    assert correlation["spearman"] == pytest.approx(spearmanr(values[finite], lengths[finite]).statistic, abs=1e-4)
    assert columns["length"].statistics["length_correlation"] == {"pearson": 1.0, "spearman": 1.0}
    assert "sampled_every" not in held


def test_categories_states_and_odd_columns(scored):
    cat, columns, _, _ = scored
    assert columns["lang"].statistics["facets"] == {"en": 225, "fr": 75}
    assert columns["flag"].statistics["facets"] == {"False": 240, "True": 60}
    assert columns["x"].states == {"value": 270, "undefined": 30} and columns["x"].covered == N
    same = columns["same"].statistics
    assert (same["std"], same["length_correlation"]["pearson"]) == (0, None)
    assert sum(same["histogram"]["counts"]) == N
    assert columns["none"].statistics == {"count": 0, "nulls": N}
    assert columns["vector"].statistics == {"count": N, "nulls": 0}
    assert facets(cat, "web", "lang").values == {"en": 225, "fr": 75}


def test_ranks_share_ties():
    from scipy.stats import spearmanr

    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 5, 500).astype(float), rng.integers(0, 5, 500).astype(float)
    b += a
    assert correlations(a, b)["spearman"] == pytest.approx(spearmanr(a, b).statistic, abs=1e-4)
    assert correlations(a[:2], b[:2]) == correlations(a, np.ones(500)) == {"pearson": None, "spearman": None}
    assert correlations(a * 1e300, b)["pearson"] == pytest.approx(correlations(a, b)["pearson"], abs=1e-4)


def test_samples_are_bounded_and_say_so(scored, monkeypatch):
    cat, columns, _, _ = scored
    monkeypatch.setattr("catalog.statistics.SAMPLE", 100)
    table = cat.lance("web")
    column = columns["x"]
    body = column_statistics(table, {column.physical: column.state})[column.physical]
    assert body["statistics"]["sampled_every"] == 3
    assert sum(body["statistics"]["histogram"]["counts"]) <= 100
    assert body["statistics"]["mean"] == columns["x"].statistics["mean"], "counts and means stay exact"
    assert body["digest"] == column.digest


def test_digests_do_not_depend_on_order_or_fragments(scored):
    cat, columns, _, _ = scored
    before = {alias: column.digest for alias, column in columns.items()}
    assert len(set(before.values())) == len(before)
    cat.gc("web", compact=True)
    table = cat.lance("web")
    after = column_statistics(table, {column.physical: column.state for column in columns.values()})
    assert {alias: after[column.physical]["digest"] for alias, column in columns.items()} == before


def test_digests_tell_values_apart():
    for array in (
        pa.array([0, None, 1], pa.int64()),
        pa.array([0.0, None, -0.0], pa.float64()),
        pa.array(["", None, "x"]),
        pa.array([False, None, True]),
        pa.array([[0.0, 0.0], None, [0.0, 1.0]], pa.list_(pa.float32(), 2)),
        pa.array([{"a": 1}, None, {"a": 2}]),
    ):
        words = {tuple(word) for word in value_words(array).tolist()}
        assert len(words) == 3, array.type
