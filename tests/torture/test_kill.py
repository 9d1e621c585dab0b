"""kill -9 at random moments of ingest, score, promote and publish: the same command completes, nothing is lost or doubled.

pytest tests/torture                # 10 seeded kills
make torture                        # 50
"""

import multiprocessing as mp
import os
import random
import signal
import time

import pytest

from catalog import Catalog
from catalog.testing import errors_of, sentences, write_jsonl

SCORERS = ["gopher_quality", "text_length", "exact_dup"]
RECIPE = {
    "name": "torture",
    "to": "L1",
    "scores": ["langid", *SCORERS, "minhash", "pii", "secrets"],
    "drop": [
        {"name": "short", "where": "word_count < 10"},
        {"name": "exact", "where": "NOT exact_dup_keep"},
        {"name": "near", "where": "NOT minhash_keep"},
        {"name": "private", "where": "pii_count + secrets_count > 0"},
    ],
    "missing": "keep",
}


def work(home: str, files: list[str]) -> None:
    """The commands, each as a person would repeat it after a crash."""
    from flows import promote, score

    cat = Catalog.open(home)
    for file in files:
        cat.ingest([file], "web", fragment_rows=150)
    score(cat, "web", SCORERS)
    promote(cat, "web", "L1", recipe=RECIPE)
    if not [run for run in cat.runs() if run.verb == "mix" and run.status == "done"]:
        cat.publish_mix({"name": "mix", "seed": 3, "parts": [{"dataset": "web-l1@v1"}]})


def outcome(home: str) -> dict:
    """What must be equal to an undisturbed run: rows, digests of versions and columns, the mix."""
    cat = Catalog.open(home)
    body = {}
    for dataset in cat.datasets(unpublished=True):
        body[dataset.name] = [(v.number, v.rows, v.digest) for v in cat.versions(dataset.name)]
        body[f"{dataset.name} columns"] = sorted((c.alias, c.covered, c.digest) for c in cat.columns(dataset.name))
    mix = cat.mix("mix@v1")
    body["mix"] = [row for batch in mix.batches() for row in batch.column("sample_id").to_pylist()]
    return body


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[str]:
    folder = tmp_path_factory.mktemp("data")
    texts = sentences(900, seed=1)
    rows = [*texts[:500], *texts[:40], "", *texts[500:]]
    first = write_jsonl(folder / "a.jsonl", rows[:600])
    with first.open("ab") as file:
        file.write(b'{"text": broken\n')
    return [str(first), str(write_jsonl(folder / "b.jsonl", rows[600:]))]


@pytest.fixture(scope="module")
def context():
    """Children are forked from a server that has imported everything, so that a kill hits work and not imports."""
    forkserver = mp.get_context("forkserver")
    forkserver.set_forkserver_preload(["catalog.testing", "flows", "catalog.ingest.run", "catalog.mixes", __name__])
    return forkserver


@pytest.fixture(scope="module")
def undisturbed(context, files, tmp_path_factory) -> tuple[dict, float]:
    home = str(tmp_path_factory.mktemp("calm") / "home")
    child = context.Process(target=work, args=(home, files))
    began = time.monotonic()
    child.start()
    child.join(300)
    assert child.exitcode == 0
    took = time.monotonic() - began
    return outcome(home), took


def kill_until_done(context, home: str, files: list[str], seed: int, took: float, most: int) -> int:
    """Run the work, killing it at up to `most` random moments, until one attempt is left alone and finishes."""
    rng, kills = random.Random(seed), 0
    while True:
        child = context.Process(target=work, args=(home, files))
        child.start()
        if kills < most:
            child.join(rng.uniform(0.02, took * 0.9))
        else:
            child.join(300)
        if child.exitcode is None:
            os.kill(child.pid, signal.SIGKILL)
            child.join()
            kills += 1
            continue
        assert child.exitcode == 0, f"attempt after {kills} kills failed"
        return kills


def check_seed(context, tmp_path, files, undisturbed, seed: int, most: int) -> None:
    expected, took = undisturbed
    home = str(tmp_path / "home")
    kill_until_done(context, home, files, seed, took, most)
    cat = Catalog.open(home)
    assert errors_of(cat) == []
    assert outcome(home) == expected


@pytest.mark.parametrize("seed", range(10))
def test_kill(context, tmp_path, files, undisturbed, seed):
    check_seed(context, tmp_path, files, undisturbed, seed, most=1)


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(10, 60))
def test_kill_more(context, tmp_path, files, undisturbed, seed):
    check_seed(context, tmp_path, files, undisturbed, seed, most=3)
