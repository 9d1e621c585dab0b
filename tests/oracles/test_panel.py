"""The panel of quality, diversity and complexity against loops over pairs, for datasets and selections, in every face."""

from __future__ import annotations

import asyncio
import math

import numpy as np
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient
from fastmcp import Client

from catalog.errors import NotFound
from catalog.selections import save
from catalog.testing import attach_columns, text_dataset
from flows.cluster_titles import cluster_titles
from flows.compare import compare, vendi
from flows.panel import panel
from ui.api.app import create_app
from ui.api.tokens import create
from ui.mcp.server import build

ROWS = 30


@pytest.fixture
def held(cat, tmp_path):
    """One dataset with vectors, clusters and two scores; and its unit vectors in table order."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(ROWS, 6)).astype(np.float32) + 0.5
    words = ["orbit planet", "butter flour", "goal match"]
    text_dataset(cat, tmp_path, "d", [f"{words[i % 3]} number {i}" for i in range(ROWS)])
    texts = [text for batch in cat.scan("d", ["text"]) for text in batch["text"].to_pylist()]
    number = np.array([int(text.split()[-1]) for text in texts])
    columns = {
        "embedding": pa.FixedSizeListArray.from_arrays(points[number].ravel(), 6),
        "cluster": pa.array(np.where(number % 3 == 2, 1, number % 3), pa.int32()),
        "quality_linear": pa.array(number / ROWS, pa.float32()),
        "perplexity": pa.array([float("nan") if n < 10 else float(n) for n in number]),
    }
    attach_columns(cat, "d", columns)
    return cat, (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(float)


def test_the_figures_are_those_of_loops(held):
    cat, unit = held
    got = panel(cat, "d")
    pairs = [1 - unit[i] @ unit[j] for i in range(ROWS) for j in range(ROWS) if i != j]
    assert got["rows"] == ROWS and got["diversity"]["mean_distance"] == pytest.approx(np.mean(pairs), abs=1e-6)
    assert got["diversity"]["vendi"] == pytest.approx(vendi(unit), rel=1e-6)
    entropy = -(1 / 3 * math.log(1 / 3) + 2 / 3 * math.log(2 / 3))
    assert got["diversity"]["effective_clusters"] == pytest.approx(math.exp(entropy))
    quality, complexity = got["quality"]["quality_linear"], got["complexity"]["perplexity"]
    assert quality["covered"] == ROWS and quality["mean"] == pytest.approx(np.arange(ROWS).mean() / ROWS, abs=1e-6)
    assert complexity["covered"] == 20 and complexity["median"] == pytest.approx(np.median(np.arange(10, 30)))


def test_a_selection_beside_the_whole(held):
    cat, unit = held
    save(cat, "best", "d", "quality_linear >= 0.5")
    got = compare(cat, "d", "best", ["qdc", "mmd"])
    assert (got["qdc"]["a"]["rows"], got["qdc"]["b"]["rows"], got["rows"]) == (ROWS, 15, {"a": ROWS, "b": 15})
    assert got["qdc"]["b"]["quality"]["quality_linear"]["mean"] > got["qdc"]["a"]["quality"]["quality_linear"]["mean"]
    assert got["qdc"]["b"]["diversity"]["vendi"] == pytest.approx(vendi(unit[15:]), rel=1e-5)


def test_what_is_not_there_is_named(held, tmp_path):
    cat, _ = held
    with pytest.raises(NotFound, match="dataset or selection 'nobody'"):
        panel(cat, "nobody")
    with pytest.raises(NotFound, match="the axis quality reads it"):
        panel(cat, "d", quality=["charm"])
    text_dataset(cat, tmp_path, "bare", ["one text", "another text"])
    assert panel(cat, "bare") == {"ref": "bare", "rows": 2, "quality": {}, "diversity": {}, "complexity": {}}


def test_clusters_and_sets_over_http_and_mcp(held):
    cat, _ = held
    listed = cluster_titles(cat, "d")
    assert [(row["cluster"], row["rows"]) for row in listed] == [(1, 20), (0, 10)]
    assert listed[0]["share"] == pytest.approx(2 / 3) and "orbit" in listed[1]["title"]
    few = cluster_titles(cat, "d", texts=5)
    assert [row["rows"] for row in few] == [20, 10] and sum(len(row["words"]) for row in few) > 0
    web = TestClient(create_app(cat), headers={"Authorization": f"Bearer {create(cat, 'ana', 'read')}"})
    assert [row["rows"] for row in web.get("/datasets/d/clusters").json()] == [20, 10]
    assert web.get("/sets/d/panel").json()["diversity"]["clusters"] == 2
    answer = web.get("/compare", params={"a": "d", "b": "d", "metric": "mmd"}).json()
    assert answer["mmd"]["squared"] < 0 and web.get("/compare", params={"a": "d", "b": "x"}).status_code == 404

    async def ask():
        async with Client(build(cat)) as client:
            titles = await client.call_tool("clusters", {"ref": "d"})
            sets = await client.call_tool("compare", {"a": "d", "b": "d", "metrics": ["vendi", "prototypes"]})
            axes = await client.call_tool("panel", {"ref": "d"})
            near = await client.call_tool("support", {"text": "butter flour number 7", "limit": 2})
            assert axes.structured_content["diversity"]["clusters"] == 2
            assert all("withheld" in hit["text"] for hit in near.structured_content["nearest"])
            return titles.structured_content["result"], sets.structured_content

    titles, sets = asyncio.run(ask())
    assert titles == [{key: row[key] for key in ("cluster", "rows", "share")} for row in listed]  # words need consent
    assert sets["vendi"]["a"] == sets["vendi"]["b"] > 1
    assert all("withheld" in one["text"] for item in sets["prototypes"]["listed"] for one in item["examples"]["a"])
