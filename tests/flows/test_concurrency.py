"""Several processes on one dataset: nothing lost, nothing doubled, no removed row back, no computed value gone."""

import multiprocessing as mp

import numpy as np
import pyarrow as pa
import pytest

from catalog import Catalog
from catalog.store.gc import compact
from catalog.testing import append_texts, errors_of, sentences, write_jsonl
from flows import score
from flows.runner import pool_mapper

CONTEXT = mp.get_context("forkserver")
CONTEXT.set_forkserver_preload(["catalog.testing", "flows", "catalog.ingest.run", __name__])


def _ingest(home, path, start):
    start.wait()
    Catalog.open(home).ingest([path], "web", fragment_rows=100)


def _score(home, scorers, sample, start):
    start.wait()
    score(Catalog.open(home), "web", scorers, sample=sample)


def together(target, calls):
    """Run one function in several processes from one starting shot."""
    start = CONTEXT.Event()
    jobs = [CONTEXT.Process(target=target, args=(*call, start)) for call in calls]
    for job in jobs:
        job.start()
    start.set()
    for job in jobs:
        job.join(240)
    assert [job.exitcode for job in jobs] == [0] * len(jobs)


def values(cat, *columns):
    return [tuple(row.values()) for batch in cat.scan("web", list(columns)) for row in batch.to_pylist()]


def test_two_ingests_of_different_and_shared_rows(cat, tmp_path):
    shared, left, right = sentences(150, seed=1), sentences(120, seed=2), sentences(130, seed=3)
    rows = [[{"id": f"{name}-{i}" if own else f"s-{i}", "text": t} for own, texts in ((0, shared), (1, mine)) for i, t in enumerate(texts)]
            for name, mine in (("l", left), ("r", right))]  # fmt: skip
    paths = [write_jsonl(tmp_path / f"{name}.jsonl", part) for name, part in zip("lr", rows)]
    together(_ingest, [(tmp_path / "home", str(path)) for path in paths])
    texts = sorted(text for (text,) in values(cat, "text"))
    assert texts == sorted([*shared, *left, *right]), "a row was lost or doubled"
    assert cat.resolve("web").version.rows == 400 and cat.resolve("web").dataset.head == 2
    assert errors_of(cat) == []


def test_two_scores_of_the_same_and_of_different_columns(cat, tmp_path):
    texts = sentences(300)
    append_texts(cat, "web", texts, fragments=3)
    together(
        _score,
        [(tmp_path / "home", ["gopher_quality"], 100), (tmp_path / "home", ["gopher_quality", "text_length"], None)],
    )
    held = {c.alias: c.covered for c in cat.columns("web")}
    assert held["word_count"] == held["bytes_utf8"] == 300
    assert values(cat, "bytes_utf8") == [(len(t.encode()),) for t in texts]
    assert errors_of(cat) == []


@pytest.mark.parametrize("moment", [0, 1, 2])
def test_a_removal_an_append_and_a_compaction_land_while_a_score_runs(cat, moment):
    """They happen after `moment` of three fragments were computed, before the score publishes."""
    texts, late = sentences(90), sentences(10, seed=7)
    append_texts(cat, "web", texts, fragments=3)
    gone = values(cat, "sample_id", "text")[40:43]

    def meanwhile(job, units, progress):
        for number, payload in enumerate(pool_mapper(1)(job, units, progress)):
            if number == moment:
                append_texts(cat, "web", late)
                cat.retract(reason="test", ids=[sample for sample, _ in gone])
                assert compact(cat, cat.find("web"))["after"] == 1
            yield payload

    score(cat, "web", ["text_length"], mapper=meanwhile)
    held = dict(values(cat, "text", "bytes_utf8"))
    assert not {text for _, text in gone} & set(held), "a retracted row came back"
    kept = [text for text in texts if text not in {t for _, t in gone}]
    assert {text: held[text] for text in kept} == {text: len(text.encode()) for text in kept}, "a value was lost"
    assert all(held[text] is None for text in late)
    assert errors_of(cat) == []
    score(cat, "web", ["text_length"])
    assert all(size is not None for _, size in values(cat, "text", "bytes_utf8")) and errors_of(cat) == []


def test_row_ids_of_a_retraction_are_those_of_the_rows(cat):
    append_texts(cat, "web", sentences(20))
    ids = cat.lance("web").to_table(columns=["sample_id"], with_row_id=True)
    cat.retract(reason="r", ids=[ids.column("sample_id")[3].as_py()])
    left = cat.lance("web").to_table(columns=[], filter="removed IS NULL", with_row_id=True).column("_rowid").to_numpy()
    assert np.array_equal(left, np.delete(ids.column("_rowid").to_numpy(), 3)) and isinstance(ids, pa.Table)
