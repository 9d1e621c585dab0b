"""The explorer: rules of several columns by language, counted on all rows as they move; two selections side by side."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from catalog import Catalog
from catalog.rules import Rule, write_rules
from catalog.selections import count_selection, save
from catalog.testing import append_texts, attach_columns, sentences
from ui.web.testing import APP, said

ROWS = 300


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A score with holes, a count, a language; two selections."""
    folder = tmp_path_factory.mktemp("explore") / "home"
    cat, rng = Catalog.open(folder), np.random.default_rng(0)
    append_texts(cat, "web", sentences(ROWS))
    holes = rng.random(ROWS) < 0.1
    states = pa.array(np.where(holes, None, 1), pa.uint8())
    attach_columns(cat, "web", {"quality": pa.array(rng.random(ROWS), mask=holes)}, scorer="rates", states=states)
    attach_columns(cat, "web", {"words": rng.integers(0, 90, ROWS).astype(np.int32)}, scorer="counts")
    attach_columns(cat, "web", {"language": rng.choice(["en", "de"], ROWS).tolist()}, scorer="langid")
    save(cat, "long", "web", "words > 40")
    save(cat, "good", "web", "quality > 0.5", missing="drop")
    append_texts(cat, "plain", sentences(9))
    return folder


def visit(home: Path, monkeypatch, **query) -> AppTest:
    monkeypatch.setenv("STRATA_HOME", str(home))
    at = AppTest.from_file(str(APP), default_timeout=120)
    at.run()
    at.switch_page("views/dataset.py")
    for name, value in {"ref": "web", "tab": "explore", **query}.items():
        at.query_params[name] = value
    return at.run()


def rules_of(at: AppTest) -> str:
    held = at.query_params["rules"]
    return held[0] if isinstance(held, list) else held


def test_rules_are_counted_on_all_rows_follow_the_widgets_and_are_saved(home, monkeypatch):
    cat = Catalog.open(home)
    at = visit(home, monkeypatch)
    assert "Choose the columns" in said(at)
    at.multiselect(key="rule_columns").select("words").run()
    assert rules_of(at).startswith("words>=")
    at.number_input(key="rule_words_line_box").set_value(30.0).run()
    at.multiselect(key="rule_words_languages").select("de").run()
    at.slider(key="rule_words_de_slider").set_value(60.0).run()
    assert rules_of(at) == write_rules([Rule("words", ">=", 30.0, (("de", 60.0),))])
    where = "((language = 'de' AND words >= 60) OR ((language IS NULL OR NOT language IN ('de')) AND words >= 30))"
    rows = cat.lance("web").count_rows(cat.predicate("web", where))
    assert f"{rows} of {ROWS} rows" in said(at)
    at.selectbox(key="rule_words_side").set_value("<").run()
    assert rules_of(at).startswith("words<30.0")
    at.text_input(key="chosen_name").set_value("by-rule").run()
    next(button for button in at.button if button.label == "Save as a selection").click().run()
    assert "Saved by-rule@v1" in said(at)
    assert f"{count_selection(cat, 'by-rule')} of {ROWS} rows" in said(at)


def test_two_rules_and_rows_without_a_value(home, monkeypatch):
    rules = write_rules([Rule("quality", ">=", 0.5), Rule("words", "<", 50)])
    at = visit(home, monkeypatch, rules=rules)
    cat = Catalog.open(home)
    for missing in ("drop", "keep"):
        rows = cat.lance("web").count_rows(cat.predicate("web", "quality >= 0.5 AND words < 50", missing))
        assert f"{rows} of {ROWS} rows" in said(at)
        at.selectbox(key="in_missing").set_value("keep").run()
    assert "takes away in turn" in said(at)
    at.selectbox(key="in_missing").set_value("error").run()
    assert "do not cover every row" in said(at)


def test_an_address_that_cannot_be_read_and_a_dataset_without_numbers(home, monkeypatch):
    assert "cannot be read" in said(visit(home, monkeypatch, rules="words=9"))
    assert "No column of numbers yet" in said(visit(home, monkeypatch, ref="plain"))


def test_two_selections_show_what_each_alone_and_both_hold(home, monkeypatch):
    text = said(visit(home, monkeypatch, way="sets", a="long@v1", b="good@v1"))
    cat = Catalog.open(home)
    for title, where in (
        ("Only long@v1", "words > 40 AND (quality IS NULL OR NOT quality > 0.5)"),
        ("Only good@v1", "NOT words > 40 AND quality > 0.5"),
        ("Both", "words > 40 AND quality > 0.5"),
    ):
        rows = cat.lance("web").count_rows(cat.predicate("web", where, "drop"))
        assert re.search(rf"{title}\s+{rows}\s", text), (title, rows)
    assert "Two sets are needed" in said(visit(home, monkeypatch, ref="plain", way="sets"))
