"""A checkpoint leads back to its locks and datasets, whoever trained it."""

import json

import pytest

from catalog import Catalog
from catalog.errors import BadInput, NotFound
from catalog.mixes import publish
from catalog.pull.ledger import Ledger
from catalog.testing import append_texts
from catalog.trials import add_trial


@pytest.fixture
def cat(tmp_path):
    cat = Catalog.open(tmp_path / "home")
    for name, licence in (("a", "MIT"), ("b", None)):
        append_texts(cat, name, [f"{name} text number {row}" for row in range(40)], licence=licence)
    parts = [{"dataset": "a", "weight": 3, "where": "chars > 3"}, {"dataset": "b", "weight": 1}]
    for total in (20, 40):
        publish(cat, {"name": "mix", "total": total, "parts": parts})
    for step, loss in ((20, 2.9), (10, 3.0)):
        add_trial(cat, "mix@v1", {"loss": loss}, step=step, seed=2, model="small")
    add_trial(cat, "mix@v2", {"loss": 2.5}, step=30, seed=2, model="small")
    return cat


def test_a_model_names_its_trials_locks_and_datasets(cat):
    held = cat.trace("model:small")
    assert [(t["step"], t["results"]["loss"]) for t in held["trials"]] == [(10, 3.0), (20, 2.9), (30, 2.5)]
    assert [m["mix"] for m in held["mixes"]] == ["mix@v1", "mix@v2"] and len({m["lock"] for m in held["mixes"]}) == 2
    assert held["mixes"][0]["parts"][0]["where"] == "(chars > 3)" and held["folder"] is None
    by_name = {row["dataset"]: row for row in held["datasets"]}
    assert by_name["a@v1"]["samples"] == 45 and by_name["a@v1"]["licences"] == {"MIT": 40}
    assert by_name["b@v1"]["samples"] == 15 and by_name["b@v1"]["licences"] == {}


def test_the_ledger_of_a_model_is_found_by_its_name_or_by_its_trial(cat):
    reader = cat.mix("mix@v2")
    for run, steps in (("small", 3), ("night", 2), ("else", 1)):
        ledger = Ledger(reader, run)
        for step in range(steps):
            batch = reader.take(range(step * 4, step * 4 + 4), ["text"])
            ledger.record(step + 1, batch, loss=[2.0, 2.0, 4.0, 4.0] if run == "small" else None)
        ledger.close()
    add_trial(cat, "mix@v2", {"loss": 2.4}, step=40, seed=2, model="small", ledger="night")
    held = cat.trace("model:small")
    assert [(run["run"], run["steps"], run["samples"], run["lost"]) for run in held["ledger"]] == [
        ("night", 2, 8, 0), ("small", 3, 12, 0),
    ]  # fmt: skip
    small = held["ledger"][1]
    assert [part["served"] for part in small["parts"]] == [9, 3] and small["last_step"] == 3
    assert sum(row["samples"] for row in small["sources"]) == 12
    assert sum(row["records"] * row["loss"] for row in small["sources"]) == pytest.approx(36.0)
    assert held["ledger"][0]["sources"][0]["loss"] is None and held["other_runs"] == ["mix@v2/else"]
    with pytest.raises(BadInput, match="name the model too"):
        add_trial(cat, "mix@v2", {"loss": 2.4}, ledger="night")


def test_a_model_that_nobody_recorded_is_one_line_with_near_names(cat):
    with pytest.raises(NotFound, match="no model 'smal'.*small"):
        cat.trace("model:smal")


def test_the_command_prints_the_chain(cat, capsys):
    from ui.cli.main import run

    assert run(["--home", str(cat.settings.home), "trace", "model:small"]) == 0
    out = capsys.readouterr().out
    assert "step 30 on mix@v2, seed 2, done: loss 2.5" in out and "a@v1" in out and "unknown" in out
    assert "no ledger is known to be of this model" in out
    assert run(["--home", str(cat.settings.home), "trace", "model:small", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == "small"
