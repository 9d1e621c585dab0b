"""`strata mix preview` shows what each part is short of when a spec would be refused, and says so by its status."""

import json

import pytest

from catalog.testing import append_texts, sentences
from ui.cli.main import run


@pytest.fixture
def greedy(cat, monkeypatch, tmp_path):
    monkeypatch.setenv("STRATA_HOME", str(cat.settings.home))
    append_texts(cat, "web", sentences(30))
    append_texts(cat, "math", sentences(10, seed=1))
    path = tmp_path / "greedy.yaml"
    path.write_text(
        "name: greedy\ntotal: 100\nparts:\n  - {dataset: web, weight: 3, max_epochs: 2}\n  - {dataset: math, weight: 1}\n"
    )
    return path


def test_a_refused_spec_is_shown_with_its_shortfall(greedy, capsys):
    assert run(["mix", "preview", str(greedy), "--json"]) == 2
    told = capsys.readouterr()
    shown = json.loads(told.out)
    assert [(part["part"], part["samples"], part["repeated"], part["shortfall"]) for part in shown["parts"]] == [
        ("web@v1", 75, 30, 15),
        ("math@v1", 25, 10, 15),
    ]
    assert told.err.splitlines() == [f"error: {line}" for line in shown["refused"]] and len(shown["refused"]) == 2
    assert run(["mix", "preview", str(greedy)]) == 2
    told = capsys.readouterr()
    assert "shortfall" in told.out and "75" in told.out and "error: mix greedy: part 1 (web) is short of 15" in told.err
    assert run(["mix", "publish", str(greedy)]) == 2
    assert capsys.readouterr().err.splitlines() == [f"error: {shown['refused'][0]}"]


def test_a_spec_that_holds_is_shown_as_before(greedy, capsys):
    greedy.write_text(greedy.read_text().replace("total: 100", "total: 40"))
    assert run(["mix", "preview", str(greedy)]) == 0
    told = capsys.readouterr()
    assert "refused" not in told.out and "repeated" in told.out and told.err == ""
