"""The SQL page: kept queries, charts, files, schema search, and queries that become selections."""

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from streamlit.testing.v1 import AppTest

from catalog import Catalog
from catalog.queries import save_query, saved_queries
from catalog.selections import find_selection
from catalog.testing import append_texts, sentences, text_dataset
from ui.web.charts import result as chart
from ui.web.testing import APP, alerts, markup, said

BY_SOURCE = "SELECT source, count(*) AS rows FROM web GROUP BY 1"


@pytest.fixture
def stock(tmp_path) -> Catalog:
    cat = Catalog.open(tmp_path / "home")
    text_dataset(cat, tmp_path, "web", sentences(30))
    text_dataset(cat, tmp_path, "notes", sentences(4, seed=2))
    save_query(cat, "by-source", BY_SOURCE, note="rows by source")
    return cat


@pytest.fixture
def at(stock, monkeypatch) -> AppTest:
    monkeypatch.setenv("STRATA_HOME", str(stock.settings.home))
    app = AppTest.from_file(str(APP), default_timeout=180)
    app.run()
    return app


def visit(app: AppTest, **query) -> str:
    app.query_params.clear()
    app.switch_page("views/sql.py")
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    return said(app)


def test_a_kept_query_opens_runs_and_is_kept_anew(at, stock):
    words = visit(at, saved="by-source")
    assert "complete" in words and at.text_area(key="sql_text").value == BY_SOURCE
    assert at.dataframe[0].value["rows"].sum() == 30
    at.text_area(key="sql_text").set_value("SELECT count(*) AS n FROM notes")
    at.text_input(key="kept_name").set_value("notes-count").run()
    at.button(key="kept_go").click().run()
    assert "strata sql --saved notes-count" in said(at)
    assert [held.name for held in saved_queries(stock)] == ["by-source", "notes-count"]
    at.text_area(key="sql_text").set_value("SELECT 1")
    at.text_input(key="kept_name").set_value("by-source").run()
    at.button(key="kept_go").click().run()
    assert "kept already" in said(at) and alerts(at) == 1
    at.checkbox(key="kept_replace").check().run()
    at.button(key="kept_go").click().run()
    assert {held.name: held.query for held in saved_queries(stock)}["by-source"] == "SELECT 1"
    assert "forget:by-source" in markup(at)


def test_a_query_that_was_forgotten_or_whose_table_is_gone_is_one_panel(at, stock):
    assert "no query" in visit(at, saved="by-sourc").casefold() and alerts(at) == 1
    stock.drop("web")
    assert "no table 'web'" in visit(at, saved="by-source").casefold() and alerts(at) == 1


def test_a_chart_follows_the_address_and_says_when_there_is_none(at):
    visit(at, q="SELECT chars, chars % 7 AS week, source FROM web", chart="bar", x="week", y="chars", by="source")
    assert alerts(at) == 0 and at.selectbox(key="in_x").value == "week" and at.selectbox(key="in_y").value == "chars"
    assert not at.dataframe
    at.selectbox(key="in_chart").select("points").run()
    assert alerts(at) == 0 and at.query_params["chart"] in ("points", ["points"])
    visit(at, q="SELECT chars FROM web", chart="line", x="gone", y="gone", by="gone")
    assert alerts(at) == 0
    assert "A chart needs" in visit(at, q="SELECT source FROM web", chart="bar") and at.dataframe
    assert "A chart needs" in visit(at, q="SELECT chars FROM web WHERE chars < 0", chart="bar")


def test_the_schema_is_searched_and_a_column_goes_into_the_query(at):
    words = visit(at, find="chars")
    assert "chars" in words and "column:chars" in markup(at)
    words = visit(at, find="notes")
    assert "notes" in words and "table:web" not in markup(at)
    assert "no match" in visit(at, find="zzz-nothing") and alerts(at) == 0


def test_a_filter_and_frozen_rows_become_selections(at, stock):
    visit(at, q="SELECT sample_id, chars FROM web WHERE chars > 150 ORDER BY chars DESC LIMIT 5")
    assert "every row for which it holds, not only those shown" in said(at)
    at.text_input(key="selection_name").set_value("long").run()
    at.button(key="selection_save").click().run()
    assert "Saved long@v1" in said(at) and find_selection(stock, "long").where == "chars > 150"
    at.selectbox(key="selection_way").select("rows").run()
    at.text_input(key="selection_name").set_value("top").run()
    at.button(key="selection_save").click().run()
    assert "Saved top@v1: 5 rows today" in said(at)
    append_texts(stock, "web", ["a very long text " * 50])
    at.query_params.clear()
    at.switch_page("views/dataset.py")
    for name, value in {"ref": "web", "tab": "select", "selection": "top@v1"}.items():
        at.query_params[name] = value
    at.run()
    assert "Frozen from the rows of this query" in said(at) and "LIMIT 5" in said(at)


def test_what_cannot_become_a_selection_says_why(at):
    assert "It groups rows" in visit(at, q=BY_SOURCE).replace("This query is no filter of one dataset: it", "It")
    visit(at, q="SELECT a.sample_id FROM web a, notes b LIMIT 3")
    at.text_input(key="selection_name").set_value("both").run()
    at.button(key="selection_save").click().run()
    assert "reads 2" in said(at) and alerts(at) == 1
    visit(at, q="SELECT sample_id FROM web LIMIT 3")
    at.text_input(key="selection_name").set_value("notes").run()
    at.button(key="selection_save").click().run()
    assert "taken by a dataset" in said(at)


def test_who_may_only_read_sees_the_forms_disabled(at, stock, monkeypatch):
    monkeypatch.setenv("STRATA_GRANT", "read")
    visit(at, saved="by-source")
    assert at.button(key="kept_go").disabled and "forget:by-source" not in markup(at)
    visit(at, q="SELECT sample_id FROM web LIMIT 2")
    assert at.button(key="selection_save").disabled


def test_files_hold_what_is_shown(at):
    from ui.web.views import sql

    table = pa.table({"a": [1, 2], "b": [[1.5], None], "c": ["x", "ü"]})
    assert pq.read_table(io.BytesIO(sql.as_parquet(table))).equals(table)
    assert [json.loads(line) for line in sql.as_lines(table).splitlines()] == table.to_pylist()
    assert sql.as_csv(table).decode().count("\n") == 3
    assert pa.ipc.open_file(io.BytesIO(sql.as_arrow(table))).read_all().equals(table)


def test_axes_are_labels_across_and_numbers_in_height():
    table = pa.table({"n": [1], "name": ["a"], "when": pa.array([0], pa.timestamp("s")), "deep": [[1]], "x": [0.5]})
    assert chart.axes(table) == (["name", "when", "n", "x"], ["n", "x"])
    assert chart.axes(pa.table({"name": ["a"]})) == (["name"], [])


def ask(app: AppTest, words: str) -> str:
    [box] = [item for item in app.text_input if item.label == "Ask in words"]
    box.set_value(words).run()
    assert not app.exception, app.exception
    return said(app)


def test_a_question_in_words_becomes_sql_that_is_seen(at):
    visit(at)
    assert "web by source" in ask(at, "how many rows of web by source")
    assert at.text_area[0].value.startswith("SELECT") and at.text_area[0].value in at.query_params["q"]
    assert "No SQL could be written" in ask(at, "tell me something funny")
    assert "ask in words" in ask(at, "???").lower()
