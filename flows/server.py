"""The home's own Prefect server: loopback only, with a login, started once, reused, stopped when idle.

A detached keeper process (flows/keeper.py) owns the server and one worker a pool. This module is the client side:
it starts the keeper, finds it again by its record, and ends it. Nothing here imports Prefect.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalog.errors import Busy, Missing
from catalog.store.publish import alive, process_start
from flows.prefect_api import PrefectApi, flow_runs, healthy, online_workers

if TYPE_CHECKING:
    from catalog.catalog import Catalog
    from catalog.settings import Settings

IDLE_MINUTES = 30.0
FLOW = "strata-score"
TRIAL_FLOW = "strata-trial"
FLOWS = (FLOW, TRIAL_FLOW)
Say = Callable[[str], None]

QUIET = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
    "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "PREFECT_CLI_PROMPT": "false",
    "PREFECT_WORKER_QUERY_SECONDS": "2",
}
"""No telemetry, no questions, and a worker that looks for work every two seconds."""


@dataclass(frozen=True)
class Server:
    """A running home server as its record describes it."""

    url: str
    pid: int  # of the keeper
    start: str
    host: str
    children: dict[str, list[Any]]  # "server" or "worker <pool>" -> [pid, process start]
    idle_minutes: float
    auth: str

    @property
    def endpoint(self) -> PrefectApi:
        return PrefectApi(f"{self.url}/api", self.auth)


def folder(settings: Settings) -> Path:
    return settings.home / "prefect"


def auth_string(settings: Settings) -> str:
    """The login of the home's server, made on first use and readable by its owner alone."""
    path = folder(settings) / "auth"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"strata:{secrets.token_urlsafe(24)}")
    except FileExistsError:
        pass
    return path.read_text().strip()


def environment(settings: Settings, url: str) -> dict[str, str]:
    """Environment of the server, its workers and their flow runs: this catalog, this server, nothing inherited."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    auth = auth_string(settings)
    return own | QUIET | {
        "PREFECT_HOME": str(folder(settings)),
        "PREFECT_API_URL": f"{url}/api",
        "PREFECT_UI_API_URL": f"{url}/api",
        "PREFECT_SERVER_API_AUTH_STRING": auth,
        "PREFECT_API_AUTH_STRING": auth,
        "STRATA_HOME": str(settings.home),
        "STRATA_DATABASE_URL": settings.database,
        "STRATA_TABLES_URI": settings.tables,
        "STRATA_ACTOR": settings.actor,
    }  # fmt: skip


def record_path(settings: Settings) -> Path:
    return folder(settings) / "server.json"


def read_record(settings: Settings) -> Server | None:
    """The record of the newest keeper, whether it lives or not."""
    try:
        return Server(**json.loads(record_path(settings).read_text()), auth=auth_string(settings))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def status(cat: Catalog) -> Server | None:
    """The running server of this home, or None; a stale record counts as none."""
    held = read_record(cat.settings)
    return held if held and alive(held.host, held.pid, held.start) else None


def facts(cat: Catalog) -> dict[str, Any]:
    """What `strata server status` shows."""
    held = status(cat)
    if held is None:
        return {"running": False}
    up = healthy(held.endpoint)
    pools = {pool: online_workers(held.endpoint, pool) for pool in ("cpu", "gpu")} if up else {}
    active = len(flow_runs(held.endpoint, FLOWS, ["RUNNING", "PENDING", "SCHEDULED"])) if up else None
    return {"running": True, "url": held.url, "healthy": up, "pid": held.pid, "host": held.host, "workers": pools,
            "active_runs": active, "idle_minutes": held.idle_minutes, "log": str(log_path(cat.settings))}  # fmt: skip


def log_path(settings: Settings) -> Path:
    return folder(settings) / "server.log"


def touch(settings: Settings) -> None:
    """Say that the server is in use, which puts off its idle stop."""
    (folder(settings) / "used").touch()


def ensure(cat: Catalog, say: Say = lambda line: None) -> Server:
    """The running server, started when there is none."""
    held = status(cat)
    if held and healthy(held.endpoint):
        touch(cat.settings)
        return held
    return start(cat, say=say)


def start(
    cat: Catalog, *, port: int | None = None, idle_minutes: float = IDLE_MINUTES, wait: float = 180.0, say: Say = print
) -> Server:
    """Start the keeper and wait until its server answers. Running already: that one is returned."""
    settings = cat.settings
    folder(settings).mkdir(parents=True, exist_ok=True)
    with _one_starter(settings, wait):
        held = status(cat)
        if held and held.host != socket.gethostname():
            raise Busy(f"the server of this home runs on host {held.host}; stop it there with `strata server stop`")
        if held is None:
            if stale := read_record(settings):
                end_children(stale)
            say("starting the home's Prefect server (7 to 30 s, once) ...")
            process = _spawn_keeper(settings, port or _free_port(), idle_minutes)
        else:
            process = None
        touch(settings)
        return _await_health(cat, process, wait, say)


def _spawn_keeper(settings: Settings, port: int, idle_minutes: float) -> subprocess.Popen[bytes]:
    with open(log_path(settings), "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "flows.keeper", str(port), str(idle_minutes)],
            cwd=folder(settings),  # a prefect.toml or .env in the user's folder must not change the server
            env=environment(settings, f"http://127.0.0.1:{port}"),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _await_health(cat: Catalog, process: subprocess.Popen[bytes] | None, wait: float, say: Say) -> Server:
    began, told = time.monotonic(), 0.0
    while (spent := time.monotonic() - began) < wait:
        if process is not None and process.poll() is not None:
            raise Missing(f"the Prefect server stopped while starting: {_last_line(cat.settings)}")
        held = status(cat)
        if held and (process is None or held.pid == process.pid) and healthy(held.endpoint):
            say(f"Prefect server at {held.url} (log: {log_path(cat.settings)})")
            return held
        if spent - told >= 5:
            told = spent
            say(f"... still starting, {spent:.0f} s")
        time.sleep(0.2)
    raise Missing(f"the Prefect server did not answer within {wait:.0f} s; see {log_path(cat.settings)}")


def _last_line(settings: Settings) -> str:
    lines = [line for line in log_path(settings).read_text(errors="replace").splitlines() if line.strip()]
    return (lines[-1].strip()[:200] if lines else "no output") + f"; see {log_path(settings)}"


def stop(cat: Catalog, *, force: bool = False, wait: float = 40.0) -> bool:
    """Stop server and workers; False when none runs. Refuses while runs are active unless forced: they would resume."""
    held = status(cat)
    if held is None:
        if stale := read_record(cat.settings):
            end_children(stale)
            record_path(cat.settings).unlink(missing_ok=True)
        return False
    if held.host != socket.gethostname():
        raise Busy(f"the server of this home runs on host {held.host}; stop it there")
    if not force and healthy(held.endpoint):
        active = flow_runs(held.endpoint, FLOWS, ["RUNNING", "PENDING", "SCHEDULED"])
        if active:
            raise Busy(f"{len(active)} runs are active on the home's server; wait, cancel them, or add --force")
    with suppress(ProcessLookupError):
        os.kill(held.pid, signal.SIGTERM)
    deadline = time.monotonic() + wait
    while alive(held.host, held.pid, held.start):
        _reap(held.pid)
        if time.monotonic() > deadline:
            with suppress(ProcessLookupError):
                os.kill(held.pid, signal.SIGKILL)
        time.sleep(0.1)
    end_children(held)
    record_path(cat.settings).unlink(missing_ok=True)
    return True


def _reap(pid: int) -> None:
    """Collect a keeper that this very process started; for any other process there is nothing to collect."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def end_children(held: Server) -> None:
    """Kill what a dead keeper left behind; each child leads a process group of its own."""
    for pid, begun in held.children.values():
        if held.host == socket.gethostname() and begun and process_start(pid) == begun:
            try:
                os.killpg(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                continue


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def _one_starter(settings: Settings, wait: float) -> Iterator[None]:
    """Two commands that both need the server start it once."""
    deadline = time.monotonic() + wait
    with open(folder(settings) / "start.lock", "w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Busy("another command is starting the home's server; try again in a minute") from None
                time.sleep(0.1)
        yield
