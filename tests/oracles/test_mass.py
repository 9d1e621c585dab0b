"""MASS: the graph against networkx and its projection of items, the score against a loop, and what a graph prefers."""

from __future__ import annotations

import json

import networkx as nx
import numpy as np
import pyarrow as pa
import pytest
from networkx.algorithms import bipartite

from catalog.errors import BadInput
from catalog.plugins import Context, get_scorer
from flows.models.testing import tiny_encoder
from flows.scorers.embedding._vectors import unit
from flows.scorers.embedding.mass import adjacency, merged

ORACLES = {"mass": "networkx's weighted projection for the graph; the sum of S A in a loop"}


def test_edges_are_those_of_the_weighted_projection():
    rng = np.random.default_rng(0)
    items = [set(rng.choice(12, rng.integers(1, 6), replace=False).tolist()) for _ in range(80)]
    graph = nx.Graph((f"item {i}", skill) for i, item in enumerate(items) for skill in item)
    held = bipartite.weighted_projected_graph(graph, range(12))
    want = nx.to_numpy_array(held, nodelist=range(12)) + np.diag([graph.degree(skill) for skill in range(12)])
    assert adjacency(items, 12) == pytest.approx(want / 80)


def test_skills_of_one_meaning_are_the_more_frequent_one():
    points = unit(np.array([[1, 0, 0], [0, 1, 0], [1, 0.1, 0], [0, 1, 0.9], [0.9, 0.2, 0]]))
    assert merged(points, 0.95).tolist() == [0, 1, 0, 3, 0]
    assert merged(points, 1.0).tolist() == [0, 1, 2, 3, 4]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    return tiny_encoder(tmp_path_factory.mktemp("encoder"))


def fitted(model: str, items: list, **params) -> Context:
    plugin = get_scorer("mass")
    meta = [json.dumps({"skills": item}) if item is not None else None for item in items]
    batch = pa.record_batch({"meta": pa.array(meta, pa.string())})
    ctx = Context(params=plugin.parse_params({"model": model, **params}), dtype="float32")
    ctx.target = lambda columns=None: iter([batch])
    ctx.state = plugin.fit(lambda columns=None: iter([]), ctx)
    return ctx


def score(points: np.ndarray, ctx: Context) -> dict[str, list]:
    held = pa.FixedSizeListArray.from_arrays(pa.array(points.astype(np.float32).ravel()), points.shape[1])
    made = get_scorer("mass").function(pa.record_batch({"embedding": held}), ctx)
    return {name: column.to_pylist() for name, column in made.items()}


def test_score_is_the_sum_of_similarities_times_adjacency(model):
    items = [["algebra", "modular arithmetic"], ["algebra"], ["angle chasing", "algebra"], ["angle chasing"]]
    ctx = fitted(model, items, merge=1.0)
    names, skills = ctx.state["names"], ctx.state["points"]
    rows = unit(np.random.default_rng(1).normal(size=(20, skills.shape[1])))
    sets = [{names.index(skill) for skill in item} for item in items]
    want = []
    for row in rows:
        total = 0.0
        for i in range(len(names)):
            for k in range(len(names)):
                both = sum(1 for item in sets if i in item and k in item) / len(items)
                total += max(float(row @ skills[i]), 0) * both
        want.append(total / len(names))
    got = score(rows, ctx)
    assert got["mass"] == pytest.approx(want, abs=1e-6) and ctx.state["report"]["edges"] == 2
    assert got["mass_skill"] == [names[int(np.argmax(skills @ row))] for row in rows]


def test_a_text_on_a_central_skill_beats_one_on_a_rare_one(model):
    items = [["algebra", "modular arithmetic"]] * 5 + [["algebra", "angle chasing"]] * 5 + [["knots"]]
    ctx = fitted(model, items, merge=1.0)
    names = ctx.state["names"]
    ctx.state["points"] = np.eye(len(names), 384)  # skills that have nothing in common
    got = score(np.eye(len(names), 384), ctx)
    assert got["mass_skill"] == names and dict(zip(names, got["mass"])) == pytest.approx(
        {"algebra": 20 / 44, "modular arithmetic": 10 / 44, "angle chasing": 10 / 44, "knots": 1 / 44}
    )


def test_a_target_without_skills_is_refused_in_one_line(model):
    for items in ([], [None], [[]], [[1, None]], [{"a": 1}]):
        with pytest.raises(BadInput, match="no item of the target has a list"):
            fitted(model, items)
    with pytest.raises(BadInput, match="--most"):
        fitted(model, [["a", "b", "c"]], most=2)
    assert fitted(model, [["one"]]).state["report"] == {"items": 1, "skills": 1, "nodes": 1, "edges": 0}
