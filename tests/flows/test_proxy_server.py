"""Training on the home's Prefect server for real: the numbers of an inline run, cancelled, killed and resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from catalog import Catalog
from catalog.testing import append_texts, errors_of, sentences
from catalog.trials import list_trials
from flows import server
from flows.prefect_api import call
from flows.proxy.recipe import make_recipe
from flows.proxy.runs import model_name
from flows.proxy.train import folder_of, train
from flows.recovery import attempts
from flows.watching import cancel_run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
STRATA = [sys.executable, "-m", "ui.cli.main"]
TINY = {"size": "16k", "context": 32, "batch": 8, "validation_tokens": 256, "checkpoint_every": 20}
LONG = 3_000
"""Steps of a run that is still going when somebody stops it."""


class Home:
    """A home with a mix, its environment and the command line over it."""

    def __init__(self, folder: Path) -> None:
        own = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "STRATA_"))}
        self.env = own | {"STRATA_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1"}
        self.cat = Catalog.open(folder / "home")
        append_texts(self.cat, "words", sentences(150))
        append_texts(self.cat, "sums", [f"{a} plus {b} is {a + b}. " * 6 for a in range(12) for b in range(12)])
        for name, seed in (("even", 1), ("other", 2), ("third", 3)):
            parts = [{"dataset": part, "weight": 1, "max_epochs": 1000} for part in ("words", "sums")]
            self.cat.publish_mix({"name": name, "total": 20_000, "seed": seed, "parts": parts})

    def strata(self, *words: str) -> str:
        done = subprocess.run([*STRATA, *words], env=self.env, capture_output=True, text=True, timeout=800)
        assert done.returncode == 0, f"strata {' '.join(words)}: {done.stdout}\n{done.stderr}"
        return done.stdout

    def train(self, mix: str, steps: int, *words: str) -> Any:
        params = [f"--param={name}={value}" for name, value in TINY.items() if name != "size"]
        tokens = str(steps * TINY["batch"] * TINY["context"])
        return json.loads(
            self.strata("trial", "run", mix, "--size", "16k", "--tokens", tokens, *params, *words, "--json")
        )

    def folder(self, mix: str, steps: int) -> Path:
        return folder_of(self.cat, model_name(self.cat, mix, recipe_of(steps)))


def recipe_of(steps: int):
    return make_recipe(**TINY, tokens=steps * TINY["batch"] * TINY["context"])


def wait_for(true, what: str, seconds: float = 200.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    made = Home(tmp_path_factory.mktemp("laboratory"))
    made.strata("server", "start")
    yield made
    server.stop(made.cat, force=True)


def test_a_training_on_the_server_gives_what_an_inline_one_gives(home, tmp_path):
    torch.set_num_threads(1)
    whole = train(home.cat, "even@v1", recipe_of(60), tmp_path / "whole")
    trial, other = home.train("even@v1", 60, "other@v1", "--workers", "2", "--on", "home", "--pool", "cpu")
    assert trial["status"] == "done" and trial["results"] == pytest.approx(whole.results, rel=1e-5)
    assert (trial["mix"], other["mix"]) == ("even@v1", "other@v1")
    held = next(run for run in home.cat.runs() if run.verb == "trial runs")
    assert (held.place, held.status, held.progress["done"]) == ("home", "done", 120) and held.prefect_id
    assert errors_of(home.cat) == []


def test_a_method_is_answered_through_the_server(home):
    params = [f"--param={name}={value}" for name, value in TINY.items() if name != "size"]
    told = home.strata(
        "trial", "doremi", "even@v1", "--size", "16k", "--tokens", "2560", *params, "--on", "home", "--json"
    )
    found = json.loads(told)
    assert set(found["weights"]) == {"words", "sums"} and sum(found["weights"].values()) == pytest.approx(1)
    assert Path(found["trace"]).exists()


def test_a_cancelled_training_keeps_its_last_step_and_resumes(home):
    told = home.train("other@v1", LONG, "--on", "home", "--detach")
    folder, at = home.folder("other@v1", LONG), server.status(home.cat).endpoint
    wait_for(lambda: (folder / "checkpoint.pt").exists(), "a checkpoint")
    assert "stops at its next batch" in cancel_run(home.cat, told["flow_run"])
    shown = json.loads(home.strata("runs", "show", told["flow_run"], "--watch", "--json"))
    assert shown["status"] == "cancelled"
    wait_for(lambda: call(at, "GET", f"/flow_runs/{told['flow_run']}")["state_type"] == "CANCELLED", "Prefect to agree")
    step = torch.load(folder / "checkpoint.pt", weights_only=False)["step"]
    assert max(20, shown["progress"]["done"]) <= step < LONG
    (trial,) = home.train("other@v1", LONG, "--on", "inline")
    assert trial["status"] == "done" and trial["step"] == LONG


def test_a_training_survives_its_killed_worker(home, tmp_path):
    told = home.train("third@v1", LONG, "--on", "home", "--detach")
    folder = home.folder("third@v1", LONG)
    wait_for(lambda: (folder / "checkpoint.pt").exists(), "a checkpoint")
    first, worker = attempts(home.cat, told["flow_run"])[0], server.status(home.cat).children["worker cpu"][0]
    os.kill(worker, signal.SIGKILL)
    os.kill(first.pid, signal.SIGKILL)
    shown = json.loads(home.strata("runs", "show", told["flow_run"], "--watch", "--json"))
    assert shown["status"] == "done", shown
    assert [run.status for run in attempts(home.cat, told["flow_run"])] == ["done", "crashed"]
    torch.set_num_threads(1)
    whole = train(home.cat, "third@v1", recipe_of(LONG), tmp_path / "whole")
    trial = next(held for held in list_trials(home.cat) if held.mix == "third@v1")
    assert trial.results == pytest.approx(whole.results, rel=1e-5) and errors_of(home.cat) == []
