"""Selectors in sequence: the same rows as the stages run by hand, each stage frozen, and mistakes told before any runs."""

from __future__ import annotations

import numpy as np
import pytest

from catalog.errors import BadInput
from catalog.selections import count_selection, selections
from catalog.testing import attach_columns, sentences, text_dataset
from flows.selecting import select, selection_report
from flows.stages import read_stages, select_stages
from ui.cli.main import run


@pytest.fixture
def web(cat, tmp_path):
    text_dataset(cat, tmp_path, "web", sentences(60, seed=1))
    attach_columns(cat, "web", {"quality": np.arange(60, dtype=np.float64) * 7 % 60})
    return cat


STAGES = [
    {"where": "quality >= 10"},
    {"selector": "topk", "budget": 30, "params": {"by": "quality", "order": "highest"}},
    {"where": "quality < 55"},
    {"selector": "random", "budget": 5, "seed": 3},
]


def chosen(cat, ref: str) -> set[str]:
    return {i for b in cat.pull(ref).batches(columns=["sample_id"]) for i in b["sample_id"].to_pylist()}


def test_stages_are_what_their_selections_would_be_one_by_one(web):
    made = select_stages(web, "best", "web", STAGES)
    assert [held.name for held in made] == ["best-1", "best-2", "best-3", "best"]
    assert [count_selection(web, held.name) for held in made] == [50, 30, 25, 5]
    select(web, "high", "web", "topk", 30, where="quality >= 10", params={"by": "quality", "order": "highest"})
    select(web, "few", "high", "random", 5, where="quality < 55", seed=3)
    assert chosen(web, "best") == chosen(web, "few")
    assert selection_report(web, "best")["rows"]["candidates"] == 25
    again = select_stages(web, "best", "web", STAGES)
    assert [held.version for held in again] == [1, 1, 1, 1] and len(selections(web)) == 6


def test_stages_are_read_from_a_file(web, tmp_path, capsys):
    path = tmp_path / "stages.yaml"
    path.write_text('stages:\n  - {where: "quality >= 10"}\n  - {selector: random, budget: 5}\n')
    assert read_stages(path)[1] == {"selector": "random", "budget": 5}
    assert run(["--home", str(web.settings.home), "select", "save", "few", "--from", "web", "--stages", str(path)]) == 0
    assert "few@v1" in capsys.readouterr().out and count_selection(web, "few") == 5


@pytest.mark.parametrize(
    ("stages", "error"),
    [
        ([], "a list of 1 to 20"),
        ([{"selector": "topk"}], "stage 1: selector topk chooses within a budget"),
        ([{"budget": 5}], "neither a selector nor a where"),
        ([{"selector": "random", "budget": 5}, {"selector": "random", "budget": 9}], "can only narrow"),
        ([{"selector": "random", "budget": 5, "size": 1}], "stage 1: size"),
    ],
)
def test_mistakes_are_one_line_before_anything_is_saved(web, stages, error):
    with pytest.raises(BadInput, match=error) as caught:
        select_stages(web, "best", "web", stages)
    assert "\n" not in str(caught.value) and not selections(web)
