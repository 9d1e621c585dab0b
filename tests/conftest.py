"""Fixtures every room uses: a fresh catalog in a temporary home, on SQLite or PostgreSQL, and quiet, offline libraries."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")

import shutil
import socket
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest

from catalog import Catalog
from catalog.meta.session import engine_of


@pytest.fixture(autouse=True)
def _own_home(tmp_path, monkeypatch):
    """No test ever touches a real home or a team's services."""
    monkeypatch.setenv("STRATA_HOME", str(tmp_path / "home"))
    for name in ("STRATA_DATABASE_URL", "STRATA_TABLES_URI", "STRATA_GRANT", "STRATA_S3_ENDPOINT", "PREFECT_API_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _stays_itself(monkeypatch):
    """No test becomes another program: pytest's process would be gone, and its worker's pipes held by a server."""

    def refused(path, argv, *env):
        raise AssertionError(f"a test would have replaced its own process by {' '.join(map(str, argv))}")

    for name in ("execv", "execve", "execvp", "execvpe"):
        monkeypatch.setattr(os, name, refused)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory) -> Path:
    """A SQLite store with the schema in place, to copy instead of migrating for every test."""
    path = tmp_path_factory.mktemp("template") / "meta.db"
    engine = engine_of(f"sqlite:///{path}")
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    return path


@pytest.fixture
def cat(tmp_path, request, migrated) -> Catalog:
    """A fresh catalog; `parametrize("cat", ["sqlite", "postgres"], indirect=True)` runs a test on both stores."""
    if getattr(request, "param", "sqlite") == "postgres":
        yield from _on_postgres(tmp_path, request.getfixturevalue("postgres"))
        return
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(migrated, home / "meta.db")
    yield Catalog.open(home)


def _on_postgres(tmp_path, server: str):
    name = f"t{uuid4().hex[:12]}"
    _psql(server, f'create database "{name}" template strata_template')
    cat = Catalog.open(tmp_path / "home", database=f"{server}/{name}")
    yield cat
    cat.engine.dispose()


def _psql(server: str, statement: str) -> None:
    import psycopg

    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(statement)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory) -> str:
    """URL of a PostgreSQL server: STRATA_TEST_POSTGRES, or one started here from the system's binaries."""
    if given := os.environ.get("STRATA_TEST_POSTGRES"):
        yield given
        return
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin")) if Path("/usr/lib/postgresql").exists() else []
    if not binaries:
        pytest.skip("no PostgreSQL here: install it, or set STRATA_TEST_POSTGRES=postgresql://user@host:port")
    folder = Path("/tmp") / f"strata-pg-{uuid4().hex[:8]}"
    folder.mkdir()
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    if user:
        shutil.chown(folder, "postgres")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = folder / "data"
    subprocess.run(
        [*user, binaries[-1] / "initdb", "-D", data, "-A", "trust", "-U", "strata", "--no-sync"],
        check=True,
        capture_output=True,
    )
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    start = [*user, binaries[-1] / "pg_ctl", "-D", data, "-o", options, "-l", folder / "log", "-w", "start"]
    subprocess.run(start, check=True, capture_output=True)
    server = f"postgresql://strata@127.0.0.1:{port}"
    try:
        _psql(server, "create database strata_template")
        engine = engine_of(f"postgresql+psycopg://strata@127.0.0.1:{port}/strata_template")
        engine.dispose()
        yield server
    finally:
        subprocess.run([*user, binaries[-1] / "pg_ctl", "-D", data, "-m", "immediate", "stop"], capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)
