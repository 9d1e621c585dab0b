"""Pareto fronts against the naive sort, label votes against scikit-learn's nearest neighbours."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from catalog.plugins import Context, get_scorer
from flows.scorers.combine.pareto import fronts

ORACLES = {
    "pareto": "naive non-dominated sort, layer by layer",
    "knn_label": "scikit-learn's nearest neighbours, leave one out",
}


def naive(values: np.ndarray) -> np.ndarray:
    found, left, layer = np.full(len(values), -1), set(range(len(values))), 0
    while left:
        front = [
            i for i in left
            if not any((values[j] >= values[i]).all() and (values[j] > values[i]).any() for j in left)
        ]  # fmt: skip
        found[front], layer = layer, layer + 1
        left -= set(front)
    return found


@pytest.mark.parametrize("columns", [1, 2, 3, 5])
@pytest.mark.parametrize("steps", [3, 1000])
def test_fronts_are_those_of_the_naive_sort(columns, steps):
    values = np.random.default_rng(columns).integers(0, steps, (150, columns)).astype(float)
    assert fronts(values).tolist() == naive(values).tolist()


def test_direction_and_rows_without_a_number():
    columns = {"a": [1.0, 2.0, None, 3.0], "b": [1.0, 2.0, 5.0, float("nan")]}
    batch = pa.RecordBatch.from_pydict(columns)
    plugin = get_scorer("pareto")
    both = Context(plugin.parse_params({"columns": ["a", "b"]}))
    assert plugin.function(lambda: iter([batch]), both)["pareto_front"].to_pylist() == [1, 0, None, None]
    turned = Context(plugin.parse_params({"columns": ["a", "b"], "lower": ["b"]}))
    assert plugin.function(lambda: iter([batch]), turned)["pareto_front"].to_pylist() == [0, 0, None, None]


def votes(points: np.ndarray, labels: list[str], contents: list[str], k: int) -> dict[str, list]:
    flat = pa.array(points.astype(np.float32).ravel())
    batch = pa.RecordBatch.from_arrays(
        [pa.array([f"{i:032x}" for i in range(len(points))]), pa.array(contents),
         pa.FixedSizeListArray.from_arrays(flat, points.shape[1]), pa.array([json.dumps({"label": x}) for x in labels])],
        ["sample_id", "content_id", "embedding", "meta"],
    )  # fmt: skip
    plugin = get_scorer("knn_label")
    made = plugin.function(lambda: iter([batch]), Context(plugin.parse_params({"neighbours": k})))
    return {name: values.to_pylist() for name, values in made.items()}


@pytest.mark.parametrize("k", [1, 5, 10])
def test_votes_are_those_of_scikit_learn(k):
    from sklearn.neighbors import NearestNeighbors

    rng = np.random.default_rng(k)
    points = rng.standard_normal((200, 6))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    labels = [str(label) for label in rng.integers(3, size=200)]
    made = votes(points, labels, [str(i) for i in range(200)], k)
    near = NearestNeighbors(n_neighbors=k + 1).fit(points).kneighbors(points, return_distance=False)[:, 1:]
    for row, others in enumerate(near):
        heard = [labels[other] for other in others]
        assert made["knn_label_agreement"][row] == pytest.approx(heard.count(labels[row]) / k)
        most = max(map(heard.count, heard))
        assert heard.count(made["knn_label_suggested"][row]) == most
        assert made["knn_label_issue"][row] == (heard.count(labels[row]) < most)


def test_flipped_labels_are_found():
    rng = np.random.default_rng(0)
    truth = rng.integers(3, size=300)
    points = np.eye(3)[truth] + 0.1 * rng.standard_normal((300, 3))
    given = truth.copy()
    given[:30] = (given[:30] + 1) % 3
    made = votes(points, [str(x) for x in given], [str(i) for i in range(300)], 20)
    assert np.mean(made["knn_label_issue"][:30]) >= 0.95 and np.mean(made["knn_label_issue"][30:]) <= 0.01
    assert made["knn_label_suggested"][:5] == [str(x) for x in truth[:5]]


def test_a_wrong_label_is_not_vouched_for_by_its_own_copies():
    points = np.eye(2)[[0] * 12 + [1] * 4] + 0.01 * np.random.default_rng(0).standard_normal((16, 2))
    points[:5] = points[0]
    labels = ["b"] * 5 + ["a"] * 7 + ["b"] * 4
    made = votes(points, labels, ["same"] * 5 + [str(i) for i in range(11)], 5)
    assert made["knn_label_issue"] == [1] * 5 + made["knn_label_issue"][5:] and made["knn_label_suggested"][0] == "a"
    alone = votes(points[:2], ["a", "b"], ["same", "same"], 5)
    assert alone["knn_label_issue"] == [None, None]
