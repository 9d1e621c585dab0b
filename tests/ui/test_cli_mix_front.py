"""`strata mix front` as typed: the front of recorded runs against plain SQL, a table of runs, predictions, a point as a spec."""

import json
import sqlite3

import numpy as np
import pytest

from catalog.mixes.spec import read_spec
from catalog.testing import append_texts, sentences
from catalog.trials import add_trial
from ui.cli.main import run


@pytest.fixture
def strata(cat, tmp_path, capsys):
    append_texts(cat, "web", sentences(60))
    append_texts(cat, "wiki", sentences(20, seed=1))
    spec = {
        "name": "tried",
        "total": 40,
        "parts": [{"dataset": "web", "weight": 3}, {"dataset": "wiki", "max_epochs": 3}],
    }
    (tmp_path / "design.yaml").write_text(
        json.dumps({**spec, "parts": [spec["parts"][0], {**spec["parts"][1], "weight": 1}]})
    )
    random = np.random.default_rng(4)
    for number, share in enumerate((0.2, 0.4, 0.6, 0.8)):
        parts = [{"dataset": "web", "weight": share}, {"dataset": "wiki", "weight": 1 - share, "max_epochs": 3}]
        made = cat.publish_mix({"name": f"try-{number}", "total": 40, "parts": parts})
        for seed in range(2):
            loss, acc = random.normal(2, 0.3), random.normal(0.5, 0.1)
            add_trial(cat, f"{made.name}@v1", {"loss": loss, "acc": acc, "loss_stderr": 0.1}, model="m", seed=seed)

    def call(*words: str, status: int = 0):
        given = [str(tmp_path / word) if word.endswith((".yaml", ".csv")) else word for word in words]
        assert run(["--home", str(cat.settings.home), *given]) == status
        told = capsys.readouterr()
        call.err = told.err
        return json.loads(told.out) if "--json" in words and not status else told.out

    call.folder = tmp_path
    return call


BEATEN = """
WITH runs AS (SELECT mix, avg(json_extract(results, '$.loss')) AS loss, avg(json_extract(results, '$.acc')) AS acc
              FROM trial GROUP BY mix)
SELECT a.mix, a.loss, a.acc, count(b.mix) FROM runs a LEFT JOIN runs b
ON b.loss <= a.loss AND b.acc >= a.acc AND (b.loss < a.loss OR b.acc > a.acc) GROUP BY a.mix
"""


def test_the_front_of_recorded_runs_is_what_sql_finds(cat, strata):
    with sqlite3.connect(cat.settings.home / "meta.db") as store:
        rows = {mix: held for mix, *held in store.execute(BEATEN)}
    held = strata("mix", "front", "design.yaml", "--result", "loss", "--result", "acc:higher", "--json")
    assert (held["measured"], held["runs"]) == (4, 8)
    for point in held["points"]:
        loss, acc, better = rows[point["mixes"][0]]
        assert point["values"]["loss"]["value"] == pytest.approx(loss)
        assert point["values"]["acc"]["value"] == pytest.approx(acc)
        assert (point["front"] == 0) == (better == 0) and point["runs"] == 2
    assert held["on_front"] == sum(better == 0 for *_, better in rows.values())
    text = strata("mix", "front", "design.yaml")
    assert f"{held['on_front']} of 4 measured mixes" in text and "try-0@v1" in text


def test_a_point_becomes_a_spec(strata):
    held = strata("mix", "front", "design.yaml", "--json")
    point = held["points"][-1]
    strata("mix", "front", "design.yaml", "--take", point["key"], "--write", "taken.yaml")
    parts = read_spec(strata.folder / "taken.yaml")["parts"]
    assert [part["weight"] for part in parts] == pytest.approx(list(point["weights"].values()), abs=1e-4)
    assert json.loads((strata.folder / "design.yaml").read_text())["parts"][0]["weight"] == 3


def test_predictions_of_a_table_of_runs_are_told_apart(strata):
    shares = np.linspace(0.05, 0.95, 20)
    lines = [f"{share},{1 - share},{3 - share},{0.7 - share / 2}" for share in shares]
    (strata.folder / "runs.csv").write_text("\n".join(["web,wiki,loss,acc", *lines]) + "\n")
    asked = ("mix", "front", "design.yaml", "--trials", "runs.csv", "--mixer", "regmix", "--param", "model=linear",
             "--param", "draws=300")  # fmt: skip
    held = strata(*asked, "--json")
    kinds = [point["kind"] for point in held["points"]]
    assert set(kinds) == {"run", "best", "spec", "drawn"} and held["measured"] == held["on_front"] == 20
    now = next(point for point in held["points"] if point["kind"] == "spec")
    assert now["weights"] == {"web": 0.75, "wiki": 0.25} and now["values"]["loss"]["value"] == pytest.approx(
        2.25, abs=0.05
    )
    assert any("not measured" in line for line in held["notes"]) and held["report"]["loss"]
    assert held == strata(*asked, "--json")
    assert "predicted, of the spec" in strata(*asked) and "not measured" in strata.err


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--result", "loss"], "two results, not 1"),
        (["--result", "loss", "--result", "f1"], "f1"),
        (["--result", "loss", "--result", "loss:higher"], "both results are loss"),
        (["--take", "r0"], "give both"),
        (["--take", "r77", "--write", "taken.yaml"], "r77"),
        (["--mixer", "unimax"], "predicts no mix but its own"),
        (["--param", "draws=9"], "name the one that predicts"),
        (["--trials", "catalog:nothing-*"], "trial of these parts"),
        (["--trials", "nowhere.csv"], "nowhere.csv"),
    ],
)
def test_mistakes_end_with_one_line(strata, words, line):
    strata("mix", "front", "design.yaml", *words, status=2)
    assert line in strata.err and strata.err.count("\n") == 1 and strata.err.startswith("error: ")
    assert not (strata.folder / "taken.yaml").exists()
