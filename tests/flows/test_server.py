"""The home's Prefect server for real: started once, login needed, a run that is watched, cancelled, killed and resumed.

Runs happen in a worker's own process, so the slow scorer they use is a third-party plug-in on PYTHONPATH.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

from catalog import Catalog
from catalog.errors import Busy, Refused
from catalog.store.publish import alive
from catalog.testing import errors_of, sentences, text_dataset, write_jsonl
from flows import score, server
from flows.prefect_api import PrefectApi, call
from flows.recovery import attempts
from flows.watching import cancel_run

STRATA = [sys.executable, "-m", "ui.cli.main"]
PLUGIN = '''
"""Length of the text, slowly: every call naps and notes the rows it computed."""
import os, time
import pyarrow as pa
from catalog.plugins import Out, scorer

@scorer("nap", version="1", reads=["text"], cost="cpu", citation="ours", batch_rows=10,
        writes=[Out("nap_length", pa.int32(), "characters")])
def nap(batch, ctx):
    """Characters, after a nap."""
    if batch.num_rows:
        time.sleep(0.25)
    with open(os.environ["NAP_LOG"], "a") as log:
        log.writelines(f"{one}\\n" for one in batch.column("sample_id").to_pylist())
    return {"nap_length": pa.array([len(text or "") for text in batch.column("text").to_pylist()], pa.int32())}
'''


class Home:
    """A home, its environment and the command line over it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "home"
        plugins = folder / "plugins"
        (plugins / "napping").mkdir(parents=True)
        (plugins / "napping" / "__init__.py").write_text("")
        (plugins / "napping" / "nap.py").write_text(PLUGIN)
        info = plugins / "napping-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: napping\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[strata.plugins]\nnapping = napping\n")
        self.log = folder / "nap.log"
        self.log.touch()
        own = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "STRATA_"))}
        self.env = own | {"STRATA_HOME": str(self.path), "PYTHONPATH": str(plugins), "NAP_LOG": str(self.log)}
        self.cat = Catalog.open(self.path)

    def strata(self, *words: str, status: int = 0) -> str:
        done = subprocess.run([*STRATA, *words], env=self.env, capture_output=True, text=True, timeout=280)
        assert done.returncode == status, f"strata {' '.join(words)}: {done.stdout}\n{done.stderr}"
        return done.stdout

    def napping(self, name: str, files: int = 5, rows: int = 40) -> str:
        """A dataset of several fragments: one a file that was appended."""
        for number in range(files):
            path = write_jsonl(
                self.path.parent / f"{name}-{number}.jsonl", sentences(rows, seed=hash_seed(name, number))
            )
            self.cat.ingest([path], name)
        return name

    def naps(self, name: str) -> list[str]:
        """Sample ids of this dataset that were computed, as often as they were."""
        own = {one for batch in self.cat.scan(name, ["sample_id"]) for one in batch.column(0).to_pylist()}
        return [line for line in self.log.read_text().split() if line in own]

    def await_naps(self, name: str, count: int) -> None:
        wait_for(lambda: len(self.naps(name)) >= count, f"{count} naps")


def hash_seed(name: str, number: int) -> int:
    return sum(name.encode()) * 100 + number


def wait_for(true, what: str, seconds: float = 200.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    made = Home(tmp_path_factory.mktemp("server"))
    yield made
    server.stop(made.cat, force=True)


@pytest.fixture(scope="module")
def running(home):
    """Two commands start the server at once; there is one."""
    with ThreadPoolExecutor(2) as pool:
        told = [json.loads(text) for text in pool.map(lambda _: home.strata("server", "start", "--json"), range(2))]
    assert told[0]["running"] and told[0]["pid"] == told[1]["pid"] and told[0]["url"] == told[1]["url"]
    held = server.status(home.cat)
    assert held is not None
    return held


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_server_wants_its_login_and_sends_no_telemetry(home, running):
    assert stat.S_IMODE((home.path / "prefect" / "auth").stat().st_mode) == 0o600
    with pytest.raises(Refused, match="refuses the login"):
        call(PrefectApi(running.endpoint.url), "POST", "/flow_runs/filter", {})
    assert call(running.endpoint, "POST", "/flow_runs/filter", {}) == []
    assert running.url.startswith("http://127.0.0.1:")
    environ = Path(f"/proc/{running.children['server'][0]}/environ").read_bytes().decode().split("\0")
    assert {"PREFECT_SERVER_ANALYTICS_ENABLED=false", "DO_NOT_TRACK=1"} <= set(environ)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_on_the_server_gives_what_an_inline_run_gives(home, running):
    text_dataset(home.cat, home.path.parent, "web", sentences(300))
    told = json.loads(home.strata("score", "web", "gopher_quality", "--on", "home", "--json"))
    assert told["counts"]["computed"] == 300 and told["columns"]["word_count"]["covered"] == 300
    # Another home, so that no value is taken from the first.
    alone = Catalog.open(home.path.parent / "alone")
    text_dataset(alone, home.path.parent, "web", sentences(300))
    assert score(alone, "web", ["gopher_quality"]).counts["computed"] == 300
    names = sorted(column.alias for column in alone.columns("web"))
    assert len(names) >= 8
    read = [pa.Table.from_batches(list(cat.scan("web", ["text", *names]))).to_pylist() for cat in (home.cat, alone)]
    assert read[0] == read[1]
    held = attempts(home.cat, told["flow_run"])[0]
    assert (held.place, held.status, held.progress["done"]) == ("home", "done", held.progress["total"])
    assert errors_of(home.cat) == []


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_cancelled_run_keeps_what_it_finished_and_resumes(home, running):
    name = home.napping("cancelled", files=10)
    told = json.loads(home.strata("score", name, "nap", "--on", "home", "--detach", "--json"))
    home.await_naps(name, 60)
    assert "stops at its next batch" in cancel_run(home.cat, told["flow_run"])
    shown = json.loads(home.strata("runs", "show", told["flow_run"], "--watch", "--json"))
    assert shown["status"] == "cancelled" and "nap_length" not in {c.alias for c in home.cat.columns(name)}
    wait_for(
        lambda: call(running.endpoint, "GET", f"/flow_runs/{told['flow_run']}")["state_type"] == "CANCELLED",
        "Prefect to agree",
    )
    home.strata("score", name, "nap", "--on", "inline")
    assert {c.alias: c.covered for c in home.cat.columns(name)} == {"nap_length": 400}
    # Units of 40 rows that were finished before the cancellation are not computed again.
    assert 400 <= len(home.naps(name)) <= 440


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_survives_its_killed_worker(home, running):
    name = home.napping("killed", files=6)
    told = json.loads(home.strata("score", name, "nap", "--on", "home", "--detach", "--json"))
    home.await_naps(name, 90)
    first = attempts(home.cat, told["flow_run"])[0]
    worker = server.status(home.cat).children["worker cpu"][0]
    os.kill(worker, signal.SIGKILL)
    os.kill(first.pid, signal.SIGKILL)
    shown = json.loads(home.strata("runs", "show", told["flow_run"], "--watch", "--json"))
    assert shown["status"] == "done", shown
    tried = attempts(home.cat, told["flow_run"])
    assert [run.status for run in tried] == ["done", "crashed"]
    assert server.status(home.cat).children["worker cpu"][0] != worker
    assert {c.alias: c.covered for c in home.cat.columns(name)} == {"nap_length": 240}
    assert 240 <= len(home.naps(name)) <= 280
    assert errors_of(home.cat) == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_run_outlives_a_stopped_server(home, running):
    """`server stop --force` ends the processes of active runs; the next start puts the runs back."""
    name = home.napping("stopped", files=10)
    told = json.loads(home.strata("score", name, "nap", "--on", "home", "--detach", "--json"))
    home.await_naps(name, 90)
    assert "1 runs are active" in _refusal(lambda: server.stop(home.cat))
    first = attempts(home.cat, told["flow_run"])[0]
    assert server.stop(home.cat, force=True) is True
    wait_for(lambda: not alive(first.host, first.pid, first.process_start), "the run's process to end", 20)
    home.strata("server", "start")
    shown = json.loads(home.strata("runs", "show", told["flow_run"], "--watch", "--json"))
    assert shown["status"] == "done", shown
    assert {c.alias: c.covered for c in home.cat.columns(name)} == {"nap_length": 400}
    assert 400 <= len(home.naps(name)) <= 440


def _refusal(action) -> str:
    with pytest.raises(Busy) as caught:
        action()
    return str(caught.value)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_record_of_a_dead_server_is_no_server_and_an_idle_one_stops(home, running):
    """Last in this module: it kills the keeper."""
    held = server.ensure(home.cat)
    os.kill(held.pid, signal.SIGKILL)
    wait_for(lambda: not alive(held.host, held.pid, held.start), "the keeper to die")
    assert json.loads(home.strata("server", "status", "--json")) == {"running": False}
    again = json.loads(home.strata("server", "start", "--idle", "0.05", "--json"))
    assert again["pid"] != held.pid
    # The children of the killed keeper are gone, and the new server ends by itself once nobody uses it.
    assert not any(alive(held.host, pid, begun) for pid, begun in held.children.values())
    wait_for(lambda: server.status(home.cat) is None, "the idle stop")


def test_a_stale_record_a_reused_pid_and_half_a_record_are_no_server(tmp_path):
    cat = Catalog.open(tmp_path / "home")
    assert server.status(cat) is None and server.stop(cat) is False
    path = server.record_path(cat.settings)
    path.parent.mkdir(parents=True)
    import socket

    record = {
        "url": "http://127.0.0.1:1",
        "pid": os.getpid(),
        "start": "1",
        "host": socket.gethostname(),
        "children": {},
        "idle_minutes": 1,
    }
    path.write_text(json.dumps(record))
    assert server.status(cat) is None, "the pid lives, but it is another process"
    assert server.stop(cat) is False and not path.exists()
    path.write_text('{"url": "http')
    assert server.status(cat) is None


def test_the_environment_of_a_home_server_inherits_no_prefect_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "https://team.example.org/api")
    monkeypatch.setenv("PREFECT_API_KEY", "secret")
    cat = Catalog.open(tmp_path / "home")
    env = server.environment(cat.settings, "http://127.0.0.1:4300")
    assert env["PREFECT_API_URL"] == "http://127.0.0.1:4300/api" and "PREFECT_API_KEY" not in env
    assert env["STRATA_DATABASE_URL"] == cat.settings.database
    assert (
        env["PREFECT_SERVER_API_AUTH_STRING"] == server.auth_string(cat.settings)
        and len(server.auth_string(cat.settings)) > 30
    )
