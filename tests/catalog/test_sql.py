"""SQL sees versions and columns by their names, reads nothing else, writes nothing, and keeps to its limits."""

import time

import numpy as np
import pyarrow as pa
import pytest

from catalog.errors import BadInput, Corrupt, NotFound, Refused, StrataError
from catalog.query.engine import Request
from catalog.query.statements import TABLE_FUNCTIONS, parse
from catalog.query.views import open_view, rows_of
from catalog.sql import count, facets, relation
from catalog.testing import append_texts, attach_columns, sentences
from catalog.where import version_filter

N = 60


@pytest.fixture
def web(cat):
    """Three versions: 40 rows, 60 rows, 60 less one and back; scores on the first 60."""
    append_texts(cat, "web", sentences(40), fragments=2)
    append_texts(cat, "web", sentences(20, seed=1))
    scores = [k / N for k in range(N)]
    scores[7], scores[8] = None, float("nan")
    states = [1] * N
    states[7] = 2
    attach_columns(
        cat,
        "web",
        {
            "quality": pa.array(scores, pa.float32()),
            "language": ["en" if k % 3 else "de" for k in range(N)],
            "half": pa.array(np.arange(N), pa.float16()),
            "embedding": pa.array([[float(k), 1.0] for k in range(N)], pa.list_(pa.float32(), 2)),
        },
        scorer="judge",
        states=states,
    )
    return cat


def one(cat, query, **options):
    return [tuple(row.values()) for row in cat.sql(query, **options).rows()]


def test_head_version_and_tag_are_views(web):
    web.tag("web@v1", "paper")
    assert one(web, "SELECT count(*) FROM web") == [(60,)]
    assert one(web, 'SELECT count(*), max(added) FROM "web@v1"') == [(40, 1)]
    assert one(web, 'SELECT count(*) FROM "web@paper" WHERE chars > 0') == [(40,)]
    assert one(web, 'SELECT count(*) FROM web w JOIN "web@v1" o USING (sample_id)') == [(40,)]


def test_columns_go_by_their_aliases_and_removed_is_hidden(web):
    names = [row[0] for row in one(web, "DESCRIBE web")]
    assert {"sample_id", "text", "quality", "language", "judge_state", "chars"} <= set(names)
    assert not {"removed", "_rowid"} & set(names) and not any("__" in name for name in names)
    row = web.sql("SELECT * FROM web WHERE judge_state = 2").rows()[0]
    assert row["quality"] is None and list(row) == names
    assert one(web, "SELECT sum(half), min(embedding[2]) FROM web WHERE half < 3") == [(3.0, 1.0)]


def test_removed_and_retracted_rows_are_out_of_the_right_versions(web):
    web.rollback("web", 1)
    gone = one(web, 'SELECT sample_id FROM "web@v1" LIMIT 1')[0][0]
    web.retract(ids=[gone], reason="takedown")
    for ref, rows in (("web@v1", 39), ("web@v2", 59), ("web@v3", 39), ("web", 39)):
        assert one(web, f'SELECT count(DISTINCT sample_id) FROM "{ref}"') == [(rows,)], ref
        assert one(web, f'SELECT count(*) FROM "{ref}"') == [(rows,)] == [(count(web, ref),)]
        found = web.resolve(ref)
        table = web.lance("web")
        arrow = rows_of(found.dataset, found.number)
        assert table.count_rows(version_filter(found.dataset, found.number)) == rows
        assert len(table.to_table(columns=["sample_id"], filter=arrow)) == rows


def test_comparisons_mean_what_sql_says_about_nan_zero_and_null(cat):
    values = np.array([0.0, -0.0, 1.0, -1.0, np.nan, np.nan, np.inf], np.float32)
    values[5] = np.copysign(np.float32(np.nan), np.float32(-1))
    append_texts(cat, "x", sentences(8))
    attach_columns(cat, "x", {"v": pa.array([*values, None], pa.float32())})
    import duckdb

    plain = duckdb.connect()
    plain.execute("CREATE TABLE x (v FLOAT)")
    plain.executemany("INSERT INTO x VALUES (?)", [[float(v)] for v in values] + [[None]])
    for test in ("v < 0", "v <= 0", "v = 0", "v > 0", "v >= 0", "v < 1 AND v > -2", "v <> 0", "v IS NULL", "v = 'nan'",
                 "v IN (0, 1)", "v BETWEEN -1 AND 0", "NOT v < 0"):  # fmt: skip
        expected = plain.execute(f"SELECT count(*) FROM x WHERE {test}").fetchall()[0][0]
        assert one(cat, f"SELECT count(*), min(chars) > 0 FROM x WHERE {test}")[0][0] == expected, test
    both = one(cat, "SELECT count(*), max(chars) FROM x WHERE v < 1 AND source = 'x' AND chars > 0")
    assert both[0][0] == plain.execute("SELECT count(*) FROM x WHERE v < 1").fetchall()[0][0]


REWRITTEN = [
    "SELECT sample_id, text, quality FROM web ORDER BY quality DESC NULLS LAST LIMIT 5",
    "SELECT left(text, 9) AS head, quality q FROM web WHERE quality > 0.3 ORDER BY q LIMIT 4 OFFSET 3",
    "SELECT * FROM web w WHERE w.quality < 0.2 ORDER BY w.quality",
    "SELECT * EXCLUDE (meta, quality) FROM web WHERE language = 'de' AND quality > 0.5 ORDER BY quality LIMIT 3",
    "SELECT upper(source) || text AS t, quality * 2 AS twice FROM web WHERE twice > 1 ORDER BY twice DESC LIMIT 2",
    'SELECT text FROM "web@v1" WHERE quality > 0.9 * (SELECT max(quality) FILTER (quality < 2) FROM "web@v1")',
    "SELECT CASE WHEN quality > 0.5 THEN text END AS t FROM web WHERE chars > 50 ORDER BY chars, sample_id",
]
UNTOUCHED = [
    "SELECT text AS quality, quality AS text FROM web ORDER BY web.quality DESC NULLS LAST LIMIT 3",
    "SELECT text FROM web WHERE text LIKE '%river%' AND quality > 0.1 ORDER BY quality LIMIT 7",
    "SELECT text, quality FROM web ORDER BY 2 DESC NULLS LAST LIMIT 5",
    "SELECT text, quality FROM web ORDER BY ALL LIMIT 5",
    "SELECT max(text) FROM web WHERE quality > 0.3",
    "SELECT DISTINCT left(text, 1) AS t FROM web WHERE quality > 0.3 ORDER BY t",
    "SELECT text, row_number() OVER (ORDER BY quality) AS n FROM web WHERE quality > 0.3 ORDER BY n LIMIT 2",
    "SELECT left(text, 3) AS chars FROM web ORDER BY chars, sample_id LIMIT 4",
    "SELECT web FROM web WHERE quality > 0.95 ORDER BY quality",
    "SELECT language, any_value(text) IS NULL FROM web WHERE quality > 0.3 GROUP BY language ORDER BY language",
    "SELECT text FROM web WHERE quality > 0.3 ORDER BY quality LIMIT 10%",
    "SELECT unnest(embedding) e, text FROM web WHERE quality > 0.9 ORDER BY quality, e LIMIT 4",
]


def test_fetching_wide_columns_late_changes_no_answer(web, monkeypatch):
    import catalog.sql

    taken, fetch, narrowed = [], catalog.sql.fetch, catalog.sql.narrowed
    monkeypatch.setattr(catalog.sql, "fetch", lambda *given: taken.append(given) or fetch(*given))
    for query in [*REWRITTEN, *UNTOUCHED]:
        taken.clear()
        monkeypatch.setattr(catalog.sql, "narrowed", narrowed)
        late = web.sql(query)
        assert bool(taken) == (query in REWRITTEN), query
        monkeypatch.setattr(catalog.sql, "narrowed", lambda *given: None)
        plain = web.sql(query)
        assert len(plain) and str(late.rows()) == str(plain.rows()), query
        assert late.arrow().schema.names == plain.columns


def test_few_rows_are_fetched_and_many_are_read_with_one_answer(web, monkeypatch):
    queries = [
        "SELECT max(text), count(*), sum(half), min(sample_id) FROM web WHERE quality < 0.3",
        "SELECT string_agg(text ORDER BY sample_id), max(meta) FROM \"web@v1\" WHERE quality < 0.3 AND source = 'web'",
        "SELECT max(embedding[1]), max(text) FROM web WHERE judge_state = 1 AND language = 'de'",
        "SELECT count(DISTINCT text) FROM web WHERE quality < -1",
    ]
    answers = []
    for few in (2.0, -1.0):
        monkeypatch.setattr("catalog.query.views.FEW", few)
        answers.append([one(web, query) for query in queries])
    assert answers[0] == answers[1] and answers[0][3] == [(0,)]


def test_conditions_on_dictionaries_are_decided_once_a_value():
    import pyarrow.compute as pc

    from catalog.query.views import filtered, mentions

    def kept(batch, test):
        found = filtered(batch, test, [name for name in batch.schema.names if mentions(test, name)])
        return found.column("n").to_pylist()

    values = ["a", None, "b", "c", None, "a"]
    plain = pa.record_batch({"s": pa.array(values), "n": pa.array(range(6))})
    coded = plain.set_column(0, "s", plain.column("s").dictionary_encode())
    s, n = pc.field("s"), pc.field("n")
    for test in (
        s == "a",
        s != "a",
        s.is_null(),
        ~s.is_null(),
        s.isin(["a", "c"]),
        (s == "a") & (n > 2),
        (s > "a") | (n < 1),
    ):
        assert kept(coded, test) == plain.filter(test).column("n").to_pylist(), str(test)
        assert pa.types.is_dictionary(filtered(coded, test, ["s", "n"]).schema.field("s").type)
    assert kept(coded.slice(1, 3), s == "b") == [2]
    many = pa.record_batch({"s": [None, *(f"v{i % 20:02}" for i in range(99))], "n": range(100)})
    coded = many.set_column(0, "s", many.column("s").dictionary_encode())
    for test in (s > "v07", s < "v02", s != "v03", s.is_null() | (s > "v10"), s == "none", s != "none"):
        assert kept(coded, test) == many.filter(test).column("n").to_pylist(), str(test)


def test_row_limit_is_visible(web):
    result = web.sql("SELECT sample_id FROM web", limit=10)
    assert (len(result), result.truncated) == (10, True) and "first 10 rows" in result.note
    assert web.sql("SELECT sample_id FROM web", limit=60).truncated is False
    late = web.sql("SELECT text FROM web WHERE chars > 0", limit=10)
    assert (len(late), late.truncated) == (10, True)
    assert len(web.sql("SELECT * FROM web", limit=0)) == 0
    with pytest.raises(BadInput, match="negative"):
        web.sql("SELECT 1", limit=-1)


def test_without_a_limit_rows_are_streamed_once(web):
    result = web.sql("SELECT sample_id FROM web", limit=None)
    assert sum(batch.num_rows for batch in result.reader()) == 60
    with pytest.raises(BadInput, match="read already"):
        result.reader()
    abandoned = web.sql("SELECT * FROM range(100000000)", limit=None).reader()
    assert abandoned.read_next_batch().num_rows
    del abandoned


def test_a_streamed_result_fails_in_one_line_too(web):
    stream = web.sql(
        "SELECT CAST(CASE WHEN i > 99999990 THEN i ELSE 0 END AS TINYINT) FROM range(100000000) t(i)", limit=None
    ).reader()
    assert stream.read_next_batch().num_rows
    with pytest.raises(StrataError, match="INT8"):
        stream.read_all()


def test_forms_of_a_result(web):
    result = web.sql("SELECT language, count(*) AS n FROM web GROUP BY language ORDER BY language")
    assert result.columns == ["language", "n"] and result.table.equals(result.arrow())
    assert result.rows() == [{"language": "de", "n": 20}, {"language": "en", "n": 40}]
    assert result.reader().read_all().num_rows == 2
    assert result.relation().filter("n > 30").fetchall() == [("en", 40)]
    polars = pytest.importorskip("polars")
    assert isinstance(result.polars(), polars.DataFrame)
    lazy = relation(web, "SELECT language, chars FROM web")
    assert lazy.aggregate("count(*)").fetchall() == [(60,)]


def test_parameters(web):
    assert one(web, "SELECT count(*) FROM web WHERE language = ? AND chars > ?", params=["de", 0]) == [(20,)]
    assert one(web, "SELECT count(*) FROM web WHERE language = $lang", params={"lang": "en"}) == [(40,)]
    with pytest.raises(BadInput):
        web.sql("SELECT ?")


def test_system_tables(web):
    assert one(web, "SELECT name, rows, head FROM strata.datasets") == [("web", 60, 2)]
    assert one(web, "SHOW TABLES")[0][:2] == ("web", 2)
    query = "SELECT dataset, alias, statistics->>'$.count' FROM strata.columns WHERE alias = 'quality'"
    assert one(web, query) == [("web", "quality", "59")]
    assert one(
        web, "SELECT v.number FROM strata.versions v JOIN strata.datasets d ON v.dataset = d.name ORDER BY 1"
    ) == [
        (1,),
        (2,),
    ]
    for name in ("recipes", "runs", "edges", "quarantine", "selections", "mixes", "tags", "source_files", "grades"):
        assert one(web, f"SELECT count(*) FROM strata.{name}") == [(0,)]
    with pytest.raises(NotFound, match=r"strata\.datasets"):
        web.sql("SELECT * FROM strata.dataset")


def test_what_a_dropped_dataset_leaves_is_not_shown(web):
    web.drop("web")
    assert one(web, "SELECT count(*) FROM strata.datasets") == one(web, "SELECT count(*) FROM strata.columns") == [(0,)]


def test_long_system_tables_are_cut_with_a_note(web, monkeypatch):
    from catalog.query import engine, system

    monkeypatch.setattr(system, "MOST", 1)
    monkeypatch.setattr(engine, "MOST", 1)
    result = web.sql("SELECT number FROM strata.versions")
    assert result.rows() == [{"number": 2}] and "newest 1" in result.note


def test_names_with_near_matches(web):
    for query, message in (
        ("SELECT * FROM wbe", "did you mean web"),
        ("SELECT qualty FROM web", "did you mean quality"),
        ("SELECT w.qualty FROM web w", "did you mean quality"),
        ('SELECT * FROM "web@v9"', "has v1 to v2"),
        ("SELECT lenght(text) FROM web", "length"),
        ("SELECT * FROM web@v1", 'quote a version: "name@v3"'),
        ("SELECT text FROM web WHERE", "line 1"),
        ("SELECT * FROM other.web", "no schema"),
    ):
        with pytest.raises(StrataError) as caught:
            web.sql(query)
        assert message in str(caught.value) and "\n" not in str(caught.value), query


WRITES = [
    "INSERT INTO web VALUES (1)", "UPDATE web SET text = ''", "DELETE FROM web", "DROP VIEW web", "CREATE TABLE t AS SELECT 1",
    "WITH gone AS (DELETE FROM web RETURNING *) SELECT * FROM gone", "COPY web TO '/tmp/x.csv'", "COPY (SELECT 1) TO 'x'",
    "ATTACH 'x.db'", "DETACH memory", "INSTALL fts", "LOAD fts", "SET threads = 1", "RESET threads", "PRAGMA database_list",
    "CALL pragma_version()", "EXPORT DATABASE 'x'", "IMPORT DATABASE 'x'", "CHECKPOINT", "VACUUM", "BEGIN", "USE memory",
    "PREPARE p AS SELECT 1", "EXECUTE p", "EXPLAIN COPY web TO 'x'", "EXPLAIN INSERT INTO web VALUES (1)", "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE web", "", "-- nothing", "EXPLAIN ANALYZE CREATE TABLE t AS SELECT 1", "ALTER TABLE web RENAME TO x",
]  # fmt: skip
READS = [
    "SELECT * FROM read_csv('{path}')", "SELECT * FROM read_text('{path}')", "SELECT * FROM read_blob('{path}')",
    "SELECT * FROM read_parquet('{path}')", "SELECT * FROM '{path}'", 'SELECT * FROM "{path}"', "SELECT * FROM glob('/*')",
    "SELECT * FROM read_json('{path}')", "SELECT * FROM sniff_csv('{path}')", "SELECT * FROM parquet_metadata('{path}')",
    "SELECT * FROM query('SELECT 1')", "SELECT * FROM query_table('web')", "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_secrets()", "SELECT * FROM arrow_scan(1, 2, 3)", "SELECT * FROM information_schema.tables",
    "SELECT * FROM pg_catalog.pg_class", "SELECT getenv('HOME')", "SELECT current_setting('temp_directory')",
    "SELECT getvariable('x')", "SELECT (SELECT max(content) FROM read_text('{path}'))", "SELECT * FROM memory.main.web",
    "WITH x AS (SELECT * FROM read_text('{path}')) SELECT * FROM x", "SELECT * FROM web, read_text('{path}')",
    "SELECT * FROM json_execute_serialized_sql('x')", "SELECT * FROM read_csv('http://127.0.0.1:9/x.csv')",
    "SELECT * FROM 's3://bucket/x.parquet'", "FROM checkpoint()", "SELECT * FROM secret", "SELECT * FROM sqlite_master",
    "DESCRIBE SELECT * FROM read_text('{path}')", "SUMMARIZE '{path}'", "SELECT * FROM web AT (VERSION => 1)", "SHOW DATABASES",
]  # fmt: skip


def test_files_network_settings_and_writes_are_refused(web, tmp_path):
    path = tmp_path / "secret.csv"
    path.write_text("token\nhunter2\n")
    secret = pa.table({"token": ["hunter2"]})  # a variable that a replacement scan would find
    before = sorted(tmp_path.rglob("*"))
    for query in [*WRITES, *READS]:
        with pytest.raises(StrataError) as caught:
            pytest.fail(f"{query} gave {web.sql(query.format(path=path)).rows()}")
        assert "hunter2" not in str(caught.value) and "\n" not in str(caught.value) and secret.num_rows, query
    assert one(web, "SELECT count(*) FROM web WHERE chars > 0") == [(60,)]
    assert sorted(tmp_path.rglob("*")) == before


def test_every_table_function_left_is_harmless(web):
    import duckdb

    held = {row[0] for row in duckdb.connect().execute(
        "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type IN ('table', 'table_macro')"
    ).fetchall()}  # fmt: skip
    assert {"read_csv", "glob", "arrow_scan", "query"} <= held - TABLE_FUNCTIONS
    request = Request(web)
    for name in sorted(held - TABLE_FUNCTIONS):
        with pytest.raises(BadInput, match="not available"):
            parse(request.con, f"SELECT * FROM {name}()")
    request.close()


def test_the_lock_holds_beneath_the_parser(web):
    """Were a statement let through by mistake, DuckDB itself would refuse."""
    import duckdb

    request = Request(web)
    for query in ("SELECT * FROM read_text('/etc/hostname')", "SET threads = 1", "COPY (SELECT 1) TO '/tmp/strata-x'",
                  "ATTACH '/tmp/strata-x.db'", "SET enable_external_access = true", "SELECT * FROM secret"):  # fmt: skip
        with pytest.raises(duckdb.Error):
            request.con.execute(query).fetchall()
    request.close()


def test_time_and_memory_are_limited(web, tmp_path, monkeypatch):
    began = time.monotonic()
    with pytest.raises(BadInput, match=r"longer than 0\.3 s"):
        web.sql("SELECT count(*) FROM range(1000000000) a, range(1000000000) b", timeout=0.3)
    assert time.monotonic() - began < 20
    with pytest.raises(BadInput, match="needs more than 20MB"):
        web.sql("SELECT list(i || 'some longer text to hold') FROM range(10000000) t(i)", memory="20MB")
    with pytest.raises(BadInput, match="is not a size"):
        web.sql("SELECT 1", memory="lots")
    monkeypatch.setattr("catalog.query.engine.gettempdir", lambda: str(tmp_path))
    rows = web.sql("SELECT i FROM range(3000000) t(i) ORDER BY hash(i) LIMIT 1 OFFSET 2999999", memory="30MB")
    assert len(rows) == 1, "a sort larger than its memory spills"
    assert not list(tmp_path.glob("strata-sql-*")), "what was spilled is gone"


def test_a_result_too_large_for_memory_is_cut(web, monkeypatch):
    monkeypatch.setattr("catalog.sql.MOST_BYTES", 100_000)
    result = web.sql("SELECT repeat('x', 1000) AS x FROM range(1000000)", limit=1_000_000)
    assert result.truncated and "MB" in result.note and result.arrow().nbytes < 20_000_000


def test_a_table_that_cannot_be_read_is_one_line(web):
    for file in sorted((web.settings.home / "tables").glob("*/data/*.lance")):
        file.write_bytes(b"nothing of use")
    with pytest.raises(StrataError) as caught:
        web.sql("SELECT max(text) FROM web")
    assert isinstance(caught.value, Corrupt) and "strata doctor" in str(caught.value) and "\n" not in str(caught.value)


def test_only_those_who_may_read(web, monkeypatch):
    web.grant = "none"
    from catalog import access

    monkeypatch.setitem(access.RANK, "none", -1)
    with pytest.raises(Refused):
        web.sql("SELECT * FROM web")


def test_counts_and_facets_come_from_metadata_in_no_time(web):
    for file in (web.settings.home / "tables").glob("*/data/*.lance"):
        file.unlink()  # whoever opened a table now would fail
    began = time.perf_counter()
    assert count(web, "web") == 60 and count(web, "web@v1") == 40
    assert one(web, 'SELECT count(*) FROM "web@v1"') == [(40,)]
    assert facets(web, "web", "source") == ({"web": 60}, 0, True)
    assert facets(web, "web@v1", "licence") == ({"unknown": 40}, 0, True)
    assert facets(web, "web", "language") == ({"en": 40, "de": 20}, 0, True)
    assert (time.perf_counter() - began) / 6 < 0.1
    with pytest.raises(NotFound, match="source"):
        facets(web, "web", "sorce")
    with pytest.raises(BadInput, match="not for web@v1"):
        facets(web, "web@v1", "language")
    with pytest.raises(BadInput, match="too many values"):
        facets(web, "web", "quality")


def test_two_runs_of_a_scorer_tell_their_states_apart(web):
    attach_columns(web, "web", {"other": [0.5] * N}, scorer="judge", states=[3] * N)
    view = open_view(web, "web")
    assert {"embedding_state", "other_state"} <= set(view.columns) and "judge_state" not in view.columns
    assert one(web, "SELECT DISTINCT other_state FROM web") == [(3,)]


def test_rows_that_no_run_has_seen_are_null(web):
    append_texts(web, "web", sentences(5, seed=9))
    assert one(web, "SELECT count(*), count(quality), count(judge_state) FROM web WHERE chars > 0") == [(65, 59, 60)]
