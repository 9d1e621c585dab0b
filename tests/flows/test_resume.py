"""A score after a crash: whatever was lost, cut short, compacted, collected or done by another meanwhile."""

import os

import numpy as np
import pyarrow as pa
import pytest

from catalog.plugins import REGISTRY, Out, scorer
from catalog.store.gc import collect, compact
from catalog.testing import append_texts, errors_of, sentences
from flows import plan, score
from flows.job import load_state, save_state
from flows.journal import journal_folder
from flows.runner import make_job, pool_mapper

CALLS: list[int] = []


@pytest.fixture(autouse=True)
def costly():
    """A scorer of the journalled class that needs no model, and counts its rows; it dies where a text says so."""
    CALLS.clear()

    @scorer("costly", version="1", reads=["text"], writes=[Out("costly", pa.int32(), "characters")], cost="gpu",
            citation="ours")  # fmt: skip
    def costly(batch, ctx):
        texts = batch["text"].to_pylist()
        if DEADLY & set(texts):
            raise KeyboardInterrupt
        CALLS.append(len(texts))
        return {"costly": pa.array([len(text) for text in texts], pa.int32())}

    yield
    REGISTRY["scorer"].pop("costly")
    DEADLY.clear()


DEADLY: set[str] = set()


def die_after_one(job, units, progress):
    for payload in pool_mapper(1)(job, units, progress):
        yield payload
        raise KeyboardInterrupt


def values(cat, column):
    return [v for batch in cat.scan("web", [column]) for v in batch.column(column).to_pylist()]


@pytest.fixture
def half_done(cat):
    """1,200 rows in one fragment; the first two of its three batches are in the journal."""
    texts = sentences(1200, low=3, high=6)
    append_texts(cat, "web", texts)
    planned = plan(cat, "web", ["costly"])
    DEADLY.add(texts[1100])
    with pytest.raises(KeyboardInterrupt):
        score(cat, "web", ["costly"])
    assert sum(CALLS) == 1024
    DEADLY.clear()
    return texts, sorted(journal_folder(cat, make_job(cat, planned, list(planned.steps), "x")).glob("*.arrow"))


def test_a_crash_costs_one_batch_of_an_expensive_class(cat, half_done):
    texts, journal = half_done
    assert len(journal) == 2
    bar = []
    score(cat, "web", ["costly"], show=lambda done, total, unit: bar.append((done, total)))
    assert sum(CALLS) == 1200 and values(cat, "costly") == [len(text) for text in texts] and bar[-1] == (1200, 1200)
    assert not any(path.exists() for path in journal) and errors_of(cat) == []


@pytest.mark.parametrize("left", [b"", b"ARROW1\0\0 cut short"])
def test_a_journal_that_a_crash_cut_short_is_computed_again(cat, half_done, left):
    texts, journal = half_done
    journal[0].write_bytes(left)
    score(cat, "web", ["costly"])
    assert sum(CALLS) == 1712 and values(cat, "costly") == [len(text) for text in texts]


def test_a_journal_of_other_rows_is_never_taken(cat, half_done):
    """Rows of a window may change between two runs; a window is known by its rows, not by its place."""
    texts = half_done[0]
    table = cat.lance("web")
    first = table.to_table(columns=["sample_id"], limit=1)["sample_id"][0].as_py()
    cat.retract(reason="test", ids=[first])
    score(cat, "web", ["costly"])
    held = dict(zip(values(cat, "text"), values(cat, "costly"), strict=True))
    assert held == {text: len(text) for text in texts[1:]} and errors_of(cat) == []


def test_a_resume_after_a_compaction_and_a_collection(cat):
    texts = sentences(60)
    append_texts(cat, "web", texts, fragments=3)
    with pytest.raises(KeyboardInterrupt):
        score(cat, "web", ["text_length"], mapper=die_after_one)
    compact(cat, cat.find("web"))
    collect(cat, cat.find("web"), older_than_s=0.0)
    score(cat, "web", ["text_length"])
    assert values(cat, "bytes_utf8") == [len(text.encode()) for text in texts] and errors_of(cat) == []


def test_a_broken_or_dropped_dataset_does_not_stop_another(cat):
    import shutil

    texts = sentences(20)
    for name in ("gone", "broken", "web"):
        append_texts(cat, name, texts)
    for name in ("gone", "broken"):
        score(cat, name, ["text_length"])
    folders = [cat.table_uri(cat.find(name)) for name in ("gone", "broken")]
    cat.drop("gone")
    for folder in folders:
        shutil.rmtree(folder)
    assert score(cat, "web", ["text_length"]).counts == {"computed": 20, "reused": 0, "skipped_steps": 0}
    assert values(cat, "bytes_utf8") == [len(text.encode()) for text in texts]


def test_of_two_fits_at_the_same_time_the_first_is_kept(cat):
    append_texts(cat, "web", sentences(20))
    append_texts(cat, "good", sentences(20, seed=1))
    step = plan(cat, "web", ["dsir"], target="good").steps[0]
    save_state(cat, step, {"log_ratio": np.zeros(3), "report": {}})
    save_state(cat, step, {"log_ratio": np.ones(3), "report": {}})
    assert load_state(cat, step)["log_ratio"].tolist() == [0, 0, 0]


def test_a_removal_while_a_global_method_runs_takes_no_row_for_another(cat):
    texts = [*sentences(20), *sentences(20)]
    append_texts(cat, "web", texts, fragments=2)
    gone = cat.lance("web").to_table(columns=["sample_id"])["sample_id"][3].as_py()

    @scorer("slow_group", version="1", reads=["text"], writes=[Out("slow_group", pa.string(), "the text")], cost="cpu",
            pattern="global", citation="ours")  # fmt: skip
    def slow_group(scan, ctx):
        held = [text for batch in scan() for text in batch["text"].to_pylist()]
        if cat.resolve("web").version.rows == 40:
            cat.retract(reason="test", ids=[gone])
            append_texts(cat, "web", sentences(5, seed=8))
        return {"slow_group": pa.array(held)}

    score(cat, "web", ["slow_group"])
    REGISTRY["scorer"].pop("slow_group")
    held = list(zip(values(cat, "text"), values(cat, "slow_group"), strict=True))
    assert len(held) == 44 and all(text == group for text, group in held[:39]) and errors_of(cat) == []
    assert [group for _, group in held[39:]] == [None] * 5


def test_an_old_version_of_a_population_is_computed_once(cat):
    append_texts(cat, "web", sentences(10))
    append_texts(cat, "web", sentences(10, seed=1))
    assert score(cat, "web@v1", ["exact_dup"]).counts["computed"] == 10
    assert score(cat, "web@v1", ["exact_dup"]).run_id is None


def test_a_task_that_is_tried_again_repeats_only_what_it_did_not_finish(cat):
    from flows.score_flow import score_units

    append_texts(cat, "web", sentences(60), fragments=3)
    planned = plan(cat, "web", ["costly"])
    job = make_job(cat, planned, list(planned.steps), "x")
    units = [fragment.fragment_id for fragment in cat.lance("web").get_fragments()]
    first = score_units.fn(job.to_json().decode(), units[:2])
    again = score_units.fn(job.to_json().decode(), units)
    assert sum(CALLS) == 60 and [body["file"]["path"] for body in again[:2]] == [body["file"]["path"] for body in first]
    assert os.path.exists(f"{job.uri}/data/{again[2]['file']['path']}")


@pytest.mark.slow
def test_a_killed_worker_is_one_line_and_the_command_resumes(cat):
    import multiprocessing as mp
    import signal

    from catalog.errors import StrataError

    texts = sentences(80)
    append_texts(cat, "web", texts, fragments=80)
    killed = []

    def kill_one(done, total, unit):
        if done and not killed:
            killed.append(mp.active_children()[0].pid)
            os.kill(killed[0], signal.SIGKILL)

    with pytest.raises(StrataError, match=r"a worker process was killed.*the same command resumes") as caught:
        score(cat, "web", ["text_length"], workers=2, show=kill_one)
    assert "\n" not in str(caught.value) and cat.runs()[0].status == "failed"
    score(cat, "web", ["text_length"])
    assert values(cat, "bytes_utf8") == [len(text.encode()) for text in texts] and errors_of(cat) == []
