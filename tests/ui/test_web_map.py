"""The map of a dataset: what it draws, an outline and a cluster as selections, and what it says where there is none."""

import html
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from catalog import Catalog
from catalog.polygons import parse_polygon, polygon_where
from catalog.selections import count_selection
from catalog.testing import append_texts, attach_columns, sentences
from ui.web.components.map_canvas import coloured
from ui.web.testing import APP, components, markup

ROWS = 400
EVIL = "<script>window.hacked = 1</script>"


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A dataset with places and clusters, one with vectors alone, one with nothing."""
    folder = tmp_path_factory.mktemp("map") / "home"
    cat, rng = Catalog.open(folder), np.random.default_rng(0)
    append_texts(cat, "web", [EVIL, *sentences(ROWS - 1)])
    cluster = rng.integers(0, 3, ROWS).astype(np.int32)
    places = {name: (cluster * 3 + rng.normal(0, 1, ROWS)).astype(np.float32) for name in ("pca_x", "pca_y")}
    attach_columns(cat, "web", places, scorer="map_pca")
    attach_columns(cat, "web", {"cluster": cluster}, scorer="kmeans")
    attach_columns(cat, "web", {"quality": rng.random(ROWS)}, scorer="quality")
    append_texts(cat, "vectors", sentences(9))
    attach_columns(cat, "vectors", {"clip": pa.array([[1.0, 0.5]] * 9, pa.list_(pa.float32(), 2))}, scorer="import")
    append_texts(cat, "plain", sentences(9))
    return folder


def visit(home: Path, monkeypatch, **query) -> AppTest:
    monkeypatch.setenv("STRATA_HOME", str(home))
    at = AppTest.from_file(str(APP), default_timeout=120)
    at.run()
    at.switch_page("views/dataset.py")
    for name, value in {"tab": "map", **query}.items():
        at.query_params[name] = value
    at.run()
    assert not at.exception, [error.value for error in at.exception]
    return at


def parts(at: AppTest) -> tuple[str, list[dict]]:
    """All words on the page, and what each canvas was given."""
    return markup(at), [held for held in components(at) if "grid" in held]


def text_of(at: AppTest) -> str:
    return html.unescape(re.sub(r"<[^>]+>", " ", parts(at)[0]))


def test_the_map_draws_rows_titles_and_colours(home, monkeypatch):
    at = visit(home, monkeypatch, ref="web")
    words, (canvas,) = parts(at)
    assert 'role="alert"' not in words
    assert f"{ROWS} rows in view, {ROWS} of them drawn" in text_of(at)
    assert len(canvas["titles"]) == 3
    assert len(canvas["points"]["ids"]) == 12 * ROWS
    assert {fact["name"] for fact in canvas["points"]["facts"]} >= {"cluster", "source", "chars"}
    assert EVIL not in words


def test_the_part_in_the_address_is_counted_anew(home, monkeypatch):
    at = visit(home, monkeypatch, ref="web", view="-1,1,-1,1", colour="quality", points="5000")
    _, (canvas,) = parts(at)
    assert canvas["box"] == [-1, 1, -1, 1]
    assert canvas["colours"]["steps"]
    shown = re.search(r"(\d+) rows in view", text_of(at))
    assert shown and 0 < int(shown[1]) < ROWS
    at.query_params["view"] = "nan,1,b"
    assert f"{ROWS} rows in view" in text_of(at.run())


def test_an_outline_is_counted_on_all_rows_and_saved(home, monkeypatch):
    poly = "-2,-2 4,-1.5 1,5"
    at = visit(home, monkeypatch, ref="web", poly=poly)
    cat = Catalog.open(home)
    where = polygon_where("pca_x", "pca_y", parse_polygon(poly))
    rows = cat.lance("web").count_rows(cat.predicate("web", where))
    assert re.search(rf"rows\s+{rows},", text_of(at))
    at.text_input(key="chosen_name").set_value("inner-corner").run()
    next(button for button in at.button if button.label == "Save as a selection").click().run()
    assert "Saved inner-corner@v1" in text_of(at)
    held = cat.select("inner-corner")
    assert (held.dataset, held.where) == ("web", where)
    assert "outline of 3 corners" in held.note
    assert count_selection(cat, "inner-corner") == rows


def test_bounds_and_a_cluster_choose_without_a_mouse(home, monkeypatch):
    at = visit(home, monkeypatch, ref="web")
    for name, value in {"left": -1.0, "right": 2.0, "bottom": -1.0, "top": 2.0}.items():
        at.number_input(key=f"map_{name}").set_value(value)
    at.run()
    next(button for button in at.button if button.label == "Choose these bounds").click().run()
    held = at.query_params["poly"]
    assert (held[0] if isinstance(held, list) else held) == "-1.0,-1.0 2.0,-1.0 2.0,2.0 -1.0,2.0"
    assert "an outline of 4 corners" in text_of(at)
    at = visit(home, monkeypatch, ref="web", cluster="1")
    cat = Catalog.open(home)
    rows = cat.lance("web").count_rows(cat.predicate("web", "cluster = 1"))
    assert re.search(rf"rows\s+{rows},", text_of(at))
    assert "cluster 1:" in text_of(at)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"poly": "1,2 3,4"}, "three corners"),
        ({"poly": "rubbish"}, "no list of points"),
        ({"sample": "ffffffffffff"}, "no sample"),
    ],
)
def test_what_the_address_gets_wrong_is_said_and_the_map_stays(home, monkeypatch, query, words):
    at = visit(home, monkeypatch, ref="web", **query)
    markup, canvases = parts(at)
    assert markup.count('role="alert"') == 1
    assert words in text_of(at).lower()
    assert len(canvases) == 1


def test_a_clicked_sample_is_shown(home, monkeypatch):
    name = next(iter(Catalog.open(home).scan("web", ["sample_id"], limit=1))).column(0)[0].as_py()
    at = visit(home, monkeypatch, ref="web", sample=name[:12])
    assert name[:12] in text_of(at)
    assert 'role="alert"' not in parts(at)[0]


@pytest.mark.parametrize(
    ("ref", "command"),
    [("plain", "strata score plain map_pca kmeans"), ("vectors", "map_pca kmeans --param vectors=clip")],
)
def test_without_a_map_the_page_says_which_scorer_to_run(home, monkeypatch, ref, command):
    assert command in text_of(visit(home, monkeypatch, ref=ref))


def test_colours_follow_the_commonest_values_and_the_ends_of_a_number():
    labels = pa.chunked_array([pa.array(["b", "a", None, "b", "z"])])
    codes, held = coloured(labels, "kind", {}, None)
    assert [name for name, _ in held.names] == ["b", "a", "z"]
    assert codes.tolist() == [0, 1, 17, 0, 2]
    codes, held = coloured(labels, "kind", {f"v{at:02}": 99 - at for at in range(20)} | {"b": 1}, None)
    assert codes.tolist() == [16, 16, 17, 16, 16]
    assert held.names[-1] == ("other", sum(99 - at for at in range(16, 20)) + 1)
    codes, _ = coloured(pa.chunked_array([pa.array([0.0, 5.0, 99.0, None])]), "score", {}, (0.0, 10.0))
    assert codes.tolist() == [0, 127, 254, 255]
