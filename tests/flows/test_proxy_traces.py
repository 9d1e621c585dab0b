"""Losses of every row at checkpoints of a proxy run: those of the model on each row alone, as a column, through a stop."""

import numpy as np
import pytest

from catalog.errors import BadInput, NotFound
from catalog.runs import Cancelled
from catalog.testing import append_texts, errors_of, sentences
from flows.proxy import run_trial
from flows.proxy.losses import sample_losses
from flows.proxy.recipe import make_recipe
from flows.proxy.runs import model_name
from flows.proxy.stream import load_tokens
from flows.proxy.traces import publish_traces
from flows.proxy.train import folder_of

TINY = {"size": "16k", "tokens": 5_120, "context": 32, "batch": 8, "validation_tokens": 256, "checkpoint_every": 7}


@pytest.fixture
def cat(cat):
    append_texts(cat, "words", ["", "x", *sentences(60)], fragments=2)
    append_texts(cat, "sums", [f"{a} plus {b} is {a + b}. " * 6 for a in range(8) for b in range(8)])
    parts = [
        {"dataset": "words", "weight": 1, "max_epochs": 5},
        {"dataset": "sums", "weight": 1, "max_epochs": 5, "where": "chars > 90"},
    ]
    cat.publish_mix({"name": "both", "total": 100, "parts": parts})
    return cat


def rows_of(cat, name, column):
    return [row for batch in cat.scan(name, ["sample_id", "text", column]) for row in batch.to_pylist()]


def test_the_column_holds_the_losses_of_the_model_on_each_row_alone(cat):
    from transformers import LlamaForCausalLM

    trial = run_trial(cat, "both", make_recipe(**TINY, trajectory=4))
    made = publish_traces(cat, trial.model)
    assert [(row["dataset"], row["steps"]) for row in made] == [("words", [5, 10, 15, 20]), ("sums", [5, 10, 15, 20])]
    model, tokens = LlamaForCausalLM.from_pretrained(folder_of(cat, trial.model)), load_tokens("bytes")
    held = rows_of(cat, "words", made[0]["column"])
    assert len(held) == 62 and sum(row[made[0]["column"]] is None for row in held) == 1, "an empty text has no loss"
    for row in held[1:12]:
        trace = row[made[0]["column"]]
        assert trace[-1] == pytest.approx(
            sample_losses(model, tokens.encode([row["text"]]), 256, 32, "cpu")[0], rel=1e-4
        )
    means = np.mean([row[made[0]["column"]] for row in held if row["text"]], axis=0)
    assert (np.diff(means) < 0).all(), "the model learns"
    sums = rows_of(cat, "sums", made[1]["column"])
    assert all((row[made[1]["column"]] is not None) == (len(row["text"]) > 90) for row in sums), (
        "rows of the part alone"
    )
    before = {column.physical for column in cat.columns("words")}
    assert publish_traces(cat, trial.model) == made and {c.physical for c in cat.columns("words")} == before
    assert errors_of(cat) == []


def test_a_stop_while_it_measures_loses_no_checkpoint_of_a_trace(cat):
    recipe, calls = make_recipe(**TINY, trajectory=2), []
    folder = folder_of(cat, model_name(cat, "both", recipe))

    def stop(steps):
        calls.append(steps)
        if steps == 0 and len(calls) > 9 and (folder / "checkpoint.pt").exists() and not (folder / "stopped").exists():
            (folder / "stopped").touch()
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        run_trial(cat, "both", recipe, tick=stop)
    assert not (folder / "trajectory").exists()
    model = run_trial(cat, "both", recipe).model
    assert sorted(path.name for path in (folder / "trajectory").iterdir()) == ["00000010.parquet", "00000020.parquet"]
    assert len(publish_traces(cat, model)) == 2


def test_what_has_no_traces_is_one_line(cat):
    assert (
        make_recipe(**TINY).digest
        == make_recipe(**TINY, traces=True).digest
        != make_recipe(**TINY, trajectory=2).digest
    )
    assert make_recipe(**TINY, trajectory=999).milestones == list(range(1, 21)) and make_recipe(**TINY).milestones == []
    trial = run_trial(cat, "both", make_recipe(**TINY | {"tokens": 512}))
    with pytest.raises(BadInput, match="kept no traces at checkpoints"):
        publish_traces(cat, trial.model)
    with pytest.raises(NotFound, match="no proxy model 'nobody'"):
        publish_traces(cat, "nobody")
