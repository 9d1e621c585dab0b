"""The columns tab: distribution functions by label, correlations with length called out, cost and stale marks."""

import re
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from catalog import Catalog
from catalog.meta.models import ColumnRecord
from catalog.testing import append_texts, attach_columns, sentences, text_dataset
from flows import score
from ui.web.testing import APP, markup, said


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("columns")
    cat, rng = Catalog.open(folder / "home"), np.random.default_rng(0)
    text_dataset(cat, folder, "web", sentences(120))
    score(cat, "web", ["text_length"])
    attach_columns(cat, "web", {"language": rng.choice(["en", "de"], 120).tolist()}, scorer="langid")
    append_texts(cat, "single", sentences(20))
    attach_columns(cat, "single", {"noise": rng.random(20)}, scorer="one")
    return folder / "home"


def shown(home: Path, monkeypatch, **query) -> tuple[str, str]:
    """Markup and words of the tab."""
    monkeypatch.setenv("STRATA_HOME", str(home))
    at = AppTest.from_file(str(APP), default_timeout=120)
    at.run()
    at.switch_page("views/dataset.py")
    for name, value in {"ref": "web", "tab": "columns", **query}.items():
        at.query_params[name] = value
    at.run()
    return markup(at), said(at)


def test_one_column_shows_its_curves_by_label_and_its_cost(home, monkeypatch):
    made, words = shown(home, monkeypatch, column="bytes_utf8", facet="language")
    assert "Share of rows up to a value" in words
    for name in ("all rows", "en", "de"):
        assert re.search(rf"{name}\s+\d+, median", words)
    assert re.search(r"cost of its run\s+[\d.]+ s CPU", words)
    assert 'role="alert"' not in made


def test_the_matrix_calls_out_what_follows_length(home, monkeypatch):
    made, words = shown(home, monkeypatch, look="together")
    assert re.search(r"\d+ follow length\s+.*bytes_utf8 \+1.00", words)
    assert made.count('class="called"') >= 2
    assert "over all rows" in words
    assert "Two columns of numbers are needed" in shown(home, monkeypatch, ref="single", look="together")[1]


def test_a_column_for_an_older_version_is_marked_stale(home, monkeypatch):
    cat = Catalog.open(home)
    with cat.session() as session:
        held = session.get(ColumnRecord, next(c.id for c in cat.columns("single")))
        held.scope, held.population = "population", "single@v0"
        session.add(held)
        session.commit()
    words = shown(home, monkeypatch, ref="single", column="noise")[1]
    assert "stale: for single@v0, not single@v1" in words
