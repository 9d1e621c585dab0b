"""Kept queries, and queries that become selections: as a filter that follows the dataset, or as frozen rows."""

import pytest
from sqlmodel import select

from catalog.errors import BadInput, NameTaken, NotFound, Refused
from catalog.meta.models import Audit
from catalog.queries import delete_query, filter_of, find_filter, save_query, saved_queries, saved_query
from catalog.selections import count_selection
from catalog.testing import append_texts, attach_columns, sentences, text_dataset
from flows.query_selections import select_query
from flows.selecting import selection_report

ROWS = "SELECT count(*) AS rows FROM web"


@pytest.fixture
def web(cat, tmp_path):
    text_dataset(cat, tmp_path, "web", sentences(30))
    text_dataset(cat, tmp_path, "more", sentences(5, seed=2))
    return cat


def test_a_query_is_kept_replaced_and_forgotten(web):
    made = save_query(web, "rows", f"  {ROWS}\n", note="how many")
    assert (made.query, made.note, made.actor) == (ROWS, "how many", web.settings.actor)
    assert save_query(web, "rows", ROWS).created == made.created, "the same again changes nothing"
    with pytest.raises(NameTaken, match="kept already"):
        save_query(web, "rows", "SELECT 1")
    assert save_query(web, "rows", "SELECT 1", replace=True).note == "how many"
    save_query(web, "all", "SHOW TABLES")
    assert [held.name for held in saved_queries(web)] == ["all", "rows"]
    delete_query(web, "rows")
    with pytest.raises(NotFound, match="strata queries list"):
        saved_query(web, "rows")
    with web.session() as session:
        assert "query rows" in {row.object for row in session.exec(select(Audit))}


@pytest.mark.parametrize(
    ("name", "query", "said"),
    [
        ("Bad Name", ROWS, "cannot be a name"),
        ("x", "DROP TABLE web", "is refused"),
        ("x", "", "empty"),
        ("x", "SELECT 1; SELECT 2", "one statement"),
        ("x", "SELECT FROM WHERE", "syntax error"),
        ("x", "SELECT '" + "x" * 100_001 + "'", "characters"),
    ],
)
def test_what_is_no_query_is_not_kept(web, name, query, said):
    with pytest.raises(BadInput, match=said) as error:
        save_query(web, name, query)
    assert "\n" not in str(error.value) and saved_queries(web) == []


def test_who_may_only_read_or_propose_keeps_nothing(web):
    save_query(web, "rows", ROWS)
    for grant in ("read", "propose"):
        web.grant = grant
        assert saved_query(web, "rows").query == ROWS
        for verb in (
            lambda: save_query(web, "other", ROWS),
            lambda: delete_query(web, "rows"),
            lambda: select_query(web, "s", "SELECT * FROM web WHERE chars > 1"),
            lambda: select_query(web, "s", "SELECT sample_id FROM web", freeze=True),
        ):
            with pytest.raises(Refused):
                verb()


@pytest.mark.parametrize(
    ("query", "where", "cut"),
    [
        ("SELECT * FROM web WHERE chars > 10", "chars > 10", False),
        ("select text from \"web@v1\" where text = 'it''s' and (chars > 1 or chars < 0) order by chars limit 5;", "text = 'it''s' and (chars > 1 or chars < 0)", True),
        ("SELECT * FROM web -- WHERE 1 = 2\nWHERE text LIKE '%group by%'", "text LIKE '%group by%'", False),
        ("SELECT DISTINCT source FROM web WHERE chars > 1", "chars > 1", True),
        ("SELECT CASE WHEN chars > 1 THEN 'where' END FROM web WHERE chars BETWEEN 1 AND 200", "chars BETWEEN 1 AND 200", False),
        ("FROM web WHERE chars > 3", "chars > 3", False),
    ],
)  # fmt: skip
def test_the_filter_of_a_query_is_what_was_written(web, query, where, cut):
    held = filter_of(web, query)
    assert (held.where, held.cut) == (where, cut)
    assert web.lance(held.ref).count_rows(web.predicate(held.ref, held.where)) == len(
        web.sql(f'SELECT 1 FROM "{held.ref}" WHERE {where}').arrow()
    )


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT language, count(*) FROM web WHERE chars > 1 GROUP BY 1", "groups rows"),
        ("SELECT * FROM web, more WHERE chars > 1", "not those of one table"),
        ("SELECT * FROM web WHERE sample_id IN (SELECT sample_id FROM more)", "not those of one table"),
        ("SELECT * FROM web WHERE chars > (SELECT avg(chars) FROM web)", "asks another query"),
        ("SELECT * FROM (SELECT * FROM web) WHERE chars > 1", "not those of one table"),
        ("WITH a AS (SELECT 1) SELECT * FROM web WHERE chars > 1", "several statements"),
        ("SELECT * FROM web WHERE chars > 1 UNION SELECT * FROM web", "several statements"),
        ("SELECT * FROM strata.runs WHERE verb = 'score'", "no samples"),
        ("SELECT * FROM web", "no WHERE"),
        ("EXPLAIN SELECT * FROM web WHERE chars > 1", "explains"),
        ("SELECT * FROM web USING SAMPLE 5", "sample"),
    ],
)
def test_another_query_has_no_filter_and_the_reason_is_said(web, query, said):
    with pytest.raises(BadInput, match=said):
        filter_of(web, query)
    assert find_filter(web, query) is None


def test_a_filter_becomes_a_selection_that_follows_the_dataset(web):
    made = select_query(web, "long", "SELECT text FROM web WHERE chars > 200 ORDER BY chars LIMIT 2", note="why")
    assert (made.dataset, made.where, made.note) == ("web", "chars > 200", "why")
    before = count_selection(web, "long")
    append_texts(web, "web", ["a long text " * 60])
    assert count_selection(web, "long") == before + 1
    with pytest.raises(NotFound, match="did you mean web"):
        select_query(web, "x", "SELECT * FROM wbe WHERE chars > 1")
    with pytest.raises(BadInput, match="cannot be used"):
        select_query(web, "x", "SELECT * FROM web WHERE bar(text) = 1")


def test_frozen_rows_stay_what_they_were_and_say_from_which_query(web):
    query = "SELECT chars, sample_id FROM web ORDER BY chars DESC, sample_id LIMIT 4;"
    made = select_query(web, "top", query, freeze=True)
    wanted = [row["sample_id"] for row in web.sql(query).rows()]
    append_texts(web, "web", ["the longest text of all " * 90])
    rows = [
        row
        for batch in web.scan(made.dataset, ["sample_id", *_alias(made)], where=made.where, missing="drop")
        for row in batch.to_pylist()
    ]
    rows.sort(key=lambda row: row[_alias(made)[0]])
    assert [row["sample_id"] for row in rows] == wanted
    assert selection_report(web, "top")["recipe"]["query"] == query
    again = select_query(web, "top", query.replace("web", '"web@v1"'), freeze=True)
    assert (again.version, count_selection(web, "top@v1"), count_selection(web, "top@v2")) == (2, 4, 4)
    joined = (
        "WITH a AS (SELECT sample_id, chars FROM web) SELECT sample_id FROM a WHERE chars > (SELECT avg(chars) FROM a)"
    )
    above = select_query(web, "above", joined, freeze=True)
    assert count_selection(web, above.name) == len(web.sql(joined).arrow())


def _alias(made) -> list[str]:
    return [made.where.split('"')[1]]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT a.sample_id FROM web a, more b", "reads 2"),
        ("SELECT name AS sample_id FROM strata.datasets", "reads none"),
        ("SELECT chars FROM web", "no column sample_id"),
        ("SELECT sample_id FROM web WHERE chars < 0", "gives no row"),
        ("SELECT 'nowhere' AS sample_id FROM web", "is no sample of"),
        ("EXPLAIN SELECT sample_id FROM web", "over one dataset"),
    ],
)
def test_rows_that_cannot_be_frozen_are_refused_in_one_line(web, query, said):
    with pytest.raises(BadInput, match=said) as error:
        select_query(web, "x", query, freeze=True)
    assert "\n" not in str(error.value)


def test_a_name_of_something_else_is_not_taken(web):
    attach_columns(web, "web", {"topic": ["a", "b"] * 15})
    with pytest.raises(NameTaken):
        select_query(web, "more", "SELECT sample_id FROM web", freeze=True)
    assert filter_of(web, "SELECT * FROM web WHERE topic = 'a'").where == "topic = 'a'"
