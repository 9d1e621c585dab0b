"""`strata selectors` and `strata select save --selector`, as typed."""

from __future__ import annotations

import json

import pytest

from catalog.testing import sentences, text_dataset
from ui.cli.main import run


@pytest.fixture
def strata(cat, tmp_path, capsys):
    def call(*arguments: str, status: int = 0) -> str:
        assert run(["--home", str(cat.settings.home), *arguments]) == status
        held = capsys.readouterr()
        return held.err if status else held.out

    text_dataset(cat, tmp_path, "web", sentences(40, seed=1))
    return call


def test_a_selector_saves_a_selection_and_reports(strata):
    saved = ["select", "save", "short", "--from", "web", "--selector", "topk", "--by", "chars", "--budget", "8",
             "--param", "order=lowest", "--json"]  # fmt: skip
    made = json.loads(strata(*saved))
    assert made["selection"] == "short@v1" and made["report"]["rows"]["chosen"] == 8
    shown = strata("select", "show", "short")
    assert "topk" in shown and "overlap with random" in shown and "chars" in shown
    assert "short@v1" in strata("select", "list")


def test_selectors_are_listed_and_shown(strata):
    assert {"topk", "random"} <= {row["name"] for row in json.loads(strata("selectors", "--json"))}
    assert "column to rank by" in strata("selectors", "topk")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--selector", "topk", "--from", "web"], "within a budget"),
        (["--from", "web", "--budget", "5"], "say what to keep"),
        (["--where", "chars > 1"], "--from DATASET"),
        (["web", "--selector", "nothing", "--budget", "5"], "nothing"),
    ],
)
def test_mistakes_end_with_one_line(strata, arguments, error):
    said = strata("select", "save", "x", *arguments, status=2)
    assert error in said and said.count("\n") == 1
