"""Home: what waits and what is new come from stored facts, in as many statements for many datasets as for few."""

from __future__ import annotations

import html
import re

import pyarrow as pa
import pytest
from sqlalchemy import event
from sqlmodel import select
from streamlit.testing.v1 import AppTest

from agents import proposals
from catalog import Catalog
from catalog.evals import stale
from catalog.grades.campaigns import create
from catalog.meta.intake import Intake
from catalog.meta.models import ColumnRecord, Dataset, Edge, Run, Version, now
from catalog.testing import append_texts, attach_columns, sentences, text_dataset
from flows import promote, score
from ui.web.queries import flow, overview, waiting
from ui.web.testing import APP, markup

RUBRIC = {"name": "fine", "scales": {"fine": {"low": 0, "high": 1}}}


def many(cat: Catalog, count: int) -> None:
    """Datasets as metadata alone: whoever opens a table of them fails."""
    with cat.session() as session:
        for at in range(count):
            tier = f"L{at % 4}"
            held = Dataset(id=f"d{at}", name=f"set-{at}", kind="text", tier=tier, uri=f"nowhere/{at}", head=1, rows=100,
                           role="eval" if at == 0 else None, parent=f"set-{at - 1}@v1" if at % 4 else None)  # fmt: skip
            session.add(held)
            facts = {"chars": 1000, "facets": {"licence": {"MIT": 100}}}
            session.add(Version(dataset_id=held.id, number=1, digest=str(at), rows=100, added=100, statistics=facts))
            for name in ("word_count", "tokens", "rank"):
                session.add(ColumnRecord(dataset_id=held.id, alias=name, physical=name, state="s", fingerprint=f"{name}{at}",
                                         scorer=name, output=name, type="double", covered=100, run_id=f"r{at}",
                                         scope="population" if name == "rank" else "row", population=f"set-{at}@v1",
                                         statistics={"mean": 10.0, "count": 100}))  # fmt: skip
            if held.parent:
                sums = {"unit": "tokens", "total": [100, 1000], "kept": [80, 900]}
                session.add(Edge(run_id="r", verb="promote", source=held.parent, target=f"set-{at}@v1",
                                 counts={"in": 100, "kept": 80}, details={"recipe": {}, "waterfall": sums}))  # fmt: skip
        session.commit()


def asked(cat: Catalog) -> list[str]:
    """The statements that home asks."""
    said: list[str] = []

    def listen(connection, cursor, statement, parameters, context, executemany) -> None:
        said.append(statement)

    event.listen(cat.engine, "before_cursor_execute", listen)
    try:
        cards = overview.cards(cat)
        waiting.waiting(cat, cards)
        waiting.news(cat)
        flow.flows(cat, cards)
    finally:
        event.remove(cat.engine, "before_cursor_execute", listen)
    return said


@pytest.mark.parametrize("cat", ["sqlite", "postgres"], indirect=True)
def test_many_datasets_cost_no_more_statements_than_few(cat):
    many(cat, 12)
    few = len(asked(cat))
    with cat.session() as session:
        for table in (Dataset, Version, ColumnRecord, Edge):
            session.connection().exec_driver_sql(f"DELETE FROM {table.__tablename__}")
        session.commit()
    many(cat, 300)
    assert len(asked(cat)) == few < 25
    cards = overview.cards(cat)
    assert flow.flows(cat, cards)["L0", "L1"] == flow.Flow(7500, 6000, 75_000, 67_500, 75, 75)
    found = {wait.what: wait for wait in waiting.waiting(cat, cards)}
    assert found["datasets not checked against every eval"].count == 150
    assert [item.kind for item in waiting.news(cat)] == ["columns"] * waiting.NEWEST or len(
        waiting.news(cat)
    ) == waiting.NEWEST


def shown(cat: Catalog, monkeypatch) -> str:
    monkeypatch.setenv("STRATA_HOME", str(cat.settings.home))
    at = AppTest.from_file(str(APP), default_timeout=120).run()
    return markup(at)


def test_a_lane_of_many_says_how_many_more_there_are(cat, monkeypatch):
    many(cat, 240)
    page = shown(cat, monkeypatch)
    assert page.count('class="sx-card"') == 4 * 48 and "12 more: search or filter" in page
    assert page.count('role="alert"') == 0


def test_everything_that_waits_is_named_with_the_page_that_decides(cat, tmp_path, monkeypatch):
    text_dataset(cat, tmp_path, "web", sentences(40), licence="MIT")
    text_dataset(cat, tmp_path, "quiz", sentences(5, seed=9), role="eval")
    attach_columns(cat, "web", {"rank": pa.array(range(40))})
    score(cat, "web", ["text_length"])
    with cat.session() as session:
        column = session.exec(select(ColumnRecord).where(ColumnRecord.alias == "rank")).one()
        column.scope, column.population = "population", "web@v1"
        session.add(column)
        again = {"verb": "score", "dataset": "web", "key": "again", "host": "elsewhere"}
        session.add(Run(**again, status="failed", started="2020-01-01T00:00:00.000000+00:00"))  # long ago
        session.add(Run(verb="ingest", dataset="web", key="resumed", status="failed"))
        session.add(Run(verb="ingest", dataset="web", key="resumed", status="done", started=now()))
        session.add(Run(verb="promote", dataset="web", key="lost", status="crashed"))
        session.add(Intake(name="crawl", status="error", reason="no such file"))
        session.commit()
    append_texts(cat, "web", sentences(3, seed=4))
    made = proposals.propose(cat, "tag", {"ref": "web@v1", "label": "first"}, title="Name the <b>first</b> crawl")
    create(cat, "look", "web", RUBRIC, graders=2, items=10)
    found = {wait.what: wait for wait in waiting.waiting(cat, overview.cards(cat))}
    assert found["proposed change"].query == {"proposal": made.id}
    assert found["failed run"].names == ("promote web",)
    assert found["source that did not come in"].names == ("crawl",)
    assert found["grading queue"].names == ("look (20 grades wanted)",)
    assert found["dataset with columns of an older version"].names == ("web: rank",)
    assert found["licences nobody verified"].count == 2
    page = shown(cat, monkeypatch)
    assert "<b>first</b>" not in page and html.escape("Name the <b>first</b> crawl") in page
    for address in (f"assistant?proposal={made.id}", "grade?campaign=look", "dataset?ref=web&amp;tab=columns"):
        assert address in page
    proposals.reject(cat, made.id)
    assert "proposed change" not in {wait.what for wait in waiting.waiting(cat, overview.cards(cat))}


def test_leak_checks_wait_as_the_catalog_says(cat, tmp_path):
    """Home asks in two queries what `catalog.evals.stale` works out one dataset at a time."""
    text_dataset(cat, tmp_path, "web", sentences(40))
    text_dataset(cat, tmp_path, "quiz", sentences(5, seed=9), role="eval")
    with cat.session() as session:
        held = session.get_one(Dataset, cat.resolve("web").dataset.id)
        held.tier = "L2"
        session.add(held)
        session.commit()

    def both() -> tuple[list[str], list[str]]:
        found = {wait.what: wait for wait in waiting.waiting(cat, overview.cards(cat))}
        names = [name for what, wait in found.items() if "not checked" in what for name in wait.names]
        return names, [row["object"] for row in stale(cat)]

    assert both() == (["web"], ["web"])
    score(cat, "web", ["eval_overlap"])
    assert both() == ([], [])
    append_texts(cat, "quiz", sentences(2, seed=8))
    assert both() == (["web"], ["web"])


def test_lanes_show_what_flowed_in_and_news_what_was_made(cat, tmp_path, monkeypatch):
    text_dataset(cat, tmp_path, "web", sentences(40), licence="MIT")
    rules = {"few_words": "word_count < 30", "copies": "NOT exact_dup_keep", "near_copies": "NOT minhash_keep",
             "personal": "pii_count > 9", "secrets": "secrets_count > 0"}  # fmt: skip
    recipe = {"name": "short", "to": "L1", "kinds": ["text"], "missing": "keep",
              "scores": ["langid", "gopher_quality", "exact_dup", "minhash", "pii", "secrets"],
              "drop": [{"name": name, "where": where} for name, where in rules.items()]}  # fmt: skip
    promote(cat, "web", "L1", recipe=recipe)
    kept = cat.resolve("web-l1").dataset.rows
    assert 0 < kept < 40
    held = flow.flows(cat, overview.cards(cat))
    assert (held["L0", "L1"].rows_in, held["L0", "L1"].rows_kept) == (40, kept)
    text = html.unescape(re.sub(r"<[^>]+>", "", shown(cat, monkeypatch)))
    assert re.search(rf"L0 → {100 * kept / 40:.1f}%".replace(".0%", r"(\.0)?%") + " of 40 rows", text)
    assert {"version", "columns"} == {item.kind for item in waiting.news(cat)}
    assert "web-l1@v1" in text and f"+{kept} rows" in text
