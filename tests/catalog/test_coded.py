"""Strings of few values are kept as codes; whoever reads rows sees strings."""

import pyarrow as pa
import pyarrow.compute as pc

from catalog.schema import CODED
from catalog.testing import append_texts, errors_of, sentences, text_dataset


def test_readers_see_strings_and_the_table_keeps_codes(cat, tmp_path):
    rows = [
        {"text": t, "source": "ab"[i % 2], "licence": None if i % 3 else "MIT"} for i, t in enumerate(sentences(30))
    ]
    text_dataset(cat, tmp_path, "web", rows, mapping={"source": "source", "licence": "licence"})
    append_texts(cat, "web", sentences(5, seed=1))
    stored = cat.lance("web").schema
    assert all(pa.types.is_dictionary(stored.field(name).type) for name in CODED)
    batches = list(cat.scan("web", ["source", "licence", "text"]))
    assert all(field.type == pa.string() for batch in batches for field in batch.schema)
    counts = pc.value_counts(pa.Table.from_batches(batches).column("source")).to_pylist()
    assert sorted((c["values"], c["counts"]) for c in counts) == [("a", 15), ("b", 15), ("web", 5)]
    for where, expected in (
        ("source = 'a'", 15),
        ("source IN ('a', 'web')", 20),
        ("licence IS NULL", 25),
        ("source LIKE 'w%'", 5),
    ):
        assert cat.lance("web").count_rows(cat.predicate("web", where)) == expected
        assert cat.sql(f"SELECT count(chars) AS n FROM web WHERE {where}").rows() == [{"n": expected}]
    cat.rollback("web", 1)
    cat.gc("web", compact=True)
    assert cat.sql("SELECT source, count(*) AS n FROM web GROUP BY 1 ORDER BY 1").rows() == [
        {"source": "a", "n": 15},
        {"source": "b", "n": 15},
    ]
    assert errors_of(cat) == []


def test_a_mix_serves_strings(cat):
    append_texts(cat, "web", sentences(12))
    cat.publish_mix({"name": "diet", "parts": [{"dataset": "web"}], "seed": 1})
    batch = next(iter(cat.mix("diet").batches(batch_rows=4, columns=["text", "source"])))
    assert batch.schema.field("source").type == pa.string() and batch.column("source").to_pylist() == ["web"] * 4
