"""Versions are sets of rows: immutable, named, rolled back in one step; a retraction takes rows out of all of them."""

import pyarrow as pa
import pytest

from catalog.errors import BadInput, NameTaken, NotFound, Refused
from catalog.testing import append_texts, attach_columns, errors_of, sentences

pytestmark = pytest.mark.parametrize("cat", ["sqlite", "postgres"], indirect=True)


def texts_of(cat, ref):
    return [text for batch in cat.scan(ref, ["text"]) for text in batch.column("text").to_pylist()]


def test_a_version_reads_the_same_after_later_ones(cat):
    first, second = sentences(30), sentences(10, seed=1)
    append_texts(cat, "web", first)
    digest = cat.resolve("web@v1").version.digest
    append_texts(cat, "web", second)
    assert texts_of(cat, "web@v1") == first
    assert texts_of(cat, "web") == first + second
    assert cat.resolve("web@v1").version.digest == digest != cat.resolve("web@v2").version.digest


def test_digest_depends_on_rows_and_not_on_fragments(cat):
    texts = sentences(40)
    append_texts(cat, "a", texts)
    cat.rename("a", "b")
    before = cat.resolve("b").version.digest
    cat.gc("b", compact=True)
    assert errors_of(cat) == [] and cat.resolve("b").version.digest == before


def test_rollback_and_back_again(cat):
    first, second = sentences(30), sentences(10, seed=1)
    append_texts(cat, "web", first)
    append_texts(cat, "web", second)
    version = cat.rollback("web", 1)
    assert (version.number, version.rows) == (3, 30)
    assert texts_of(cat, "web") == first
    assert version.digest == cat.resolve("web@v1").version.digest
    cat.rollback("web", 2)
    assert sorted(texts_of(cat, "web")) == sorted(first + second)
    assert texts_of(cat, "web@v3") == first, "an old version changed"
    assert cat.resolve("web@v4").version.digest == cat.resolve("web@v2").version.digest
    assert errors_of(cat) == []


def test_tags_name_versions(cat):
    append_texts(cat, "web", sentences(3))
    append_texts(cat, "web", sentences(3, seed=2))
    cat.tag("web@v1", "paper")
    assert cat.resolve("web@paper").ref == "web@v1"
    with pytest.raises(NotFound, match="paper"):
        cat.resolve("web@papr")
    with pytest.raises(BadInput, match="look like a version"):
        cat.tag("web", "v7")
    with pytest.raises(Refused, match="tag paper"):
        cat.drop("web")


def test_retraction_reaches_every_version_and_leaves_a_receipt(cat):
    texts = sentences(20)
    append_texts(cat, "web", texts)
    append_texts(cat, "web", sentences(5, seed=4))
    ids = [b.column("sample_id")[0].as_py() for b in cat.scan("web", ["sample_id"], limit=1)]
    plan = cat.retract(reason="takedown 17", ids=ids, dry_run=True)
    assert plan["rows"] == {"web": 1} and len(texts_of(cat, "web")) == 25
    receipt = cat.retract(reason="takedown 17", ids=ids)
    assert receipt["run"] and texts[0] not in texts_of(cat, "web") and texts[0] not in texts_of(cat, "web@v1")
    assert cat.resolve("web@v1").version.rows == 19 and cat.resolve("web@v1").version.retracted == 1
    assert errors_of(cat) == []
    cat.rollback("web", 1)
    assert texts[0] not in texts_of(cat, "web"), "a rollback brought a retracted row back"


def test_retraction_by_filter_needs_a_reason_and_a_usable_filter(cat):
    append_texts(cat, "web", sentences(5))
    with pytest.raises(BadInput, match="reason"):
        cat.retract(reason=" ", where="source = 'web'")
    with pytest.raises(BadInput, match="cannot be used on web"):
        cat.retract(reason="r", where="source = 1 +")
    with pytest.raises(NotFound, match="nosuch"):
        cat.retract(reason="r", where="nosuch = 1")
    append_texts(cat, "other", sentences(5, seed=1))
    attach_columns(cat, "web", {"ev": pa.array(range(5), pa.int32())}, scorer="evs")
    receipt = cat.retract(reason="r", where="ev > 2", dry_run=True)
    assert receipt["rows"] == {"web": 2} and receipt["without_the_columns"] == ["other"]
    assert cat.retract(reason="r", where="source = 'web'")["rows"] == {"web": 5}


@pytest.mark.parametrize("name", ["", "A", "a b", "../x", "a/b", "strata", "-a", "a..b", "x" * 90, "é"])
def test_unsafe_names_are_refused(cat, name):
    with pytest.raises(BadInput, match="cannot be a name"):
        cat.create_dataset(name, kind="text", tier="L0")


def test_names_are_shared_and_taken_once(cat):
    append_texts(cat, "web", sentences(3))
    with pytest.raises(NameTaken, match="taken by a dataset"):
        cat.create_dataset("web", kind="text", tier="L0")
    cat.rename("web", "pages")
    with pytest.raises(NotFound, match="did you mean|there are"):
        cat.resolve("page")
    append_texts(cat, "web", sentences(2))
    with pytest.raises(NameTaken):
        cat.rename("web", "pages")


def test_unknown_version_says_which_there_are(cat):
    append_texts(cat, "web", sentences(3))
    with pytest.raises(NotFound, match="has v1 to v1"):
        cat.resolve("web@v9")


def test_a_dropped_dataset_is_gone_and_its_name_free(cat):
    append_texts(cat, "web", sentences(3))
    cat.drop("web")
    assert cat.datasets() == []
    append_texts(cat, "web", sentences(4))
    assert cat.resolve("web").version.rows == 4
