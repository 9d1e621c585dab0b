"""Start `strata score` beside the server: the page stays free, a reload loses nothing, the same command resumes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from catalog import Catalog
from catalog.access import check, granted
from catalog.settings import Settings

TAIL = 4_000
"""Bytes of a log that are read back."""


@dataclass(frozen=True)
class Job:
    """A command that was started here; its run record appears once it has planned."""

    process: subprocess.Popen[bytes]
    command: tuple[str, ...]
    log: Path
    dataset: str

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    @property
    def failed(self) -> bool:
        return self.process.poll() not in (None, 0)

    def said(self, lines: int = 6) -> str:
        """The end of its output."""
        try:
            body = self.log.read_bytes()[-TAIL:].decode("utf-8", "replace")
        except OSError:
            return ""
        kept = [line.rstrip() for line in body.replace("\r", "\n").splitlines() if line.strip()]
        return "\n".join(kept[-lines:])


def score_command(ref: str, scorers: Sequence[str], options: Mapping[str, Any]) -> tuple[str, ...]:
    """Arguments of `strata` for a score. options: params, target, sample, on, refit; empty ones are left out."""
    words = ["score", ref, *scorers]
    for name, value in (options.get("params") or {}).items():
        words += ["--param", f"{name}={value if isinstance(value, str) else json.dumps(value)}"]
    for name in ("target", "sample", "on"):
        if options.get(name):
            words += [f"--{name}", str(options[name])]
    if options.get("refit"):
        words.append("--refit")
    return tuple(words)


def start(cat: Catalog, ref: str, command: Sequence[str]) -> Job:
    """Run `strata` with these arguments in a process of its own session, its output in the home's logs.

    The process has the rights of who starts it, and no more."""
    check(cat, "write", ref)
    folder = cat.settings.home / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}-{command[0]}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "ui.cli.main", *command],
            env=environment(cat.settings) | {"STRATA_GRANT": granted(cat)},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Job(process, tuple(command), log, ref.split("@")[0])


def environment(settings: Settings) -> dict[str, str]:
    """This catalog for a child, whatever folder it starts in."""
    return os.environ | {
        "STRATA_HOME": str(settings.home),
        "STRATA_DATABASE_URL": settings.database,
        "STRATA_TABLES_URI": settings.tables,
        "STRATA_ACTOR": settings.actor,
        "NO_COLOR": "1",
    }
