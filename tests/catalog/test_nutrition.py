"""The label of a dataset: what was measured, what was found, what is missing; nothing unknown is shown as zero."""

import pyarrow as pa
import pytest

from catalog.nutrition import nutrition
from catalog.testing import append_texts, attach_columns, sentences, text_dataset
from flows import score


def test_what_nobody_measured_is_unknown(cat, tmp_path):
    text_dataset(cat, tmp_path, "web", sentences(10))
    held = nutrition(cat, "web")
    assert (held["ref"], held["rows"], held["tokens"], held["languages"]) == ("web@v1", 10, None, {})
    assert held["missing"] == {"licence": 1.0, "verified licence": 1.0, "language": 1.0, "token count": 1.0}
    assert [item["coverage"] for item in held["checks"]] == [0.0] * 5
    assert all(item["found"] is None and item["share"] is None for item in held["checks"])
    assert held["qualities"] == []


def test_checks_say_over_how_many_rows_and_what_they_found(cat, tmp_path):
    texts = sentences(8)
    text_dataset(cat, tmp_path, "web", [*texts, texts[0], "write to ann.lee@gmail.com or call"], licence="MIT")
    score(cat, "web", ["exact_dup", "pii", "token_count", "langid"])
    held = nutrition(cat, "web")
    checks = {item["check"]: item for item in held["checks"]}
    assert (checks["exact duplicates"]["found"], checks["exact duplicates"]["share"]) == (1, 0.1)
    assert checks["personal data"]["found"] == 1 and checks["personal data"]["coverage"] == 1.0
    assert checks["near duplicates"]["coverage"] == 0.0 and checks["near duplicates"]["found"] is None
    counted = sum(row["tokens"] for batch in cat.scan("web", ["tokens"]) for row in batch.to_pylist())
    assert (held["tokens"], held["tokens_rows"], held["licences"]) == (counted, 10, {"MIT": 10})
    assert held["missing"]["licence"] == 0 and held["missing"]["token count"] == 0
    append_texts(cat, "web", sentences(10, seed=3))
    held = nutrition(cat, "web")
    assert held["missing"]["token count"] == 0.5
    assert {item["check"]: item for item in held["checks"]}["personal data"]["coverage"] == 0.5
    assert nutrition(cat, "web@v1")["checks"][0]["found"] is None, "columns are described for the newest version"


def test_medians_are_of_columns_with_a_direction(cat, tmp_path):
    text_dataset(cat, tmp_path, "web", sentences(9))
    score(cat, "web", ["gopher_quality"])
    attach_columns(cat, "web", {"plain": pa.array(range(9), pa.int32())})
    held = nutrition(cat, "web")
    assert held["qualities"] and all(item["better"] in ("higher", "lower") for item in held["qualities"])
    assert "plain" not in [item["column"] for item in held["qualities"]]
    first = held["qualities"][0]
    values = sorted(row[first["column"]] for batch in cat.scan("web", [first["column"]]) for row in batch.to_pylist())
    assert first["median"] == pytest.approx(values[4], abs=0.05)
