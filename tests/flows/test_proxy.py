"""The proxy laboratory on real stores with the smallest model: held-out rows, resumption, divergence, records."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from catalog import Catalog
from catalog.errors import BadInput, NotFound
from catalog.mixes import load_lock, publish
from catalog.testing import append_texts, sentences
from catalog.trials import list_trials
from flows.proxy import run_trial
from flows.proxy.losses import diverging, evaluate
from flows.proxy.recipe import SIZES, build_model, make_recipe
from flows.proxy.runs import model_name, recorded
from flows.proxy.stream import (
    bound_of,
    clause,
    held_out,
    load_tokens,
    open_stream,
    trained_on,
    validation_of,
    validation_windows,
)
from flows.proxy.train import folder_of, train

TINY = {"size": "16k", "tokens": 20_480, "context": 64, "batch": 8, "validation_tokens": 512, "checkpoint_every": 5}


@pytest.fixture
def cat(tmp_path):
    cat = Catalog.open(tmp_path / "home")
    append_texts(cat, "words", sentences(200))
    append_texts(cat, "sums", [f"{a} plus {b} is {a + b}. " * 6 for a in range(15) for b in range(15)])
    parts = [{"dataset": "words", "weight": 1}, {"dataset": "sums", "weight": 1}]
    publish(cat, {"name": "both", "total": 300, "seed": 3, "parts": parts})
    return cat


def test_a_size_is_named_by_its_parameters_beside_the_embeddings():
    import torch

    for name in SIZES:
        with torch.device("meta"):  # shapes alone: nothing is drawn
            model = build_model(make_recipe(size=name), 257)
        held = sum(p.numel() for key, p in model.named_parameters() if "embed" not in key)
        named = float(name[:-1]) * {"k": 1e3, "m": 1e6}[name[-1]]
        assert 0.7 < held / named < 1.35, (name, held)


def test_the_split_is_a_bound_on_content_ids_and_can_be_turned_round():
    assert bound_of(0.5) == "80000000"
    assert trained_on("chars > 5", 0.1) == f"(chars > 5) AND {clause(0.1)}"
    assert trained_on(trained_on(None, 0.1), 0.1) == clause(0.1)
    assert held_out(trained_on("chars > 5", 0.1), 0.1) == "(chars > 5) AND content_id < '19999999'"
    assert held_out("chars > 5", 0.1) == "(chars > 5) AND content_id < '19999999'"


def test_no_token_of_a_held_out_row_is_trained_on(cat):
    recipe = make_recipe(**TINY, held_out=0.3)
    stream = open_stream(cat, "both", recipe, load_tokens("bytes"))
    held = {row for name in ("words", "sums") for batch in cat.scan(name, ["content_id", "text"])
            for id_, row in zip(batch["content_id"].to_pylist(), batch["text"].to_pylist(), strict=True)
            if id_ < bound_of(0.3)}  # fmt: skip
    ids, part, _ = stream.take(20_000)
    seen = [bytes(piece.astype(np.uint8)).decode() for piece in np.split(ids, np.flatnonzero(ids == 256) + 1)]
    texts = {text[:-1] for text in seen[:-1]}
    assert len(held) > 50 and stream.skipped > 30 and not texts & held
    assert abs(np.bincount(part)[0] / 20_000 - 0.5) < 0.35 and len(texts) > 50


def test_seeds_begin_elsewhere_in_the_same_order(cat):
    first, other = (open_stream(cat, "both", make_recipe(**TINY, seed=s), load_tokens("bytes")) for s in (0, 1))
    assert first.begin == 0 and 0 < other.begin < 300
    assert first.take(100)[2][0] == 0 and other.take(100)[2][0] >= other.begin


def test_a_run_learns_measures_each_part_and_is_a_trial_of_its_lock(cat):
    from transformers import LlamaForCausalLM

    recipe = make_recipe(**TINY)
    trial = run_trial(cat, "both", recipe)
    assert trial.status == "done" and trial.source == "proxy" and trial.tokens == 20_480 and trial.step == 40
    assert set(trial.results) == {"loss/words", "loss/sums", "loss/mean", "train_loss"}
    assert trial.results["loss/sums"] < 3.5 < np.log(257)
    assert trial.results["loss/mean"] == pytest.approx((trial.results["loss/words"] + trial.results["loss/sums"]) / 2)
    assert trial.weights == {"words": 0.5, "sums": 0.5} and trial.lock == load_lock(cat, "both")["digest"]
    assert run_trial(cat, "both", recipe).id == trial.id and len(list_trials(cat, "both")) == 1
    folder = folder_of(cat, trial.model)
    assert not (folder / "checkpoint.pt").exists()
    model = LlamaForCausalLM.from_pretrained(folder)
    windows = validation_windows(cat, validation_of(load_lock(cat, "both"))[0], recipe, load_tokens("bytes"))
    assert evaluate(model, windows) == pytest.approx(trial.results["loss/words"], abs=1e-6)


def test_a_run_goes_on_from_its_checkpoint_with_the_same_numbers(cat, tmp_path):
    whole = train(cat, "both", make_recipe(**TINY), tmp_path / "whole")

    class Stop(Exception):
        pass

    def stop_at(each, part, step):
        if step == 23:
            raise Stop
        return each.mean()

    with pytest.raises(Stop):
        train(cat, "both", make_recipe(**TINY), tmp_path / "cut", weigh=stop_at)
    said = []
    rest = train(cat, "both", make_recipe(**TINY), tmp_path / "cut", say=said.append)
    assert said == ["resumes at step 20 of 40"]
    assert rest.results == whole.results and rest.losses == whole.losses and rest.shares == whole.shares


@pytest.mark.slow
def test_a_run_killed_by_the_system_ends_as_one_that_was_not(cat, tmp_path):
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums of floats depend on how many share them
    recipe = make_recipe(**TINY | {"tokens": 102_400, "checkpoint_every": 10})
    parts = [{"dataset": "words", "weight": 1, "max_epochs": 50}, {"dataset": "sums", "weight": 1, "max_epochs": 50}]
    publish(cat, {"name": "long", "total": 3000, "parts": parts})
    whole = train(cat, "long", recipe, tmp_path / "whole")
    script = (
        "import torch; torch.set_num_threads(1)\nfrom catalog import Catalog\nfrom flows.proxy import run_trial\n"
        "from flows.proxy.recipe import make_recipe\n"
        f"run_trial(Catalog.open({str(cat.settings.home)!r}), 'long', make_recipe(**{recipe.model_dump()!r}))"
    )
    folder = folder_of(cat, model_name(cat, "long", recipe))
    child = subprocess.Popen([sys.executable, "-c", script], cwd=os.getcwd())
    until = time.monotonic() + 120
    while not (folder / "checkpoint.pt").exists() and time.monotonic() < until:
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert (folder / "checkpoint.pt").exists() and recorded(cat, "long", recipe) is None
    assert run_trial(cat, "long", recipe).results == whole.results
    torch.set_num_threads(threads)


def test_a_diverged_run_is_kept_marked_and_not_averaged(cat):
    trial = run_trial(cat, "both", make_recipe(**TINY, rate=80.0, clip=1e9, warmup=0.0))
    assert trial.status == "diverged" and list_trials(cat, "both")[0].id == trial.id
    assert diverging([float("nan")], 257) and diverging([7.0] * 20, 257) and not diverging([5.5] * 40, 257)


def test_a_run_starts_from_another_and_keeps_its_optimizer(cat):
    first = run_trial(cat, "both", make_recipe(**TINY, decay=0.0))
    rest = run_trial(cat, "both", make_recipe(**TINY, start=first.model, warmup=0.0, decay=1.0))
    assert rest.results["loss/mean"] < first.results["loss/mean"]
    with pytest.raises(NotFound, match="no proxy model 'nobody'"):
        run_trial(cat, "both", make_recipe(**TINY, start="nobody"))


def test_traces_hold_every_sample_with_its_loss(cat, tmp_path):
    import pyarrow.parquet as pq

    made = train(cat, "both", make_recipe(**TINY, traces=True), tmp_path / "traced")
    held = pq.read_table(tmp_path / "traced" / "traces")
    assert held.num_rows and sum(held["tokens"].to_pylist()) == 40 * 8 * 63
    first = [r for r in held.to_pylist() if r["step"] == 0]
    assert sum(r["loss"] * r["tokens"] for r in first) / (8 * 63) == pytest.approx(made.losses[0], rel=1e-5)


def test_what_cannot_be_trained_is_one_line(cat):
    with pytest.raises(NotFound, match="no model size '2m'"):
        make_recipe(size="2m")
    with pytest.raises(BadInput, match="proxy run: tokens"):
        make_recipe(tokens=0)
    with pytest.raises(BadInput, match="more than the whole run"):
        make_recipe(warmup=0.6, decay=0.6)
    with pytest.raises(BadInput, match="is used up before the token budget"):
        run_trial(cat, "both", make_recipe(**TINY | {"tokens": 10_000_000}))
    with pytest.raises(BadInput, match="held-out rows"):
        validation_windows(cat, make_recipe(validation=[{"name": "w", "dataset": "words"}]).validation[0],
                           make_recipe(held_out=1e-9), load_tokens("bytes"))  # fmt: skip


def test_the_schedules_rise_hold_and_fall():
    wsd = make_recipe(size="1m", tokens=204_800, warmup=0.1, decay=0.5)
    rates = [wsd.rate_at(step) for step in range(wsd.steps)]
    assert wsd.steps == 100 and rates[0] == pytest.approx(wsd.peak / 10) and rates[9] == rates[49] == wsd.peak
    assert rates[75] == pytest.approx(wsd.peak / 2) and 0 < rates[99] < wsd.peak / 40
    cosine = make_recipe(size="1m", tokens=204_800, schedule="cosine", warmup=0.1)
    assert cosine.rate_at(10) == pytest.approx(cosine.peak) and cosine.rate_at(99) < 0.11 * cosine.peak
    assert make_recipe(reduced=True).peak == pytest.approx(0.01 * make_recipe().peak)
    assert 1e-6 <= make_recipe(size="100m", reduced=True).peak <= 1e-5, "what the paper advises for models of that size"
