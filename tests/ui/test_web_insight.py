"""The Insight tab and the release notes of the Versions tab, in Streamlit's own test runner."""

import html
import re
from pathlib import Path
from urllib.parse import unquote_plus

import pytest
from streamlit.testing.v1 import AppTest

from catalog import Catalog
from catalog.testing import append_texts, sentences, text_dataset
from ui.web.testing import APP, markup, plain, view

EVIL = "<script>window.hacked = 1</script>"


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("insight")
    cat = Catalog.open(folder / "home")
    texts = sentences(40, low=40, high=60)
    rows = [
        {"text": f"{EVIL} is how we start\n{text}" if at < 12 else text} for at, text in enumerate([*texts, texts[30]])
    ]
    text_dataset(cat, folder, "web", rows, licence="MIT")
    append_texts(cat, "web", [*sentences(9, seed=2), "caf\ufffd of the town and more"])
    append_texts(cat, "calm", sentences(1))
    return folder / "home"


def visit(home: Path, monkeypatch, **query) -> tuple[AppTest, str]:
    monkeypatch.setenv("STRATA_HOME", str(home))
    app = AppTest.from_file(str(APP), default_timeout=120)
    view(app, "dataset", **query)
    return app, markup(app)


def test_findings_open_the_sql_page_with_their_query(home, monkeypatch):
    _, page = visit(home, monkeypatch, ref="web", tab="insight")
    words = plain(page)
    assert "1 row repeats the content of another row" in words and "1 text (2.0%) holds U+FFFD" in words
    assert "begin with one and the same line" in words and "<script" not in page and "&lt;script&gt;" in page
    assert "the language model is off" in words and "checks found nothing" in words and 'role="alert"' not in page
    (query,) = {found for found in re.findall(r'href="sql\?q=([^"]+)"', page) if "65533" in found}
    rows = Catalog.open(home).sql(unquote_plus(html.unescape(query))).rows()
    assert len(rows) == 1 and "\ufffd" in rows[0]["text"]
    assert f"sample_id+%3D+%27{rows[0]['sample_id']}%27" in page
    _, low = visit(home, monkeypatch, ref="web", tab="insight", level="high")
    assert "repeat the content" not in plain(low).split("checks found nothing")[0]


def test_a_set_without_findings_and_a_level_that_is_none(home, monkeypatch):
    _, page = visit(home, monkeypatch, ref="web", tab="insight", level="nonsense")
    assert "U+FFFD" in plain(page)
    _, page = visit(home, monkeypatch, ref="calm", tab="insight", level="high")
    assert "No finding is high." in plain(page) or "No check found anything." in plain(page)


def test_a_large_set_is_looked_at_when_asked(home, monkeypatch):
    monkeypatch.setattr("ui.web.tabs.insight.ATONCE", 10)
    app, page = visit(home, monkeypatch, ref="web", tab="insight")
    assert "The checks read all" in plain(page) and "U+FFFD" not in plain(page)
    (button,) = [held for held in app.button if held.label == "Look at all rows"]
    button.click().run()
    assert app.query_params["look"] in ("1", ["1"]) and "U+FFFD" in plain(markup(app))


def test_versions_have_a_draft_of_release_notes(home, monkeypatch):
    app, page = visit(home, monkeypatch, ref="web", tab="versions")
    words = plain(page)
    assert "Release notes" in words and "suggested bump" in words and "came in" in words
    draft = next(code.value for code in app.code if code.value.startswith("# web@v2"))
    assert "41 before, 51 now (+10)" in draft
    app, _ = visit(home, monkeypatch, ref="web", tab="versions", draft="card")
    assert any("To be written" in code.value for code in app.code)
    app, page = visit(home, monkeypatch, ref="web", tab="versions", a="v2", b="v2")
    assert "Release notes" not in plain(page)


def test_a_vanished_dataset_is_one_sentence(home, monkeypatch):
    _, page = visit(home, monkeypatch, ref="gone", tab="insight")
    assert page.count('role="alert"') == 1 and "gone" in plain(page)
