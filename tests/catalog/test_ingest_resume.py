"""Crashes, Ctrl-C and company: what is finished is kept, the same command goes on, nothing is lost or doubled."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import time

import orjson
import pytest
from sqlmodel import select

from catalog import Catalog
from catalog.ingest import stream
from catalog.meta.models import Checkpoint, Quarantine, Run
from catalog.runs import Cancelled, cancel
from catalog.store import checkpoints
from catalog.testing import errors_of, sentences, write_jsonl

ROWS = 4000


@pytest.fixture
def crawl(tmp_path):
    """Two files with repeats, keys on some rows, and broken lines."""
    rng, files = random.Random(5), []
    texts = sentences(ROWS, seed=3)
    for number in range(2):
        lines = []
        for at in range(ROWS // 2):
            text = texts[at + number * ROWS // 2] if rng.random() < 0.9 else rng.choice(texts[:50])
            lines.append(orjson.dumps({"text": text, "n": at}) if rng.random() < 0.97 else b'{"text": "broken')
        path = tmp_path / f"crawl-{number}.jsonl"
        path.write_bytes(b"\n".join(lines) + b"\n")
        files.append(str(path))
    return files


def facts(cat, name):
    """What must be equal however the ingest went."""
    version = cat.resolve(name).version
    with cat.session() as session:
        bad = session.exec(
            select(Quarantine.file, Quarantine.line).where(Quarantine.dataset_id == cat.find(name).id)
        ).all()
        assert not session.exec(select(Checkpoint)).all()
    statistics = {key: value for key, value in version.statistics.items() if key != "facets"}
    return version.digest, version.rows, statistics, sorted(bad)


def in_process(home, files, name="web", *, rows=200, source="s", slow=0.0):
    """Start an ingest in a process of its own."""
    code = f"""
    import time
    from catalog import Catalog
    from catalog.store import checkpoints
    save = checkpoints.save
    def slowly(*args):
        save(*args)
        time.sleep({slow})
    checkpoints.save = slowly
    report = Catalog.open({str(home)!r}).ingest({files!r}, {name!r}, fragment_rows={rows}, source={source!r})
    print(report.status, report.counts["kept"], report.counts["held"], report.resumed)
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True, env=environment
    )


def test_an_interrupted_ingest_goes_on_behind_the_last_fragment(cat, crawl, monkeypatch):
    cat.ingest(crawl, "whole", source="s", fragment_rows=200)
    expected, save = facts(cat, "whole"), checkpoints.save
    for crash_at in (1, 2, 5, 9):
        name = f"web{crash_at}"

        def failing(cat, key, unit, payload, crash_at=crash_at):
            if unit == f"{crash_at:06d}":
                raise KeyboardInterrupt
            save(cat, key, unit, payload)

        monkeypatch.setattr(checkpoints, "save", failing)
        with pytest.raises(KeyboardInterrupt):
            cat.ingest(crawl, name, source="s", fragment_rows=200)
        monkeypatch.setattr(checkpoints, "save", save)
        assert name not in [dataset.name for dataset in cat.datasets()]
        report = cat.ingest(crawl, name, source="s", fragment_rows=200)
        assert report.resumed >= crash_at * 200 and report.counts["in"] == ROWS
        assert facts(cat, name) == expected
    assert errors_of(cat) == []


def test_finished_fragments_are_not_read_again(cat, crawl, monkeypatch):
    read = []
    original = stream.prepare
    monkeypatch.setattr(stream, "prepare", lambda job: read.append((job.source.label, job.place)) or original(job))
    save = checkpoints.save

    def failing(cat, key, unit, payload):
        save(cat, key, unit, payload)
        if unit == "000012":
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints, "save", failing)
    with pytest.raises(KeyboardInterrupt):
        cat.ingest(crawl, "web", fragment_rows=200)
    monkeypatch.setattr(checkpoints, "save", save)
    read.clear()
    cat.ingest(crawl, "web", fragment_rows=200)
    ((label, place),) = read
    assert label == "crawl-1.jsonl" and place["line"] > 100


def test_a_cancelled_run_keeps_what_is_finished(cat, crawl):
    def stop(done, total, unit):
        with cat.session() as session:
            run = session.exec(select(Run).where(Run.status == "running")).first()
        if run is not None and done > total * 0.6:
            cancel(cat, run.id)

    with pytest.raises(Cancelled):
        cat.ingest(crawl, "web", fragment_rows=100, progress=stop)
    with cat.session() as session:
        assert session.exec(select(Run.status)).all() == ["cancelled"]
    assert cat.ingest(crawl, "web", fragment_rows=100).resumed > 0 and errors_of(cat) == []


@pytest.mark.parametrize("seed", range(3))
def test_kill_9_at_any_moment_and_the_same_command_again(cat, crawl, seed):
    kill_and_repeat(cat, crawl, seed)


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(100, 115))
def test_kill_9_again_and_again(cat, crawl, seed):
    kill_and_repeat(cat, crawl, seed)


def kill_and_repeat(cat, crawl, seed):
    cat.ingest(crawl, "whole", source="s", fragment_rows=200)
    expected = facts(cat, "whole")
    home, rng = cat.settings.home, random.Random(seed)
    for _ in range(2):
        process = in_process(home, crawl, slow=0.05)
        wait_for(lambda: checkpoints_of(cat), process, at_least=rng.randint(1, 12))
        time.sleep(rng.random() * 0.1)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert errors_of(cat) == [] and "web" not in [dataset.name for dataset in cat.datasets()]
    report = cat.ingest(crawl, "web", source="s", fragment_rows=200)
    assert report.resumed >= 200 and facts(cat, "web") == expected and errors_of(cat) == []


def checkpoints_of(cat):
    with cat.session() as session:
        return len(session.exec(select(Checkpoint.unit)).all())


def wait_for(count, process, at_least, seconds=60):
    deadline = time.monotonic() + seconds
    while count() < at_least and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)


def test_two_processes_with_the_same_files_double_nothing(cat, crawl):
    cat.ingest(crawl, "whole", source="s", fragment_rows=200)
    both = [in_process(cat.settings.home, crawl, slow=0.02) for _ in range(2)]
    said = [process.communicate(timeout=120)[0].split() for process in both]
    assert all(process.returncode == 0 for process in both)
    assert sorted(word[0] for word in said) == ["new", "unchanged"]
    assert facts(cat, "web") == facts(cat, "whole") and errors_of(cat) == []


def test_two_processes_with_files_of_their_own_lose_nothing(cat, tmp_path):
    texts = sentences(1500)
    files = [
        write_jsonl(tmp_path / f"{at}.jsonl", [{"id": f"{at}-{n}", "text": t} for n, t in enumerate(texts)])
        for at in range(2)
    ]
    both = [in_process(cat.settings.home, [str(path)], slow=0.02) for path in files]
    said = [process.communicate(timeout=120)[0].split() for process in both]
    assert sorted((word[0], word[1]) for word in said) == [("appended", "1500"), ("new", "1500")]
    assert cat.resolve("web").version.rows == 3000 and cat.resolve("web@v1").version.rows == 1500
    for version in ("web@v1", "web@v2"):  # the version a row was added in is that of its publication
        rows = sum(batch.num_rows for batch in cat.scan(version, ["sample_id"]))
        assert rows == cat.resolve(version).version.rows
    assert errors_of(cat) == []


def test_keys_that_another_process_has_just_taken(cat, tmp_path, monkeypatch):
    """Same key and content: held. Same key, other content: kept under a further id, as if one had run after the other."""
    mine = write_jsonl(tmp_path / "mine.jsonl", [{"id": f"k{at}", "text": f"text {at}"} for at in range(300)])
    theirs = [{"id": f"k{at}", "text": f"text {at}" if at % 2 else f"other {at}"} for at in range(100)]
    other = write_jsonl(tmp_path / "theirs.jsonl", theirs)
    from catalog.ingest import commit as module

    original, once = module.publish, []

    def late(cat_, dataset_id, change, record):
        if not once:
            once.append(True)
            Catalog.open(cat.settings.home).ingest([other], "web", key="id")
        return original(cat_, dataset_id, change, record)

    monkeypatch.setattr(module, "publish", late)
    report = cat.ingest([mine], "web", key="id", fragment_rows=100)
    assert report.counts == {"in": 300, "kept": 250, "held": 50, "retracted": 0, "quarantined": 0}
    texts = [text for batch in cat.scan("web", ["text"]) for text in batch.column("text").to_pylist()]
    assert sorted(texts) == sorted([f"text {at}" for at in range(300)] + [f"other {at}" for at in range(0, 100, 2)])
    assert errors_of(cat) == []
    Catalog.open(cat.settings.home).rename("web", "raced")
    cat.ingest([other], "web", key="id")
    cat.ingest([mine], "web", key="id")
    assert cat.resolve("web").version.digest == cat.resolve("raced").version.digest


def test_a_large_file_is_read_by_several_processes_with_the_same_result(cat, tmp_path, monkeypatch):
    path = tmp_path / "a.jsonl"
    rows = [{"id": f"r{at % 2900}", "text": text, "tags": []} for at, text in enumerate(sentences(3000))]
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows) + b"broken\n")
    monkeypatch.setattr(stream, "LARGE", 1 << 60)
    cat.ingest([path], "one", source="s", fragment_rows=100)
    monkeypatch.setattr(stream, "LARGE", 0)
    beside = []
    original = stream.prepare_beside
    monkeypatch.setattr(stream, "prepare_beside", lambda job, cores: beside.append(cores) or original(job, 3))
    monkeypatch.setattr(stream.os, "sched_getaffinity", lambda pid: {0, 1})
    cat.ingest([path], "many", source="s", fragment_rows=100)
    assert beside and facts(cat, "one") == facts(cat, "many")
    order = [[v for b in cat.scan(name, ["line"]) for v in b.column("line").to_pylist()] for name in ("one", "many")]
    assert order[0] == order[1] and errors_of(cat) == []


def test_an_error_in_a_reading_process_is_the_same_error(cat, tmp_path, monkeypatch):
    from catalog.ingest.streams import BrokenFile

    path = tmp_path / "a.jsonl.gz"
    import gzip

    path.write_bytes(gzip.compress(b"".join(orjson.dumps({"text": t}) + b"\n" for t in sentences(3000)))[:-20])
    monkeypatch.setattr(stream, "LARGE", 0)
    monkeypatch.setattr(stream.os, "sched_getaffinity", lambda pid: {0, 1})
    with pytest.raises(BrokenFile, match=r"a\.jsonl\.gz is truncated"):
        cat.ingest([path], "web")
    report = cat.ingest([path], "web", keep_going=True)
    assert report.counts["quarantined"] == 1 and report.counts["kept"] > 500
