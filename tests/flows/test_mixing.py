"""From a spec without weights to one with: `strata mix weights`."""

import numpy as np
import pytest

from catalog import Catalog
from catalog.errors import BadInput, NotFound
from catalog.mixers import Task, get_mixer
from catalog.mixes import load_spec, preview
from catalog.mixes.split import split_parts
from catalog.testing import append_texts, attach_columns
from flows.mixing import weigh
from flows.trial_table import read_trials

ORACLES = {
    "unimax": "algorithm 1 of the paper by hand; every cap met and the budget served",
    "temperature": "shares to a power, by hand",
    "fixed": "the numbers given", "proportional": "counts", "even": "counts",
}  # fmt: skip


@pytest.fixture
def cat(tmp_path):
    cat = Catalog.open(tmp_path / "home")
    for name, rows in (("small", 10), ("middle", 40), ("large", 200)):
        append_texts(cat, name, [f"{name} number {row} of some words" for row in range(rows)])
    return cat


def spec(**more):
    parts = [{"dataset": name, "max_epochs": 8} for name in ("small", "middle", "large")]
    return {"name": "try", "total": 120, "parts": parts, **more}


def answer(mixer, supply, budget=None, caps=None, **params):
    plugin = get_mixer(mixer)
    names = tuple(f"p{number}" for number in range(len(supply)))
    return plugin.answer(Task(names, np.array(supply, float), plugin.parse_params(params), budget, caps=caps))


def test_unimax_gives_even_shares_but_for_parts_that_reach_their_cap():
    # Budget 120 over 10, 40 and 200 rows with two passes: 20 (its cap), then (120 - 20) / 2 = 50 each.
    assert answer("unimax", [200, 10, 40], 120, epochs=2).weights * 120 == pytest.approx([50, 20, 50])
    assert answer("unimax", [10, 10], 1000, epochs=1).report["unserved"] == 980
    assert answer("unimax", [10, 90], 50, np.array([1.0, 9.0]), epochs=4).weights * 50 == pytest.approx([10, 40])


def test_temperature_flattens_shares():
    assert answer("temperature", [1, 3], temperature=1).weights == pytest.approx([0.25, 0.75])
    assert answer("temperature", [1, 16], temperature=2).weights == pytest.approx([1 / 5, 4 / 5])
    assert answer("temperature", [1, 10**6], temperature=1e9).weights == pytest.approx([0.5, 0.5], abs=1e-6)


def test_weights_fill_the_spec_and_it_can_be_published(cat):
    found = weigh(cat, spec(), "unimax", params={"epochs": 2})
    assert [row["part"] for row in found.rows] == ["small", "middle", "large"]
    assert [round(row["epochs"], 3) for row in found.rows] == [2.0, 1.25, 0.25]
    made = preview(cat, found.spec)
    assert [part["samples"] for part in made["parts"]] == [20, 50, 50]


def test_a_part_with_a_fixed_budget_keeps_it_and_the_others_share_the_rest(cat):
    parts = [{"dataset": "small", "samples": 5}, {"dataset": "middle"}, {"dataset": "large"}]
    found = weigh(cat, spec(parts=parts, total=45), "even")
    assert [row["part"] for row in found.rows] == ["middle", "large"]
    assert [part["samples"] for part in preview(cat, found.spec)["parts"]] == [5, 20, 20]


def test_a_part_that_gets_nothing_leaves_the_spec(cat):
    found = weigh(cat, spec(), "fixed", params={"weights": {"small": 1, "large": 3}})
    assert [part["dataset"] for part in found.spec["parts"]] == ["small", "large"]
    assert load_spec(found.spec).parts[1].weight == 0.75


def test_trials_are_read_from_a_table(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("name,weight_a,b,loss,acc,seed,note\nr1,0.25,0.75,3.5,,1,first\nr2,1,0,3.1,0.2,2,second\n")
    found = read_trials(path, ["a", "b"])
    assert found.weights.tolist() == [[0.25, 0.75], [1, 0]] and found.names == ("r1", "r2")
    assert sorted(found.results) == ["acc", "loss"] and found.seed.tolist() == [1, 2]
    assert len(found.measured("acc")) == 1


def test_what_is_wrong_is_said_in_one_line(cat, tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("small,middle,loss\n0.5,0.5,3\n")
    with pytest.raises(BadInput, match="no column of weights for part 'large'"):
        weigh(cat, spec(), "regmix", trials=path, goal="loss")
    path.write_text("small,middle,large,loss\n0.5,0.2,0.3,3\n")
    with pytest.raises(BadInput, match="needs 16 trials that measured loss, 1 did"):
        weigh(cat, spec(), "regmix", trials=path, goal="loss")
    with pytest.raises(NotFound, match="no result 'los'"):
        weigh(cat, spec(), "regmix", trials=path, goal="los")
    path.write_text("small,middle,large,loss\n0.5,-0.2,0.7,3\n")
    with pytest.raises(BadInput, match="missing or negative"):
        weigh(cat, spec(), "regmix", trials=path, goal="loss")
    with pytest.raises(BadInput, match="learns from trials"):
        weigh(cat, spec(), "regmix")
    with pytest.raises(BadInput, match="needs a budget"):
        weigh(cat, {name: value for name, value in spec().items() if name != "total"}, "unimax")
    with pytest.raises(BadInput, match="called small"):
        weigh(cat, spec(parts=[{"dataset": "small", "where": f"chars {sign} 5"} for sign in "<>"]), "even")
    with pytest.raises(BadInput, match="nothing to weigh"):
        weigh(cat, spec(parts=[{"dataset": "small"}]), "even")
    with pytest.raises(BadInput, match="'large2' is not a part"):
        weigh(cat, spec(), "fixed", params={"weights": {"large2": 1}})


def test_shares_stay_within_max_epochs_and_the_excess_goes_to_the_others():
    found = answer("even", [10, 100, 100], 120, np.array([1.0, 1.0, 1.0]))
    assert found.weights * 120 == pytest.approx([10, 55, 55])
    assert found.report["wanted before max_epochs"]["p0"] == pytest.approx(1 / 3)
    first = answer("fixed", [10, 100, 100], 60, np.array([1.0, 1.0, 1.0]), weights={"p0": 1})
    assert first.weights * 60 == pytest.approx([10, 25, 25])
    with pytest.raises(BadInput, match="hold 210 of the budget of 500"):
        answer("even", [10, 100, 100], 500, np.array([1.0, 1.0, 1.0]))


def test_a_part_is_split_by_the_values_of_a_column(cat):
    attach_columns(cat, "large", {"topic": ["it's"] * 150 + ["b"] * 30 + [None] * 20})
    body = {
        "name": "try",
        "total": 100,
        "parts": [{"dataset": "large", "weight": 2}, {"dataset": "middle", "weight": 2}],
    }
    found = split_parts(cat, body, "topic", ["large"])
    assert [(part.get("name"), part["weight"]) for part in found["parts"]] == [
        ("large/it's", 1.5), ("large/b", 0.3), ("large/none", 0.2), (None, 2),
    ]  # fmt: skip
    assert [part["rows"] for part in preview(cat, {**found, "total": 40})["parts"]] == [150, 30, 20, 40]
    rows = weigh(cat, found, "even").rows
    assert [row["part"] for row in rows] == ["large/it's", "large/b", "large/none", "middle"]
    with pytest.raises(BadInput, match="'larg' is not a part"):
        split_parts(cat, body, "topic", ["larg"])
    with pytest.raises(NotFound, match="no column of middle@v1 'topic'"):
        split_parts(cat, body, "topic")
    with pytest.raises(BadInput, match="too many values"):
        split_parts(cat, body, "sample_id", ["large"])
