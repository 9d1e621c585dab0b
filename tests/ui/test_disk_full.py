"""A full disk, for real: one line, exit status 2, the catalog as it was, and the same command completes with space again.

The home lies on a small tmpfs that a filler leaves some kilobytes of. Where nothing may be mounted, those tests are
skipped and the limit on the size of a file (RLIMIT_FSIZE) stands in for them.
"""

import os
import resource
import shutil
import socket
import subprocess
import sys
import time

import pytest

from catalog import Catalog
from catalog.testing import errors_of, sentences, write_jsonl
from ui.cli.main import run

SIZE = 24 << 20
LIMIT = 3 << 20


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A home with a dataset, and the inputs of the commands."""
    folder = tmp_path_factory.mktemp("disk")
    write_jsonl(folder / "web.jsonl", sentences(1500))
    write_jsonl(folder / "big.jsonl", [text * 6 for text in sentences(4000, seed=5)])
    (folder / "mix.yaml").write_text('name: m\nparts: [{dataset: web, where: "chars % 2 = 0"}]\n')
    cat = Catalog.open(folder / "home")
    cat.ingest([folder / "web.jsonl"], "web")
    cat.engine.dispose()
    return folder


@pytest.fixture
def disk(tmp_path, prepared):
    """A small disk with the prepared home on it."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    made = mount and subprocess.run(
        [mount, "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", place], capture_output=True, check=False
    )
    if not made or made.returncode:
        pytest.skip("mounting a tmpfs needs root")
    try:
        shutil.copytree(prepared / "home", place / "home")
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def strata(home, words, limit=None):
    def bounded():
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.run(
        [sys.executable, "-m", "ui.cli.main", "--home", str(home), *words],
        capture_output=True, text=True, check=False, preexec_fn=bounded, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def fill(disk, spare):
    """Leave so many kilobytes."""
    facts = os.statvfs(disk)
    with (disk / "filler").open("wb") as file:
        file.write(b"\0" * (facts.f_bavail * facts.f_frsize - (spare << 10)))


def state(home):
    """What the catalog says it holds."""
    cat = Catalog.open(home)
    try:
        held = [(d.name, d.head, d.rows, [v.digest for v in cat.versions(d.name)], [c.alias for c in cat.columns(d.name)])
                for d in cat.datasets()]  # fmt: skip
        return held, cat.sql("SELECT name, version, digest FROM strata.mixes").rows()
    finally:
        cat.engine.dispose()


def commands(prepared):
    return {
        "ingest": ["ingest", str(prepared / "big.jsonl"), "--as", "big"],
        "append": ["ingest", str(prepared / "big.jsonl"), "--as", "web"],
        "score": ["score", "web", "gopher_quality", "--on", "inline"],
        "publish": ["mix", "publish", str(prepared / "mix.yaml")],
    }


def one_line(done):
    told = [line for line in done.stderr.splitlines() if not line.startswith("running inline")]
    assert done.returncode == 2, (done.returncode, done.stderr[-2000:])
    assert len(told) == 1 and told[0].startswith("error: "), done.stderr[-2000:]
    return told[0]


SLOW = [("ingest", 20), ("append", 500), ("score", 12), ("publish", 4)]


@pytest.mark.parametrize(
    ("verb", "spare"),
    [("ingest", 2000), ("score", 40), ("publish", 0), *(pytest.param(*case, marks=pytest.mark.slow) for case in SLOW)],
)
def test_a_full_disk_is_one_line_and_changes_nothing(prepared, disk, verb, spare):
    home, words = disk / "home", commands(prepared)[verb]
    before = state(home)
    fill(disk, spare)
    line = one_line(strata(home, words))
    assert "full" in line and ("free" in line or "run the command again" in line), line
    (disk / "filler").unlink()
    assert state(home) == before
    cat = Catalog.open(home)
    assert errors_of(cat) == []
    cat.engine.dispose()
    again = strata(home, words)
    assert again.returncode == 0, again.stderr[-2000:]
    assert state(home) != before


@pytest.mark.slow
def test_a_file_that_may_not_grow_is_the_same(prepared, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(prepared / "home", home)
    before, words = state(home), commands(prepared)["ingest"]
    line = one_line(strata(home, words, limit=LIMIT))
    assert "big" in line and "may not grow so large" in line and "repeat" in line, line
    assert state(home) == before
    assert strata(home, words).returncode == 0


@pytest.mark.parametrize("verb", ["ingest", "append", "score", "publish"])
def test_a_database_that_cannot_be_reached_is_one_line(prepared, tmp_path, monkeypatch, capsys, verb):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]  # closed again when the command runs
    home = tmp_path / "home"
    shutil.copytree(prepared / "home", home)
    before = sorted((str(path), path.stat().st_mtime_ns) for path in home.rglob("*") if "meta.db" not in path.name)
    monkeypatch.setenv("STRATA_DATABASE_URL", f"postgresql+psycopg://ana:secret@127.0.0.1:{port}/none")
    assert run(["--home", str(home), *commands(prepared)[verb]]) == 2
    told = capsys.readouterr()
    assert told.out == "" and told.err.count("\n") == 1 and "secret" not in told.err
    assert told.err.startswith("error: cannot reach the metadata database postgresql") and "start it" in told.err
    assert before == sorted(
        (str(path), path.stat().st_mtime_ns) for path in home.rglob("*") if "meta.db" not in path.name
    )


@pytest.mark.slow
def test_a_database_that_goes_away_during_an_ingest_is_one_line(tmp_path, postgres, prepared):
    """A real server ends the connections of a running command; the same command completes."""
    import psycopg

    name = f"gone{os.getpid()}"
    with psycopg.connect(f"{postgres}/postgres", autocommit=True) as admin:
        admin.execute(f'create database "{name}" template strata_template')
        url = f"{postgres}/{name}".replace("postgresql://", "postgresql+psycopg://")
        words = ["--home", str(tmp_path / "home"), *commands(prepared)["ingest"]]
        environment = os.environ | {"STRATA_DATABASE_URL": url, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "ui.cli.main", *words]
        running = subprocess.Popen(
            command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        with psycopg.connect(f"{postgres}/{name}", autocommit=True) as inside:
            deadline = time.monotonic() + 60
            while not inside.execute("select count(*) from run").fetchone()[0] and running.poll() is None:
                assert time.monotonic() < deadline
                time.sleep(0.002)
        admin.execute(f'alter database "{name}" allow_connections false')
        admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [name])
        told = running.communicate(timeout=120)[1]
        assert running.returncode == 2, told[-2000:]
        assert told.startswith("error: ") and told.count("\n") == 1 and "database" in told, told[-2000:]
        admin.execute(f'alter database "{name}" allow_connections true')
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    cat = Catalog.open(tmp_path / "home", database=url)
    assert cat.resolve("big").version.rows == 4000 and errors_of(cat) == []
    cat.engine.dispose()
