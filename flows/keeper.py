"""The process behind a home's server: runs `prefect server start` and the workers, and ends them when nobody needs them.

    python -m flows.keeper PORT IDLE_MINUTES        # started by flows/server.py, detached; settings in the environment

Idle means: no active run, and no command has used the server for IDLE_MINUTES (0: stay for ever). When the server
dies the keeper ends; when a worker dies it is started again and its runs are recovered.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
import time
from pathlib import Path

from catalog.catalog import Catalog
from catalog.errors import StrataError
from catalog.store.publish import process_start
from flows.prefect_api import PrefectApi, flow_runs, healthy
from flows.server import FLOWS, folder, record_path
from flows.worker import RECOVER_SECONDS, Child, has_gpu, recover_quietly, worker_child

log = logging.getLogger("strata.keeper")


def main() -> None:
    port, idle_minutes = int(sys.argv[1]), float(sys.argv[2])
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    # An idle pool connection would outlive a database restart; the keeper asks rarely, so it opens the catalog late.
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda got, frame: asked.append(got))
    cat = Catalog.open()
    at = PrefectApi(os.environ["PREFECT_API_URL"], os.environ["PREFECT_API_AUTH_STRING"])
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    children = [Child("server", command, os.environ)]
    try:
        keep(cat, at, children, f"http://127.0.0.1:{port}", idle_minutes, asked)
    finally:
        for child in reversed(children):
            child.end()
        forget(cat)


def keep(cat: Catalog, at: PrefectApi, children: list[Child], url: str, idle_minutes: float, asked: list[int]) -> None:
    """The loop: until asked to stop, the server dies, or nobody needs it."""
    write_record(cat, url, children, idle_minutes)
    looked = time.monotonic()
    while not asked and not children[0].dead:
        if len(children) == 1 and healthy(at):
            children += [worker_child(pool, os.environ) for pool in (["cpu", "gpu"] if has_gpu() else ["cpu"])]
            write_record(cat, url, children, idle_minutes)
        if any([child.revive() for child in children[1:]]):
            write_record(cat, url, children, idle_minutes)
        if time.monotonic() - looked > RECOVER_SECONDS and len(children) > 1:
            looked = time.monotonic()
            recover_quietly(cat, at)
            if idle_minutes and unused_minutes(cat) > idle_minutes and not busy(at):
                log.info("idle for %.0f minutes: stopping", idle_minutes)
                return
        time.sleep(0.25)
    log.info("stopping: %s", "asked to" if asked else "the server ended")


def unused_minutes(cat: Catalog) -> float:
    return (time.time() - (folder(cat.settings) / "used").stat().st_mtime) / 60


def busy(at: PrefectApi) -> bool:
    try:
        return bool(flow_runs(at, FLOWS, ["RUNNING", "PENDING", "SCHEDULED", "CANCELLING"]))
    except StrataError:
        return True


def write_record(cat: Catalog, url: str, children: list[Child], idle_minutes: float) -> None:
    """Replace the record in one step, so that a reader sees an old or a new one, never half."""
    body = {
        "url": url,
        "pid": os.getpid(),
        "start": process_start(os.getpid()),
        "host": socket.gethostname(),
        "children": {child.name: child.identity() for child in children},
        "idle_minutes": idle_minutes,
    }
    path = record_path(cat.settings)
    part = path.with_suffix(f".{os.getpid()}")
    part.write_text(json.dumps(body))
    part.replace(path)


def forget(cat: Catalog) -> None:
    path: Path = record_path(cat.settings)
    try:
        if json.loads(path.read_text())["pid"] == os.getpid():
            path.unlink()
    except (FileNotFoundError, ValueError, KeyError):
        pass


if __name__ == "__main__":
    main()
