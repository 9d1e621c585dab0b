"""The columns tab of a judge: answers read, the place of a text, what people say; nothing for other columns."""

import html
import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from catalog import Catalog, grades
from catalog.testing import append_texts
from flows import score
from flows.endpoints.registry import save_endpoint
from flows.endpoints.testing import metered

APP = Path(__file__).parents[2] / "ui" / "web" / "app.py"


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("judges") / "home"
    cat = Catalog.open(folder)
    append_texts(cat, "web", [f"<b>text</b> of strength {number}" for number in range(12)])

    def reply(body):
        ask = body["messages"][-1]["content"]
        return '{"choice": "A"}' if "\nB\n" in ask else '{"reason": "so", "educational_value": 2}'

    with metered(reply) as meter:
        save_endpoint(cat, "e", url=meter.url, model="m-1", revision="r1")
        score(cat, "web", ["pairs_educational_value"], params={"endpoint": "e", "rounds": 1})
        score(cat, "web", ["judge_educational_value"], params={"endpoint": "e"})
    score(cat, "web", ["text_length"])
    rubric = {"name": "v", "about": "?", "scales": {"v": {"low": 0, "high": 5, "anchors": {0: "a", 5: "b"}}}}
    grades.create(cat, "people", "web", rubric, order="random", items=6)
    for value in (1, 2, 3, 2, 1, 3):
        grades.put(cat, grades.next_item(cat, "people", "ann")["item"], {"v": value}, grader="ann")
    return folder


def words(home: Path, monkeypatch, column: str) -> str:
    monkeypatch.setenv("STRATA_HOME", str(home))
    at = AppTest.from_file(str(APP), default_timeout=120)
    at.run()
    at.switch_page("views/dataset.py")
    for name, value in {"ref": "web", "tab": "columns", "column": column}.items():
        at.query_params[name] = value
    at.run()
    assert not at.exception
    return html.unescape(re.sub(r"<[^>]+>", " ", "".join(str(getattr(e.proto, "body", "")) for e in at.get("html"))))


def test_a_judge_that_compares_shows_what_the_place_does(home, monkeypatch):
    said = words(home, monkeypatch, "pairs_educational_value")
    assert "The judge's answers" in said and "m-1 (r1)" in said
    assert "Place of the text" in said and "prefers the first text" in said


def test_a_judge_that_grades_stands_beside_people(home, monkeypatch):
    said = words(home, monkeypatch, "judge_educational_value")
    assert (
        "Beside people: people, v" in said and "people's mean over all rows" in said and "Place of the text" not in said
    )


def test_other_columns_show_nothing_of_it(home, monkeypatch):
    assert "The judge's answers" not in words(home, monkeypatch, "characters")
