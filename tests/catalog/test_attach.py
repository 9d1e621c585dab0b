"""Columns of any Arrow type can be attached: lists and structs are stored by their leaves."""

import pyarrow as pa
import pytest

from catalog import Catalog
from catalog.testing import append_texts, attach_columns


@pytest.mark.parametrize(
    "values",
    [
        pa.array([[1, 2], [], None, [3]], pa.list_(pa.int32())),
        pa.array([["a"], None, ["b", "c"], []], pa.list_(pa.string())),
        pa.array([{"x": 1, "y": "a"}, None, {"x": None, "y": "b"}, {"x": 4, "y": "d"}]),
        pa.array([[1.0, 2.0], None, [3.0, 4.0], [5.0, 6.0]], pa.list_(pa.float32(), 2)),
    ],
    ids=["list of numbers", "list of words", "struct", "vector"],
)
def test_a_nested_column_is_attached_and_read_back(tmp_path, values):
    cat = Catalog.open(tmp_path / "home")
    append_texts(cat, "web", [f"text {row}" for row in range(4)])
    attach_columns(cat, "web", {"nested": values, "plain": [1, 2, 3, 4]})
    read = pa.Table.from_batches(cat.scan("web", ["nested", "plain"]))
    assert read.column("nested").to_pylist() == values.to_pylist() and read.column("plain").to_pylist() == [1, 2, 3, 4]
    append_texts(cat, "web", ["one more"])
    assert pa.Table.from_batches(cat.scan("web", ["nested"])).column("nested").to_pylist() == [
        *values.to_pylist(),
        None,
    ]
    cat.lance("web").optimize.compact_files()
