"""Workers: a Prefect process worker for each pool, kept alive, and runs of dead workers put back in the queue.

    strata server worker --pool cpu          # foreground; the keeper of a home's server runs the same loop

A killed worker costs what its run had not checkpointed: the run is scheduled again and resumes.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from catalog.errors import BadInput, Missing, StrataError
from catalog.store.publish import process_start
from flows.prefect_api import PrefectApi, healthy

if TYPE_CHECKING:
    from catalog.catalog import Catalog

POOLS = ("cpu", "gpu")
RECOVER_SECONDS = 10.0
log = logging.getLogger("strata.worker")


class Child:
    """A child process in a group of its own, restarted with growing pauses when it dies."""

    def __init__(self, name: str, command: list[str], env: Mapping[str, str], cwd: str | None = None) -> None:
        self.name, self.command, self.env, self.cwd = name, command, dict(env), cwd
        self.pause, self.not_before = 1.0, 0.0
        self.process = self._spawn()

    def _spawn(self) -> subprocess.Popen[bytes]:
        self.began = time.monotonic()
        return subprocess.Popen(
            self.command, env=self.env, cwd=self.cwd, stdin=subprocess.DEVNULL, start_new_session=True
        )

    @property
    def dead(self) -> bool:
        return self.process.poll() is not None

    def revive(self) -> bool:
        """Start again when dead and its pause is over; True when a new process was started."""
        if not self.dead:
            return False
        if not self.not_before:
            # A child that lived long starts again at once; one that dies on arrival waits up to a minute.
            self.pause = 1.0 if time.monotonic() - self.began > 60 else min(self.pause * 2, 60.0)
            self.not_before = time.monotonic() + self.pause
            log.warning("%s ended with status %s; starting it again", self.name, self.process.returncode)
        if time.monotonic() < self.not_before:
            return False
        self.not_before = 0.0
        self.process = self._spawn()
        return True

    def identity(self) -> list[int | str]:
        return [self.process.pid, process_start(self.process.pid)]

    def end(self, wait: float = 10.0) -> None:
        """Ask, wait, then kill the whole group: flow runs are children of their worker."""
        if not self.dead:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(wait)
            except subprocess.TimeoutExpired:
                log.warning("%s did not stop within %.0f s and was killed", self.name, wait)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def worker_child(pool: str, env: Mapping[str, str], cwd: str | None = None) -> Child:
    """A process that registers the pool and its deployment, then becomes the Prefect worker."""
    return Child(f"worker {pool}", [sys.executable, "-m", "flows.deployments", pool], env, cwd)


def has_gpu() -> bool:
    """Whether an NVIDIA device is visible, without importing torch."""
    return any(os.path.exists(path) for path in ("/dev/nvidia0", "/dev/nvidiactl", "/dev/dxg"))


def serve_pools(
    cat: Catalog, pools: list[str], *, wait: float = 180.0, say: Callable[[str], None] = lambda line: None
) -> None:
    """Work for the team's server, or the home's where PREFECT_API_URL is not set, until SIGTERM or Ctrl-C."""
    from flows.prefect_api import team_endpoint
    from flows.server import QUIET, environment, status

    if unknown := sorted(set(pools) - set(POOLS)):
        raise BadInput(f"pool {unknown[0]!r} is not one of {', '.join(POOLS)}")
    at, env = team_endpoint(), QUIET | dict(os.environ)
    if at is None:
        home = status(cat)
        if home is None:
            raise Missing(
                "no server to work for: set PREFECT_API_URL, or `strata server start`, which runs a worker itself"
            )
        at, env = home.endpoint, environment(cat.settings, home.url)
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
    say(f"working for {at.url}: pools {', '.join(pools)} (Ctrl-C stops; runs are put back)")
    work(cat, at, pools, env=env, stopped=lambda: bool(asked), wait=wait)


def work(
    cat: Catalog,
    at: PrefectApi,
    pools: list[str],
    *,
    env: Mapping[str, str],
    stopped: Callable[[], bool],
    wait: float = 180.0,
) -> None:
    """Run workers in the foreground until `stopped()`; waits for the server first, as containers start in any order."""
    deadline = time.monotonic() + wait
    while not healthy(at):
        if stopped():
            return
        if time.monotonic() > deadline:
            raise Missing(
                f"no Prefect server answers at {at.url}; start it with `strata server start` or set PREFECT_API_URL"
            )
        time.sleep(1.0)
    children = [worker_child(pool, env) for pool in pools]
    recovered = 0.0
    try:
        while not stopped():
            for child in children:
                child.revive()
            if time.monotonic() - recovered > RECOVER_SECONDS:
                recovered = time.monotonic()
                recover_quietly(cat, at)
            time.sleep(0.5)
    finally:
        for child in children:
            child.end()


def recover_quietly(cat: Catalog, at: PrefectApi) -> None:
    """Recovery must not end the loop that does it: a server that is restarting is tried again."""
    from flows.recovery import recover

    try:
        for line in recover(cat, at):
            log.warning(line)
    except StrataError as error:
        log.warning("recovery postponed: %s", error)
