"""Space comes back when nothing points to it, and the place of a catalog is not part of it."""

from pathlib import Path

from catalog import Catalog
from catalog.testing import append_texts, errors_of, sentences


def test_collection_frees_what_was_dropped_and_lineage_stays(cat):
    append_texts(cat, "web", sentences(20))
    place = Path(cat.table_uri(cat.find("web")))
    cat.drop("web")
    assert cat.gc() == {} and place.exists(), "a reader may still be at it"
    freed = cat.gc(older_than_s=0)
    assert freed["web (dropped)"]["bytes"] > 1000 and not place.exists()
    assert cat.gc(older_than_s=0) == {} and errors_of(cat) == []
    append_texts(cat, "web", sentences(3))
    assert cat.resolve("web").version.rows == 3


def test_a_home_can_be_moved(tmp_path):
    before = Catalog.open(tmp_path / "old")
    append_texts(before, "web", sentences(20))
    before.publish_mix({"name": "diet", "parts": [{"dataset": "web"}], "seed": 1})
    served = [row["sample_id"] for batch in before.mix("diet").batches(batch_rows=8) for row in batch.to_pylist()]
    (tmp_path / "old").rename(tmp_path / "new")
    after = Catalog.open(tmp_path / "new")
    assert errors_of(after) == [] and after.sql("SELECT count(*) AS n FROM web").rows() == [{"n": 20}]
    assert [
        row["sample_id"] for batch in after.mix("diet").batches(batch_rows=8) for row in batch.to_pylist()
    ] == served
    append_texts(after, "web", sentences(5, seed=1))
    assert not (tmp_path / "old").exists()
