"""Specs are checked and weights become counts, before any table is read."""

from pathlib import Path

import pytest

from catalog.errors import BadInput
from catalog.mixes.budget import Supply, items
from catalog.mixes.spec import load_spec


def spec(*parts, **facts):
    return load_spec({"name": "m", "parts": list(parts), **facts})


def test_weights_share_the_total_exactly():
    made = spec({"dataset": "a", "weight": 1}, {"dataset": "b", "weight": 1}, {"dataset": "c", "weight": 1}, total=100)
    counts = items(made, [Supply(50), Supply(50), Supply(50)])
    assert sorted(counts) == [33, 33, 34] and sum(counts) == 100


def test_weights_are_decimals_not_binary_fractions():
    made = spec({"dataset": "a", "weight": 0.1}, {"dataset": "b", "weight": 0.2}, total=30)
    assert items(made, [Supply(100), Supply(100)]) == [10, 20]


def test_without_total_the_first_part_to_run_out_decides():
    made = spec({"dataset": "a", "weight": 3, "max_epochs": 2}, {"dataset": "b", "weight": 1})
    assert items(made, [Supply(300), Supply(1000)]) == [600, 200]


def test_without_weights_every_row_is_served_once():
    assert items(spec({"dataset": "a"}, {"dataset": "b", "samples": 7}), [Supply(30), Supply(10)]) == [30, 7]


def test_fixed_budgets_come_off_the_total():
    made = spec(
        {"dataset": "a", "samples": 40}, {"dataset": "b", "weight": 2}, {"dataset": "c", "weight": 1}, total=100
    )
    assert items(made, [Supply(100)] * 3) == [40, 40, 20]


def test_token_weights_are_token_shares():
    """A part of 50-token rows gets twice the rows of a part of 100-token rows at equal weight."""
    made = spec({"dataset": "a", "weight": 1}, {"dataset": "b", "weight": 1}, unit="tokens", total=20_000)
    assert items(made, [Supply(1000, 50_000), Supply(1000, 100_000)]) == [200, 100]


def test_a_token_budget_in_a_sample_mix():
    assert items(spec({"dataset": "a", "tokens": 500}), [Supply(100, 5000)]) == [10]


@pytest.mark.parametrize(
    ("parts", "supplies", "message"),
    [
        (
            [{"dataset": "a", "weight": 1}],
            [Supply(60)],
            r"part 1 \(a\) is short of 40 samples.*60 samples.*max_epochs 1",
        ),
        (
            [{"dataset": "a", "samples": 70}, {"dataset": "b", "weight": 1}],
            [Supply(60), Supply(90)],
            "short of 10 samples",
        ),
        ([{"dataset": "a", "samples": 100}, {"dataset": "b", "weight": 1}], [Supply(100), Supply(9)], "leave nothing"),
        ([{"dataset": "a", "weight": 1}, {"dataset": "b", "weight": 999}], [Supply(9), Supply(999)], "less than one"),
    ],
)
def test_what_cannot_be_met_says_which_part_and_how_much(parts, supplies, message):
    with pytest.raises(BadInput, match=message):
        items(spec(*parts, total=100), supplies)


def test_short_of_tokens_is_said_in_tokens():
    made = spec({"dataset": "a", "weight": 1}, unit="tokens", total=2000)
    with pytest.raises(BadInput, match="short of 1,000 tokens"):
        items(made, [Supply(10, 1000)])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"parts": [{"dataset": "a", "weight": -1}]}, "weight -1 is not a positive number"),
        ({"parts": [{"dataset": "a", "weight": 0}]}, "weight 0 is not a positive number"),
        ({"parts": [{"dataset": "a", "weight": float("nan")}]}, "weight nan"),
        ({"parts": [{"dataset": "a", "weight": float("inf")}]}, "weight inf"),
        ({"parts": [{"dataset": "a", "weight": 1}, {"dataset": "b"}]}, r"part 2 \(b\) has no weight while others have"),
        ({"parts": [{"dataset": "a", "weight": 1, "samples": 3}]}, "contradict"),
        ({"parts": [{"dataset": "a", "samples": 0}]}, "serves nothing"),
        ({"parts": [{"dataset": "a", "max_epochs": 0}]}, "max_epochs 0"),
        ({"parts": [{"weight": 1}]}, "name a dataset or a selection"),
        ({"parts": []}, "has no parts"),
        ({"parts": [{"dataset": "a"}], "total": 5}, "total is divided by weights"),
        ({"parts": [{"dataset": "a", "weight": 1}], "total": 0}, "serves nothing"),
        ({"parts": [{"dataset": "a", "wieght": 1}]}, "part 1: wieght"),
        ({"parts": [{"dataset": "a"}], "unit": "bytes"}, "unit"),
        (
            {"parts": [{"dataset": "a"}], "order": {"shuffle": "curriculum"}},
            "shuffle is full, blocks or none, not .curriculum.",
        ),
        ({"parts": [{"dataset": "a"}], "order": {"shuffle": "yes"}}, "shuffle is full, blocks or none"),
        ({"parts": [{"dataset": "a"}], "name": "../m"}, "cannot be a name"),
    ],
)
def test_a_wrong_spec_is_one_line(body, message):
    with pytest.raises(BadInput, match=message) as caught:
        load_spec({"name": "m", **body})
    assert "\n" not in str(caught.value)


def test_yaml_json_and_files_read_alike(tmp_path):
    text = "name: m\ntotal: 5\nparts:\n  - {dataset: a, weight: 1}\n"
    (tmp_path / "m.yaml").write_text(text)
    (tmp_path / "m.json").write_text('{"name": "m", "total": 5, "parts": [{"dataset": "a", "weight": 1}]}')
    assert load_spec(text) == load_spec(tmp_path / "m.yaml") == load_spec(str(tmp_path / "m.json"))
    with pytest.raises(BadInput, match="No such file"):
        load_spec("absent.yaml")
    with pytest.raises(BadInput, match="is not YAML"):
        load_spec("name: [\n")
    with pytest.raises(BadInput, match="mapping"):
        load_spec("- a\n- b\n")


def test_the_example_is_a_valid_spec():
    made = load_spec(Path(__file__).parents[2] / "examples" / "mix.yaml")
    counts = items(made, [Supply(5000)] * len(made.parts))
    assert sum(counts) == made.total and min(counts) > 0
