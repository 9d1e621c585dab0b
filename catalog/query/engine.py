"""One DuckDB a request: in memory, locked, without files, network or Python variables, with a memory and a time limit."""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from tempfile import gettempdir
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from catalog.access import check
from catalog.errors import BadInput, Corrupt, Missing, NotFound, StrataError
from catalog.query import withheld
from catalog.query.statements import Statement
from catalog.query.system import MOST, system_table
from catalog.query.views import ROW_ID, View, open_view, projection, quoted

if TYPE_CHECKING:
    from catalog.catalog import Catalog

SPILL = "16GB"
"""Disk that sorts and joins larger than memory may use, in a folder that goes with the request."""


class Request:
    """A locked connection with the tables that one statement names."""

    def __init__(self, cat: Catalog, memory: str = "2GB", timeout: float | None = None, *, texts: bool = True) -> None:
        self.cat, self.memory, self.timeout, self.texts = cat, memory, timeout, texts
        self.withheld: dict[str, str] = {}  # column that was left out -> table it is of
        self.views: dict[str, View] = {}
        self.notes: list[str] = []
        self.timed_out = False
        self.timer: threading.Timer | None = None
        self.spill = os.path.join(gettempdir(), f"strata-sql-{uuid4().hex}")  # DuckDB makes it when it needs it
        self.con = _connect(memory, self.spill)
        if timeout:
            self.timer = threading.Timer(timeout, self._interrupt)
            self.timer.daemon = True
            self.timer.start()

    def _interrupt(self) -> None:
        self.timed_out = True
        with suppress(Exception):  # it may have been closed this moment
            self.con.interrupt()

    def close(self) -> None:
        """Give everything back; may be called twice."""
        if self.timer is not None:
            self.timer.cancel()
        self.con.close()
        shutil.rmtree(self.spill, ignore_errors=True)

    def register(self, statement: Statement) -> None:
        """Make the tables that the statement names visible, and no others."""
        for schema, name in statement.tables:
            if schema.lower() == "strata":
                self._system(name)
            elif name.lower() in statement.ctes and self.cat.find(name.lower()) is None:
                continue
            elif name.lower() not in self.views:
                self._dataset(name)

    def _system(self, name: str) -> None:
        check(self.cat, "read", f"strata.{name}")
        table, cut = system_table(self.cat, name)
        if cut:
            self.notes.append(f"strata.{name.lower()} holds more than {MOST:,} rows; the query saw the newest {MOST:,}")
        if not self.texts and (gone := withheld.SYSTEM.get(name.lower())):
            table = table.drop_columns(sorted(gone))
            self.withheld |= dict.fromkeys(gone, f"strata.{name.lower()}")
        held = f"system_{name.lower()}"
        self.con.register(held, table)
        self.con.execute("CREATE SCHEMA IF NOT EXISTS strata")
        self.con.execute(f"CREATE OR REPLACE VIEW strata.{quoted(name.lower())} AS SELECT * FROM {quoted(held)}")

    def _dataset(self, name: str) -> None:
        try:
            view = open_view(self.cat, name.lower())
        except (NotFound, BadInput) as error:
            if isinstance(error, BadInput) or error.facts.get("noun") == "dataset":
                known = [*(dataset.name for dataset in self.cat.datasets()), "strata.datasets"]
                remedy = 'datasets are written "name" or "name@v3", system tables strata.name'
                raise NotFound("table", name, known, remedy) from None
            raise
        if not self.texts and not view.found.dataset.text_may_leave:
            view, gone = withheld.without_text(self.cat, view)
            self.withheld.update((column, str(view.found.dataset.name)) for column in gone)
        held = f"scan_{len(self.views)}"
        self.views[name.lower()] = view
        self.con.register(held, view.scan)
        self.show(name, held)

    def show(self, name: str, held: str, columns: dict[str, str] | None = None, row_id: bool = False) -> None:
        """Let `name` mean the registered object `held`."""
        view = self.views[name.lower()]
        parts = projection(view.columns if columns is None else columns) + (f", {ROW_ID}" if row_id else "")
        self.con.execute(f"CREATE OR REPLACE VIEW {quoted(name)} AS SELECT {parts} FROM {quoted(held)}")

    def explain(self, error: BaseException) -> StrataError:
        """What went wrong in one line."""
        import duckdb

        if isinstance(error, StrataError):
            return error
        if self.timed_out or isinstance(error, duckdb.InterruptException):
            return BadInput(
                f"the query ran longer than {self.timeout:g} s and was stopped; narrow it or raise the timeout"
            )
        lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        first = re.sub(r"^[A-Z][A-Za-z ]*(?:Error|Exception): ", "", lines[0])
        if isinstance(error, duckdb.OutOfMemoryException):
            return BadInput(
                f"the query needs more than {self.memory} of memory: filter or group more, or raise the limit"
            )
        if column := re.search(r'olumn "([^"]+)" (?:not found|does not exist)|a column named "([^"]+)"', first):
            return self._no_column(column[1] or column[2])
        if re.search(r"LanceError|lance|Object at location", first) and not isinstance(error, duckdb.BinderException):
            return Corrupt(f"a table of the query cannot be read: {first[:200]}; run `strata doctor`")
        hint = next((line for line in lines[1:] if line.startswith("Did you mean")), "")
        if self.withheld and isinstance(error, duckdb.BinderException):
            hint = "; columns of sample text are left out without consent"
            return BadInput(f"SQL: {first[:300]}{hint}")
        return BadInput(" ".join(part for part in (f"SQL: {first[:300]}", hint[:200]) if part))

    def _no_column(self, name: str) -> StrataError:
        if dataset := self.withheld.get(name.lower()):
            return withheld.refusal(name, dataset)
        known = [shown for view in self.views.values() for shown in view.columns]
        where = " or ".join(sorted(self.views)) or "the tables named"
        return NotFound(f"column of {where}", name, known, "DESCRIBE lists the columns of a table")


def _connect(memory: str, spill: str) -> Any:
    try:
        import duckdb
    except ImportError:
        raise Missing("SQL needs duckdb: pip install duckdb") from None

    if not re.fullmatch(r"\d+(\.\d+)? ?[KMGT]i?B", memory):
        raise BadInput(f"memory {memory!r} is not a size: write 2GB or 500MB")
    con = duckdb.connect(":memory:")
    for name, value in {
        "memory_limit": memory,
        "temp_directory": spill,
        "max_temp_directory_size": SPILL,
        "python_enable_replacements": "false",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "allow_community_extensions": "false",
        "enable_external_access": "false",  # after the folder for spills, which it would forbid
        "lock_configuration": "true",  # last
    }.items():
        con.execute(f"SET {name} = '{value}'")
    return con


@contextmanager
def one_line(request: Request) -> Iterator[None]:
    """Turn what DuckDB raises into a Strata error, and close the request when it does."""
    try:
        yield
    except BaseException as error:
        request.close()
        if isinstance(error, Exception):
            raise request.explain(error) from None
        raise
