"""Vectors that come with the rows, beside URIs of images: kept as they are, searched, clustered, refused when odd."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from catalog.errors import BadInput, Missing
from catalog.search import search
from catalog.testing import write_jsonl
from flows import score

ORACLES = {"imported_vector": "the vectors of the file"}
ROWS, WIDTH = 40, 6
POINTS = np.random.default_rng(0).normal(size=(ROWS, WIDTH)).astype(np.float32)
POINTS[:20] += 4


def rows_of(points) -> dict[str, list]:
    return {"text": [f"caption of picture {i}" for i in range(len(points))],
            "image_uri": [f"s3://pictures/{i}.jpg" for i in range(len(points))],
            "audio_uri": [None] * len(points), "clip": [list(map(float, p)) for p in points]}  # fmt: skip


@pytest.mark.parametrize("form", ["parquet", "jsonl", "text"])
def test_vectors_of_a_file_become_a_column_that_scorers_and_search_read(cat, tmp_path, form):
    columns = rows_of(POINTS)
    if form == "parquet":
        path = tmp_path / "pictures.parquet"
        pq.write_table(pa.table(columns | {"clip": pa.array(list(POINTS), pa.list_(pa.float32()))}), path)
    else:
        if form == "text":
            columns["clip"] = [json.dumps(vector) for vector in columns["clip"]]
        path = write_jsonl(tmp_path / "p.jsonl", [dict(zip(columns, row)) for row in zip(*columns.values())])
    cat.ingest([path], "pictures")
    score(cat, "pictures", ["imported_vector"], params={"field": "clip", "width": WIDTH}, aliases={"imported": "clip"})
    read = ["sample_id", "text", "meta", "clip"]
    table = pa.Table.from_batches(cat.scan("pictures", read))
    for text, meta, vector in zip(*(table[name].to_pylist() for name in read[1:]), strict=True):
        number = int(text.split()[-1])
        assert np.array_equal(np.float32(vector), POINTS[number])
        assert json.loads(meta)["image_uri"] == f"s3://pictures/{number}.jpg"
    score(cat, "pictures", ["kmeans"], params={"vectors": "clip", "clusters": 2})
    clusters = dict(
        zip(table["text"].to_pylist(), [c for b in cat.scan("pictures", ["cluster"]) for c in b[0].to_pylist()])
    )
    assert len({clusters[f"caption of picture {i}"] for i in range(20)}) == 1
    row = table["text"].to_pylist().index("caption of picture 0")
    hits = search(cat, "pictures", like=table["sample_id"][row].as_py(), column="clip", limit=3)
    unit = POINTS / np.linalg.norm(POINTS, axis=1, keepdims=True)
    near = np.argsort(-(unit @ unit[0]))[1:4]
    assert hits["text"].to_pylist() == [f"caption of picture {i}" for i in near]
    with pytest.raises(Missing, match="words cannot be embedded by imported_vector"):
        search(cat, "pictures", "a red car", mode="vector", column="clip")


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ([1.0, 2.0], "2 numbers, not 6; say --param width=2"),
        ([None] * WIDTH, "holds None among its numbers"),
        ([1e300] * WIDTH, "a number is not finite"),
        ("no vector", "is no list of numbers"),
        ({"a": 1}, "is no list of numbers"),
    ],
)
def test_an_odd_vector_is_one_line_that_names_the_row(cat, tmp_path, odd, said):
    rows = [{"text": "good", "vector": [0.0] * WIDTH}, {"text": "without"}, {"text": "odd", "vector": odd}]
    cat.ingest([write_jsonl(tmp_path / "d.jsonl", rows)], "d")
    with pytest.raises(BadInput, match=said) as caught:
        score(cat, "d", ["imported_vector"], params={"width": WIDTH})
    assert "\n" not in str(caught.value) and "sample" in str(caught.value)


def test_a_row_without_a_vector_is_undefined(cat, tmp_path):
    rows = [{"text": "good", "vector": [0.0] * WIDTH}, {"text": "without"}]
    cat.ingest([write_jsonl(tmp_path / "d.jsonl", rows)], "d")
    made = score(cat, "d", ["imported_vector"], params={"width": WIDTH})
    assert made.columns["imported"]["states"] == {"value": 1, "undefined": 1}
