"""The metadata store's schema: made in one step or not at all, by one process of many."""

import multiprocessing
import os
import signal
import sqlite3

import pytest

from catalog import Catalog


def die_before(home: str, statement: str) -> None:
    """Open a fresh home and be killed when the statement is about to run."""
    from sqlalchemy import Engine, event

    @event.listens_for(Engine, "before_cursor_execute")
    def _kill(_connection, _cursor, sql, *_):
        if statement in " ".join(sql.split()).lower():
            os.kill(os.getpid(), signal.SIGKILL)

    Catalog.open(home)


def open_home(home: str) -> None:
    Catalog.open(home)


@pytest.mark.parametrize(
    "statement",
    ["create table dataset ", "create table evalpolicy", "create index ix_standingsegment", "create table trial",
     "insert into alembic_version", "update alembic_version"],
)  # fmt: skip
def test_a_kill_in_the_middle_of_the_first_open_leaves_nothing_behind(tmp_path, statement):
    context, home = multiprocessing.get_context("spawn"), str(tmp_path / "home")
    child = context.Process(target=die_before, args=(home, statement))
    child.start()
    child.join(120)
    assert child.exitcode == -signal.SIGKILL
    with sqlite3.connect(next((tmp_path / "home").rglob("*.db"))) as store:
        assert store.execute("select name from sqlite_master").fetchall() == []
    assert Catalog.open(home).datasets() == []


def test_processes_that_open_a_fresh_home_at_once_all_succeed(tmp_path):
    context, home = multiprocessing.get_context("spawn"), str(tmp_path / "home")
    children = [context.Process(target=open_home, args=(home,)) for _ in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join(120)
    assert [child.exitcode for child in children] == [0, 0, 0, 0]
