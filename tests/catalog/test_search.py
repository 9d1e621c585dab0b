"""Search finds rows of the version and the filter it was asked for, with and without indexes, by words and by meaning."""

import numpy as np
import pyarrow as pa
import pytest

from catalog import states
from catalog.errors import BadInput, Missing, NotFound
from catalog.meta.models import Recipe
from catalog.plugins import REGISTRY, Out, scorer
from catalog.samples import sample_id_of
from catalog.search import build_index, notes, search
from catalog.testing import append_texts, attach_columns, errors_of

TOPICS = [
    "Volcanoes erupt when magma rises through the crust.",
    "Lava flows from the volcano and cools into basalt.",
    "The bakery sells bread, rolls and cinnamon buns.",
    "Bread needs flour, water, salt and time to rise.",
    "A sailing boat tacks against the wind.",
    "日本の火山は多い。富士山も火山です。",
    "Die Bäckerei öffnet früh am Morgen.",
    "",
]
AXES = [("volcano", "lava", "magma", "火山"), ("bread", "bakery", "flour", "bäckerei"), ("sail", "boat", "wind")]


def toy(texts):
    """Dimensions of meaning: eruptions, baking, sailing, and five that say nothing."""
    return np.array([[sum(w in t.casefold() for w in axis) for axis in AXES] + [0] * 5 for t in texts], np.float32)


@pytest.fixture
def toy_meaning():
    """A scorer that is here for one test."""

    @scorer("toy_meaning", version="1", reads=["text"], cost="cpu", citation="ours",
            writes=[Out("meaning", pa.list_(pa.float32(), 8), "counts of words on three topics")])  # fmt: skip
    def made(batch, ctx):
        """Counts of words on three topics."""
        return {"meaning": pa.array(list(toy(batch["text"].to_pylist())), pa.list_(pa.float32(), 8))}

    yield made
    del REGISTRY["scorer"]["toy_meaning"]


@pytest.fixture
def web(cat):
    append_texts(cat, "web", TOPICS)
    vectors = [list(v) if np.any(v) else None for v in toy(TOPICS)]
    attach_columns(
        cat,
        "web",
        {"embedding": pa.array(vectors, pa.list_(pa.float32(), 8))},
        scorer="meaning",
        states=[states.VALUE if v else states.UNDEFINED for v in vectors],
    )
    return cat


def found(cat, *given, ref="web", **options):
    return [TOPICS.index(text) for text in full(cat, ref, search(cat, ref, *given, **options))]


def full(cat, ref, hits):
    texts = {r["sample_id"]: r["text"] for batch in cat.scan(ref, ["sample_id", "text"]) for r in batch.to_pylist()}
    return [texts[sample] for sample in hits.column("sample_id").to_pylist()]


@pytest.mark.parametrize("indexed", [False, True])
def test_words_find_texts_best_first(web, indexed):
    if indexed:
        assert build_index(web, "web", "text")["kind"] == "INVERTED"
    assert found(web, "bread", mode="text") == [2, 3] or found(web, "bread", mode="text") == [3, 2]
    assert set(found(web, "volcanoes", mode="text")) == {0, 1}, "endings do not matter"
    assert found(web, "lava basalt bread", mode="text")[0] == 1, "more words, higher rank"
    assert found(web, "BÄCKEREI", mode="text") == [6]
    assert found(web, "火山", mode="text") == [5]
    assert found(web, "unheard zzz", mode="text") == []
    hits = search(web, "web", "bread flour", mode="text")
    assert hits.schema.names == ["sample_id", "text", "score", "why"]
    assert "bread, flour (BM25" in hits.column("why")[0].as_py()
    assert notes(hits) == ([] if indexed else ["no text index on web: every text was read"])
    assert errors_of(web) == []


def test_scanned_scores_are_bm25(cat):
    texts = ["apple pear", "apple apple plum and more words here", "plum", "pear pear pear"]
    append_texts(cat, "web", texts)
    hits = search(cat, "web", "apple pear", mode="text")
    lengths = np.array([len(t) for t in texts])
    scores = np.zeros(4)
    for word in ("apple", "pear"):
        tf = np.array([t.split().count(word) for t in texts])
        n = (tf > 0).sum()
        idf = np.log(1 + (4 - n + 0.5) / (n + 0.5))
        scores += idf * tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * lengths / lengths.mean()))
    order = [i for i in np.argsort(-scores) if scores[i] > 0]
    assert full(cat, "web", hits) == [texts[i] for i in order]
    assert hits.column("score").to_pylist() == pytest.approx([scores[i] for i in order])


def test_meaning_finds_other_words_and_languages(web):
    assert set(found(web, "火山", mode="vector", embed=toy, limit=3)) == {0, 1, 5}
    hits = search(web, "web", "magma", mode="vector", embed=toy, limit=2)
    assert hits.column("score").to_pylist() == pytest.approx([1, 1]) and "cosine 1.000" in hits.column("why")[0].as_py()
    assert notes(hits) == [], "an undefined vector counts as covered"


def test_hybrid_is_the_sum_of_reciprocal_ranks(web):
    build_index(web, "web", "text")
    hits = search(web, "web", "bread wind", mode="hybrid", embed=toy, limit=8)
    lists = [
        search(web, "web", "bread wind", mode=mode, embed=toy, limit=40).column("sample_id").to_pylist()
        for mode in ("text", "vector")
    ]
    expected = {s: sum(1 / (61 + held.index(s)) for held in lists if s in held) for s in {*lists[0], *lists[1]}}
    got = dict(zip(hits.column("sample_id").to_pylist(), hits.column("score").to_pylist()))
    assert got == pytest.approx(expected)
    assert hits.column("score").to_pylist() == sorted(expected.values(), reverse=True)
    assert "by text" in hits.column("why")[0].as_py() and "by meaning" in hits.column("why")[0].as_py()


def test_more_like_this(web):
    sample = next(iter(web.scan("web", ["sample_id"]))).column(0).to_pylist()
    assert found(web, like=sample[0], limit=2) in ([1, 5], [5, 1])
    with pytest.raises(NotFound, match="sample"):
        search(web, "web", like="f" * 32)
    with pytest.raises(BadInput, match="no vector"):
        search(web, "web", like=sample[7])


def test_without_vectors_hybrid_says_that_it_is_text_alone(cat):
    append_texts(cat, "plain", TOPICS)
    hits = search(cat, "plain", "bread", embed=toy)
    assert hits.num_rows == 2 and "strata score plain minilm" in notes(hits)[0]
    with pytest.raises(Missing, match="strata score plain minilm"):
        search(cat, "plain", "bread", mode="vector", embed=toy)
    with pytest.raises(Missing, match="embedding"):
        search(cat, "plain", like="f" * 32)


def test_words_are_embedded_by_the_scorer_that_made_the_column(cat, toy_meaning):
    append_texts(cat, "web", TOPICS)
    vectors = pa.array(list(toy(TOPICS)), pa.list_(pa.float32(), 8))
    attach_columns(cat, "web", {"meaning": vectors}, scorer="toy_meaning")
    with pytest.raises(Missing, match="recipe of meaning"):
        search(cat, "web", "lava", mode="vector", column="meaning")
    with cat.session() as session:
        body = {"scorer": "toy_meaning", "params": {}}
        session.add(Recipe(fingerprint=cat.columns("web")[0].fingerprint, scorer="toy_meaning", body=body))
        session.commit()
    assert found(cat, "lava", mode="vector", column="meaning", limit=1) == [0]
    with pytest.raises(BadInput, match="no vector"):
        search(cat, "web", "qqq", mode="vector", column="meaning")
    with pytest.raises(BadInput, match="2 dimensions"):
        search(cat, "web", "lava", mode="vector", column="meaning", embed=lambda texts: np.ones((1, 2)))


def test_an_index_never_hides_or_resurrects_rows(web):
    """Appended, removed, retracted and rescored rows are right in every version, with an index older than all of that."""
    build_index(web, "web", "text")
    assert build_index(web, "web", "embedding")["built"] is False
    assert build_index(web, "web", "embedding", force=True)["kind"] == "IVF_RQ"
    append_texts(web, "web", ["The glacier calves into bread-white ice.", "one", "two", "three"])
    assert search(web, "web", "glacier", mode="text").num_rows == 1, "rows after the index are found"
    assert search(web, "web@v1", "glacier", mode="text").num_rows == 0
    assert search(web, "web", "bread", mode="text").num_rows == 3
    hits = search(web, "web", "bread", mode="vector", embed=toy)
    assert notes(hits) == ["embedding covers 8 of 12 rows; the others cannot be found by meaning"]
    web.rollback("web", 1)
    assert search(web, "web", "glacier", mode="text").num_rows == 0
    assert search(web, "web@v2", "glacier", mode="text").num_rows == 1
    gone = search(web, "web", "basalt", mode="text").column("sample_id")[0].as_py()
    web.retract(ids=[gone], reason="takedown")
    for ref in ("web", "web@v1", "web@v2"):
        assert gone not in search(web, ref, "basalt lava", embed=toy).column("sample_id").to_pylist()
    web.gc("web", compact=True)
    for ref, rows in (("web", 0), ("web@v1", 0), ("web@v2", 1)):
        assert search(web, ref, "glacier", mode="text").num_rows == rows, "after a compaction"
    assert search(web, "web", "bread", mode="vector", embed=toy, limit=2).num_rows == 2
    assert errors_of(web) == []


def test_vectors_written_after_the_index_are_found(web):
    build_index(web, "web", "embedding", force=True)
    late = [[0.0, 0.0, 1.0] + [0.0] * 5] * len(TOPICS)
    attach_columns(web, "web", {"embedding2": pa.array(late, pa.list_(pa.float32(), 8))}, scorer="other")
    build_index(web, "web", "embedding2", force=True)
    assert search(web, "web", "x", mode="vector", embed=lambda t: np.array([[0, 0, 1.0, 0, 0, 0, 0, 0]]), column="embedding2",
                  limit=20).num_rows == len(TOPICS)  # fmt: skip


def test_filters(web):
    assert found(web, "bread", mode="text", where="text LIKE 'The%'") == [2]
    assert found(web, "bread", mode="vector", embed=toy, where="chars < 44", limit=1) == [6]
    with pytest.raises(NotFound, match="chars"):
        search(web, "web", "bread", where="char < 3")


def test_scalar_indexes_by_kind_of_column(web):
    assert build_index(web, "web", "file")["kind"] == "BITMAP"
    assert build_index(web, "web", "sample_id")["kind"] == "BTREE"
    sample = next(iter(web.scan("web", ["sample_id"]))).column(0)[3].as_py()
    assert web.sql("SELECT text FROM web WHERE sample_id = ?", params=[sample]).rows()[0]["text"] == TOPICS[3]
    assert web.sql("SELECT count(*) AS n FROM web WHERE file IS NULL AND chars > 0").rows() == [{"n": 7}]
    with pytest.raises(NotFound, match="source"):
        build_index(web, "web", "sorce")
    append_texts(web, "web", ["new"])
    assert web.sql("SELECT count(*) AS n FROM web WHERE file IS NULL AND chars > 0").rows() == [{"n": 8}]


def test_bad_input(web, cat):
    for given, message in (
        ({"words": "x", "mode": "fuzzy"}, "not one of"),
        ({"words": "x", "limit": 0}, "limit must be"),
        ({"words": ""}, "what to search for"),
        ({"words": "x", "like": "y"}, "what to search for"),
        ({"words": " ?! "}, "what to search for"),
    ):
        with pytest.raises(BadInput, match=message):
            search(web, "web", **given)
    cat.create_dataset("empty", kind="text", tier="L0")
    assert search(cat, "empty", "x").num_rows == 0
    with pytest.raises(BadInput, match="no rows"):
        build_index(cat, "empty", "text")


def test_large_tables_without_an_index_are_refused(web, monkeypatch):
    monkeypatch.setattr("catalog.query.words.SCANNED_ROWS", 5)
    with pytest.raises(Missing, match="strata index web text"):
        search(web, "web", "bread", mode="text")
    build_index(web, "web", "text")
    assert search(web, "web", "bread", mode="text").num_rows == 2


def test_snippets_show_where_it_matched(cat):
    long = "x " * 400 + "the needle is here " + "y " * 400
    append_texts(cat, "web", [long, "line\nbreak needle"])
    texts = search(cat, "web", "needles", mode="text").column("text").to_pylist()
    assert all("needle" in text and len(text) < 260 and "\n" not in text for text in texts)


def test_row_ids_for_pages(web):
    hits = search(web, "web", "bread", mode="text", with_row_id=True)
    rows = web.lance("web")._take_rows(hits.column("_rowid").to_pylist(), columns=["sample_id"])
    assert rows.column("sample_id").to_pylist() == hits.column("sample_id").to_pylist()


@pytest.mark.slow
def test_a_real_sentence_encoder_finds_other_words(cat):
    """The scorer that made the column embeds the query, from the recipe alone."""
    from flows import score

    texts = [
        "The volcano threw ash over the valley.",
        "She kneaded the dough and lit the oven.",
        "The crew raised the sails and left the harbour.",
    ]
    append_texts(cat, "web", texts)
    with pytest.raises(Missing, match="minilm"):
        search(cat, "web", "eruption of lava", mode="vector")
    score(cat, "web", ["minilm"])
    for query, wanted in (("eruption of lava", 0), ("baking bread", 1), ("boats at sea", 2)):
        hits = search(cat, "web", query, limit=1)
        assert full(cat, "web", hits) == [texts[wanted]] and "by meaning" in hits.column("why")[0].as_py()


def test_indexes_say_what_they_hold(web):
    assert [(row["column"], row["rows"], row["state"]) for row in web.indexes("web")] == [
        ("embedding", 0, "none: vectors are compared one by one"),
        ("text", 0, "none: every text is read"),
    ]
    attach_columns(web, "web", {"quality": [0.5] * len(TOPICS)}, scorer="judge")
    assert web.index("web", "text")["kind"] == "INVERTED" and web.index("web", "quality")["kind"] == "BTREE"
    assert web.index("web", sort="vector")["built"] is False
    assert web.index("web", sort="vector", force=True)["column"] == "embedding"
    append_texts(web, "web", ["one more"])
    held = {row["column"]: row for row in web.indexes("web")}
    assert {(row["sort"], row["rows"], row["of"]) for row in held.values()} == {
        (sort, len(TOPICS), len(TOPICS) + 1) for sort in ("text", "vector", "scalar")
    }
    assert "1 rows came later" in held["text"]["state"] and "strata index web text" in held["text"]["state"]
    web.index("web", "text")
    assert next(row for row in web.indexes("web") if row["column"] == "text")["state"] == "whole"


def test_an_index_that_cannot_be_is_one_line(web, cat):
    attach_columns(web, "web", {"empty": pa.nulls(len(TOPICS), pa.float32())}, scorer="later",
                   states=[None] * len(TOPICS))  # fmt: skip
    append_texts(cat, "plain", TOPICS)
    for name, given, error, line in (
        ("web", {"what": "text", "sort": "vector"}, BadInput, "text of web takes a text index, not a vector one"),
        ("web", {"sort": "scalar"}, BadInput, "say which column of web to index"),
        ("web", {"sort": "fast"}, BadInput, "'fast' is not one of vector, text, scalar"),
        ("web", {"what": "empty"}, BadInput, "empty of web has no value in any row yet"),
        ("plain", {"sort": "vector"}, BadInput, "plain has no column of vectors; `strata score plain minilm`"),
        ("plain", {"what": "embeding"}, NotFound, "no column of plain 'embeding'"),
    ):
        with pytest.raises(error, match=line):
            build_index(cat, name, **given)


def test_a_sample_is_found_by_the_beginning_of_its_id(web):
    ids = [value for batch in web.scan("web", ["sample_id"]) for value in batch.column(0).to_pylist()]
    whole = search(web, "web", like=ids[0])
    assert search(web, "web", like=ids[0][:6]).equals(whole) and web.trace(ids[0][:8])["sample_id"] == ids[0]
    assert sample_id_of(web, ids[1][:7].upper(), "web") == ids[1] and sample_id_of(web, "0" * 32) == "0" * 32
    receipt = web.retract(ids=[ids[2][:10]], reason="asked for")
    assert receipt["rows"] == {"web": 1} and web.trace(ids[2][:10])["rows"][0]["retracted"]
    for given, error, line in (
        (ids[0][:5], BadInput, "too short: give at least 6"),
        ("ffffffff", NotFound, "no sample of web 'ffffffff'"),
        ("volcano", NotFound, "32 hex digits"),
        (ids[2][:10], NotFound, "no sample of web"),  # it is retracted, and search sees live rows only
    ):
        with pytest.raises(error, match=line):
            sample_id_of(web, given, "web")


def test_an_ambiguous_beginning_names_what_it_could_be(cat, tmp_path, monkeypatch):
    monkeypatch.setattr("catalog.samples.SHORTEST", 1)
    append_texts(cat, "many", [f"text {number}" for number in range(40)])
    ids = [value for batch in cat.scan("many", ["sample_id"]) for value in batch.column(0).to_pylist()]
    start = next(value[0] for value in ids if sum(other[0] == value[0] for other in ids) > 1)
    twins = sorted(value for value in ids if value[0] == start)
    with pytest.raises(BadInput, match=f"ambiguous: {', '.join(twins[:4])}.*give more characters"):
        cat.trace(start)
