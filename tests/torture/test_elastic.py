"""A 2-rank training is killed at a random step and goes on with 1, 3 and 4 ranks: the ledger proves that nothing was lost
or repeated, and the loss goes on falling from where the checkpoint stood."""

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from catalog.mixes import publish
from catalog.pull.ledger import audit, read_run
from catalog.pull.ledger_columns import add_ledger
from catalog.testing import append_texts, sentences, tiny_tokenizer

pytestmark = pytest.mark.slow
SCRIPT = Path(__file__).with_name("ddp_train.py")


def launch(home, folder, world, attempt, die_at=0, *more):
    """Start every rank; returns their exit codes. When one is killed the others are ended, as a launcher does."""
    ranks = [
        subprocess.Popen(
            [sys.executable, SCRIPT, home, folder, str(rank), str(world), str(attempt), str(die_at), *more]
        )
        for rank in range(world)
    ]
    if die_at:
        assert ranks[-1].wait(120) == -9
        for held in ranks:
            held.kill()
    return [held.wait(120) for held in ranks]


@pytest.fixture
def store(cat):
    append_texts(cat, "web", sentences(150), fragments=2)
    append_texts(cat, "chat", sentences(40, seed=1))
    parts = [{"dataset": "web", "weight": 3}, {"dataset": "chat", "weight": 1, "max_epochs": 2}]
    publish(cat, {"name": "m", "total": 200, "parts": parts})
    return cat


@pytest.mark.parametrize("worlds", [(2, 1), (2, 3), (2, 4), (2, 3, 1, 4)])
def test_a_killed_training_goes_on_with_other_ranks(store, tmp_path, worlds):
    rng, home = random.Random(str(worlds)), str(store.settings.home)
    for attempt, world in enumerate(worlds, 1):
        last = attempt == len(worlds)
        held = read_run(store.mix("m"), "run") if attempt > 1 else None
        done = int(held.column("step").to_numpy().max()) // 4 * 4 if held is not None else 0
        die_at = 0 if last else done + rng.randint(1, 12)
        codes = launch(home, tmp_path, world, attempt, die_at)
        assert last is (codes == [0] * world)
    reader = store.mix("m")
    held = read_run(reader, "run")
    found = audit(reader, held)
    assert found["lost"] == found["repeated"] == [] and found["samples"] == found["records"] == len(reader)
    assert held.column("index").to_pylist() == sorted(held.column("index").to_pylist()), (
        "served in the order of the mix"
    )
    assert len(read_run(reader, "run", superseded=True)) >= len(held)
    losses, steps = held.column("loss").to_numpy(), held.column("step").to_numpy()
    assert sorted(set(steps.tolist())) == list(range(1, int(steps.max()) + 1))
    mean = np.array([losses[steps == step].mean() for step in range(1, int(steps.max()) + 1)])
    border = int(steps[held.column("attempt").to_numpy() == len(worlds)].min())
    assert mean[border - 1 : border + 2].mean() < mean[: max(1, border // 4)].mean() or border < 3, "not from scratch"
    assert mean[-5:].mean() < mean[:5].mean() / 2
    made = add_ledger(store, "m")["runs"][0]
    assert made["lost"] == made["repeated"] == 0


@pytest.mark.parametrize("world", [1, 3])
def test_a_killed_packed_training_goes_on_with_other_ranks(store, tmp_path, world):
    home, tokenizer = str(store.settings.home), str(tiny_tokenizer(tmp_path / "tokenizer"))
    launch(home, tmp_path, 2, 1, random.Random(world).randint(2, 12), tokenizer)
    assert launch(home, tmp_path, world, 2, 0, tokenizer) == [0] * world
    reader = store.mix("m")
    found = audit(reader, read_run(reader, "run"))
    assert found["packed"] and found["lost"] == found["repeated"] == [] and found["samples"] == len(reader)
