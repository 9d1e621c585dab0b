"""Designs of proxy runs: the same seed gives the same mixes, and what has a trial is not trained again."""

import json

import numpy as np
import pytest

from catalog import Catalog
from catalog.errors import BadInput, NotFound
from catalog.mixes import load_lock
from catalog.mixes.lock import find_mix
from catalog.testing import append_texts, sentences
from catalog.trials import find_trial, list_trials, trials_of
from flows.mixing import weigh
from flows.proxy.design import draw, make_design, read_design, run_design
from flows.proxy.stream import bound_of

TINY = {"size": "16k", "tokens": 2_048, "context": 32, "batch": 8, "validation_tokens": 256}


@pytest.fixture
def cat(tmp_path):
    cat = Catalog.open(tmp_path / "home")
    append_texts(cat, "words", sentences(150))
    append_texts(cat, "sums", [f"{a} plus {b} is {a + b}. " * 6 for a in range(12) for b in range(12)])
    return cat


SPEC = {"name": "grid", "total": 120, "parts": [{"dataset": "words"}, {"dataset": "sums"}]}


def test_draws_are_reproducible_distinct_and_within_the_caps():
    prior = np.array([0.7, 0.2, 0.1])
    first, again = (draw(prior, 40, 5, most=np.array([1.0, 0.5, 0.4])) for _ in range(2))
    assert np.array_equal(first, again) and not np.array_equal(first, draw(prior, 40, 6))
    assert np.allclose(first.sum(axis=1), 1, atol=1e-5) and len(np.unique(first, axis=0)) == 40
    assert (first[:, 1] <= 0.5).all() and (first[:, 2] <= 0.4).all()
    assert ((first == 0) | (first >= 0.0099)).all()
    with pytest.raises(BadInput, match="of 5 mixes were found"):
        draw(prior, 5, 0, most=np.array([0.1, 0.1, 0.1]))


def test_the_mean_of_many_draws_is_the_smoothed_prior():
    prior = np.array([0.64, 0.36])
    found = draw(prior, 4000, 1, temperature=0.5, strengths=(5.0, 5.0), least=0.0)
    assert found.mean(axis=0) == pytest.approx([0.8 / 1.4, 0.6 / 1.4], abs=0.02)


def test_a_design_is_run_once_and_mixers_learn_from_it(cat, tmp_path):
    folder = make_design(cat, SPEC, tmp_path / "d", runs=3, seed=4, strengths=(2.0, 20.0))
    bodies = {path.name: path.read_text() for path in folder.iterdir()}
    make_design(cat, SPEC, tmp_path / "e", runs=3, seed=4, strengths=(2.0, 20.0))
    assert {path.name: path.read_text() for path in (tmp_path / "e").iterdir()} == bodies and len(bodies) == 4
    held = run_design(cat, folder, **TINY)
    assert [t.status for t in held] == ["done"] * 3 and len({t.mix for t in held}) == 3
    lock = load_lock(cat, find_mix(cat, held[0].mix).name)
    assert all(bound_of(0.1) in part["where"] for part in lock["parts"])
    again = run_design(cat, folder, **TINY)
    assert [t.id for t in again] == [t.id for t in held] and len(list_trials(cat)) == 3
    more = run_design(cat, folder, seeds=(0, 1), **TINY)
    assert len(more) == 6 and {t.seed for t in more} == {0, 1}
    found = trials_of(cat, ["words", "sums"], models="grid-*-16k-*")
    assert len(found) == 6 and found.weights.sum(axis=1) == pytest.approx(1)
    with pytest.raises(NotFound):
        trials_of(cat, ["words", "sums"], models="*-1m-*")
    spec = read_design(folder)["spec"]
    made = weigh(cat, spec, "mixing_laws", trials="catalog:*-16k-*", goal="loss/mean", params={"starts": 2})
    assert sum(row["weight"] for row in made.rows) == pytest.approx(1)
    assert find_trial(cat, held[0].model).id == held[0].id == find_trial(cat, held[0].id).id


def test_a_folder_that_is_no_design_is_one_line(cat, tmp_path):
    with pytest.raises(NotFound, match="no design"):
        read_design(tmp_path)
    with pytest.raises(BadInput, match="names no dataset"):
        make_design(cat, {"name": "x", "parts": [{"selection": "s"}]}, tmp_path / "x")
    with pytest.raises(BadInput, match="is empty"):
        make_design(cat, SPEC, tmp_path / "x", runs=0)
    assert not (tmp_path / "x").exists()


def test_the_commands_design_run_and_show(cat, tmp_path, capsys):
    from ui.cli.main import run

    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps(SPEC))
    home = ["--home", str(cat.settings.home)]
    assert run([*home, "trial", "design", str(spec), "--runs", "2", "--into", str(tmp_path / "d"), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["runs"]) == 2
    tiny = [f"--param={key}={TINY[key]}" for key in ("context", "batch", "validation_tokens")]
    assert run([*home, "trial", "run", str(tmp_path / "d"), "--size", "16k", "--tokens", "2048", *tiny, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["status"] for row in rows] == ["done", "done"]
    assert run([*home, "trial", "show", rows[0]["model"], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["results"] == rows[0]["results"]


def test_a_contest_says_ties_and_losses(cat):
    from flows.proxy.contest import contest, versus
    from flows.proxy.recipe import make_recipe

    worse = versus({1: 2.0, 2: 2.1, 3: 2.2}, {1: 2.5, 2: 2.61, 3: 2.7}, "loss/mean")
    assert (
        worse["verdict"] == "worse" and worse["difference"] == pytest.approx(0.5033, abs=1e-3) and worse["seeds"] == 3
    )
    assert versus({1: 2.0, 2: 2.1, 3: 2.2}, {1: 2.1, 2: 1.9, 3: 2.25}, "loss/mean")["verdict"] == "tie"
    assert versus({1: 2.0}, {1: 1.0}, "loss/mean")["verdict"] == "unknown"
    assert versus({1: 2.0}, {1: 2.0}, "loss/mean")["verdict"] == "tie"
    assert versus({}, {1: 1.0}, "loss/mean")["verdict"].startswith("unknown: every run of a side diverged")

    refs = {}
    for name, weights in (("even", (1, 1)), ("tilted", (5, 1))):
        parts = [{"dataset": d, "weight": w} for d, w in zip(("words", "sums"), weights, strict=True)]
        made = cat.publish_mix({"name": name, "total": 100, "parts": parts})
        refs[name] = f"{made.name}@v{made.version}"
    recipe = make_recipe(**TINY)
    mixes = {"even": refs["even"], "same": refs["even"], "tilted": [refs["tilted"]] * 3}
    rows = contest(cat, mixes, recipe, (0, 1, 2), subject="even")
    assert [row["against"] for row in rows] == ["same", "tilted"] and len(list_trials(cat)) == 6
    assert rows[0]["verdict"] == "tie" and rows[1]["seeds"] == 3 and rows[1]["low"] < rows[1]["high"]
    with pytest.raises(BadInput, match="has 1 mixes for 3 seeds"):
        contest(cat, {"even": [refs["even"]], "b": refs["even"]}, recipe, (0, 1, 2), subject="b")
    with pytest.raises(BadInput, match="is not among the mixes"):
        contest(cat, mixes, recipe, (0,), subject="none")
    with pytest.raises(BadInput, match="measure no 'loss/none'"):
        contest(cat, mixes, recipe, (0, 1, 2), subject="even", result="loss/none")
