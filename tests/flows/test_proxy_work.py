"""Commands of the laboratory as plain JSON: one record with progress, cancelled and resumed, answered from anywhere."""

import json
import time

import pytest
from sqlmodel import select

from catalog import Catalog
from catalog.errors import BadInput, Missing, NotFound, Refused
from catalog.meta.models import Run
from catalog.runs import Cancelled, cancel
from catalog.testing import append_texts, sentences
from catalog.trials import list_trials
from flows.prefect_api import PrefectApi
from flows.proxy.placing import place_of, run_work, submit_work
from flows.proxy.recipe import make_recipe
from flows.proxy.runs import model_name, run_trial
from flows.proxy.train import folder_of, train
from flows.proxy.work import METHODS, answer_of, check_marks, marks_of, perform

TINY = {"size": "16k", "tokens": 4_096, "context": 32, "batch": 8, "validation_tokens": 256}
PARAMS = [f"--param={key}={TINY[key]}" for key in ("context", "batch", "validation_tokens")]


@pytest.fixture
def cat(cat):
    append_texts(cat, "words", sentences(150))
    append_texts(cat, "sums", [f"{a} plus {b} is {a + b}. " * 6 for a in range(12) for b in range(12)])
    for name, weights in (("even", (1, 1)), ("tilted", (5, 1))):
        parts = [{"dataset": d, "weight": w} for d, w in zip(("words", "sums"), weights, strict=True)]
        cat.publish_mix({"name": name, "total": 120, "parts": parts})
    return cat


def records(cat: Catalog, verb: str) -> list[Run]:
    with cat.session() as session:
        return list(session.exec(select(Run).where(Run.verb == verb).order_by(Run.started)))


def test_runs_have_one_record_with_progress_and_are_done_once(cat):
    body = {"mixes": ["even@v1", "tilted@v1"], "recipes": [make_recipe(**TINY).model_dump()], "device": "cpu"}
    shown = []
    ids = perform(cat, "runs", body, show=lambda done, total, unit: shown.append((done, total, unit)))
    assert ids == [trial.id for trial in list_trials(cat)] and shown[-1] == (32, 32, "steps")
    (held,) = records(cat, "trial runs")
    assert held.status == "done" and held.progress["done"] == held.progress["total"] == 32
    assert answer_of(cat, held.id) == ids
    assert perform(cat, "runs", body) == ids and len(records(cat, "trial runs")) == 1


@pytest.mark.parametrize(("workers", "steps"), [(1, 40), pytest.param(2, 2000, marks=pytest.mark.slow)])
def test_a_cancelled_command_keeps_its_step_and_the_same_command_goes_on(cat, tmp_path, workers, steps):
    recipe = make_recipe(**TINY | {"tokens": steps * 256})
    for name in ("even", "tilted"):
        parts = [{"dataset": part, "weight": 1 + (part == name), "max_epochs": 100} for part in ("words", "sums")]
        cat.publish_mix({"name": name, "total": 5000, "seed": len(name), "parts": parts})
    whole = train(cat, "even@v2", recipe, tmp_path / "whole")
    body = {"mixes": ["even@v2", "tilted@v2"], "recipes": [recipe.model_dump()], "workers": workers, "device": "cpu"}

    def stop(done, total, unit):
        if done >= 8 and records(cat, "trial runs")[-1].status == "running":
            cancel(cat, records(cat, "trial runs")[-1].id)
            time.sleep(0.6)  # the record is looked at twice a second

    with pytest.raises(Cancelled):
        perform(cat, "runs", body, show=stop)
    assert records(cat, "trial runs")[0].status == "cancelled" and list_trials(cat) == []
    assert (folder_of(cat, model_name(cat, "even@v2", recipe)) / "checkpoint.pt").exists()
    said = []
    perform(cat, "runs", body | {"workers": 1}, say=said.append)
    assert any("resumes at step" in line for line in said)
    trial = next(held for held in list_trials(cat) if held.mix == "even@v2")
    assert trial.results == pytest.approx(whole.results, rel=1e-5)


@pytest.mark.slow
def test_a_failure_in_one_process_stops_the_others_and_is_one_line(cat):
    recipes = [make_recipe(**TINY | {"tokens": 10_000_000}).model_dump()]
    body = {"mixes": ["even@v1", "tilted@v1"], "recipes": recipes, "workers": 2, "device": "cpu"}
    with pytest.raises(BadInput, match="is used up before the token budget"):
        perform(cat, "runs", body)
    assert records(cat, "trial runs")[0].status == "failed"


def test_another_catalog_and_another_method_are_refused(cat):
    body = {"mixes": ["even@v1"], "spec": {"parts": [{"dataset": "words"}]}}
    marks = marks_of(cat, body)
    assert set(marks) == {"mix even@v1", "dataset words"}
    check_marks(cat, body, marks)
    with pytest.raises(Refused, match="mix even@v1 of this worker's catalog is not the one"):
        check_marks(cat, body, marks | {"mix even@v1": "0" * 64})
    with pytest.raises(BadInput, match="knows no 'magic'"):
        perform(cat, "magic", {})
    assert set(METHODS) == {"runs", "doremi", "skills", "anneal", "leave-one-out"}


def test_places_are_asked_for_and_checked(cat, monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert place_of(cat, None).kind == "inline" and place_of(cat, "home").kind == "home"
    with pytest.raises(BadInput, match="'cloud' is not one of inline, home, team"):
        place_of(cat, "cloud")
    with pytest.raises(BadInput, match="PREFECT_API_URL"):
        place_of(cat, "team")
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    team = place_of(cat, "team")
    assert team.endpoint == PrefectApi("http://127.0.0.1:1/api")
    with pytest.raises(BadInput, match="pool 'tpu'"):
        run_work(cat, team, "runs", {}, pool="tpu")
    with pytest.raises(NotFound, match="no mix 'none'"):
        submit_work(cat, team, "doremi", {"mix": "none@v1"}, pool="gpu")
    with pytest.raises(Missing, match="does not answer"):
        submit_work(cat, team, "doremi", {"mix": "even@v1"}, pool="gpu")


def strata(cat, capsys, *words, status=0):
    from ui.cli.main import run

    assert run(["--home", str(cat.settings.home), "trial", *words]) == status
    told = capsys.readouterr()
    return json.loads(told.out) if "--json" in words and not status else told


def test_the_commands_doremi_and_skills(cat, tmp_path, capsys):
    tiny = ["--size", "16k", "--tokens", "2048", *PARAMS]
    found = strata(cat, capsys, "doremi", "even@v1", *tiny, "--json")
    assert set(found["weights"]) == {"words", "sums"} and sum(found["weights"].values()) == pytest.approx(1)
    again = strata(cat, capsys, "doremi", "even@v1", *tiny, "--json")
    assert again == found and len(list_trials(cat)) == 1, "what has ended is not trained again"
    assert found["proxy"] in found["trace"] and "words" in strata(cat, capsys, "doremi", "even@v1", *tiny).out
    spec = tmp_path / "skills.json"
    spec.write_text(json.dumps({"name": "skills", "total": 120, "parts": [{"dataset": "words", "max_epochs": 3},
                                                                         {"dataset": "sums", "max_epochs": 3}]}))  # fmt: skip
    held = strata(cat, capsys, "skills", str(spec), *tiny, "--rounds", "2", "--json")
    assert held["parts"] == ["words", "sums"] and len(held["weights"]) == 3 and len(held["models"]) == 2
    assert [run.progress["done"] for run in records(cat, "trial skills")] == [5 * 8]


def test_the_command_anneal_pairs_by_start_and_takes_parts_out(cat, tmp_path, capsys):
    recipe = make_recipe(**TINY | {"tokens": 2_048, "decay": 0.0})
    starts = [run_trial(cat, "even@v1", recipe.model_copy(update={"seed": s})).model for s in range(3)]
    named = [word for start in starts for word in ("--start", start)]
    (row,) = strata(cat, capsys, "anneal", "even@v1", "tilted@v1", *named, "--json")
    assert row["seeds"] == 3 and row["low"] < row["difference"] < row["high"] and row["detectable"] > 0
    spec = tmp_path / "even.json"
    spec.write_text(json.dumps({"name": "even", "total": 120, "parts": [{"dataset": "words", "weight": 1},
                                                                        {"dataset": "sums", "weight": 1}]}))  # fmt: skip
    out = strata(cat, capsys, "anneal", str(spec), "--leave-one-out", "--part", "sums", *named[:2], "--json")
    assert [held["against"] for held in out] == ["without sums"] and out[0]["verdict"] == "unknown"
    assert "name them: --start" in strata(cat, capsys, "anneal", "even@v1", "tilted@v1", status=2).err
    assert "no proxy model 'x'" in strata(cat, capsys, "anneal", "even@v1", "tilted@v1", "--start", "x", status=2).err
    assert "add --leave-one-out" in strata(cat, capsys, "anneal", "even@v1", status=2).err


def test_a_diverged_model_is_kept_marked_and_not_used(cat, capsys):
    wild = ["--size", "16k", "--tokens", "4096", *PARAMS, "--param=rate=90", "--param=clip=1e9", "--param=warmup=0"]
    assert "diverged: it is kept and marked" in strata(cat, capsys, "doremi", "even@v1", *wild, status=2).err
    (trial,) = list_trials(cat)
    assert trial.status == "diverged" and (folder_of(cat, trial.model) / "model.safetensors").exists()
    told = strata(cat, capsys, "anneal", "even@v1", "tilted@v1", "--start", trial.model, status=2).err
    assert f"{trial.model} diverged: it is kept and not trained on" in told
    with pytest.raises(BadInput, match="diverged"):
        run_trial(cat, "even@v1", make_recipe(**TINY, start=trial.model))
