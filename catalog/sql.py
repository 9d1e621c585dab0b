"""Read-only SQL over the catalog: views "name", "name@v3", "name@tag" and the system tables strata.*.

    result = sql(cat, 'SELECT source, avg(perplexity) FROM "web@v3" GROUP BY source')
    result.arrow(), result.polars(), result.rows(), result.truncated

Columns go by the names that users write; a row of a column that no run has computed is null, and `<scorer>_state` says
why (1 value, 2 undefined, 3 out of validity, 4 failed, 5 not sampled; null: not computed).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from catalog.access import check
from catalog.errors import BadInput, Missing
from catalog.query.engine import Request, one_line
from catalog.query.facets import Facet, count, facets
from catalog.query.late import fetch, narrowed
from catalog.query.statements import Statement, parse

if TYPE_CHECKING:
    from catalog.catalog import Catalog

__all__ = ["Facet", "SqlResult", "count", "facets", "relation", "sql"]

BATCH_ROWS = 10_000
MOST_BYTES = 256 << 20
"""Bytes of a result that is held in memory; a result without a row limit is streamed and has no such limit."""
COUNT = re.compile(r'\s*SELECT\s+count\(\*\)\s+FROM\s+(?:"([^"]+)"|([a-z0-9_]+))\s*;?\s*', re.IGNORECASE)


class SqlResult:
    """Rows of one statement. With a row limit they are here; without one they are read as they are asked for, once."""

    def __init__(self, reader: pa.RecordBatchReader, notes: list[str], limit: int | None, truncated: bool) -> None:
        self.schema, self.notes, self.limit, self.truncated = reader.schema, notes, limit, truncated
        self._reader: pa.RecordBatchReader | None = reader
        self._table: pa.Table | None = None

    @property
    def columns(self) -> list[str]:
        return self.schema.names

    @property
    def note(self) -> str:
        """What is missing from the rows, in words; empty when nothing is."""
        return "; ".join(self.notes)

    def reader(self) -> pa.RecordBatchReader:
        """A stream of batches; of a result without a limit this can be had once."""
        if self._table is not None:
            return self._table.to_reader()
        if self._reader is None:
            raise BadInput("the rows of this result were read already; run the query again, or use .arrow()")
        held, self._reader = self._reader, None
        return held

    def arrow(self) -> pa.Table:
        """All rows as an Arrow table."""
        if self._table is None:
            self._table = self.reader().read_all()
        return self._table

    @property
    def table(self) -> pa.Table:
        return self.arrow()

    def rows(self) -> list[dict[str, Any]]:
        return self.arrow().to_pylist()

    def polars(self) -> Any:
        """All rows as a Polars frame."""
        try:
            import polars
        except ImportError:
            raise Missing("Polars is not installed: pip install polars, or use .arrow()") from None
        return polars.from_arrow(self.arrow())

    def relation(self) -> Any:
        """The rows as a DuckDB relation, for further steps in Python."""
        import duckdb

        return duckdb.connect(":memory:").from_arrow(self.arrow())

    def __len__(self) -> int:
        return self.arrow().num_rows

    def __repr__(self) -> str:
        return f"SqlResult({len(self.columns)} columns, truncated={self.truncated})"


def sql(
    cat: Catalog,
    query: str,
    *,
    limit: int | None = 10_000,
    memory: str = "2GB",
    timeout: float | None = 60.0,
    params: Sequence[Any] | Mapping[str, Any] | None = None,
    texts: bool = True,
) -> SqlResult:
    """Run one read-only statement.

    limit: rows kept; `truncated` and `note` say when there were more. None streams all of them, read as you go.
    memory: of DuckDB, which spills to disk beyond it. timeout: seconds until the query is stopped. params: for ? and $x.
    texts: False leaves out every column that holds sample text, but of datasets (not raw ones) whose owner consented.
    """
    if limit is not None and limit < 0:
        raise BadInput(f"limit must not be negative, not {limit}")
    check(cat, "read", "sql")
    if (match := COUNT.fullmatch(query)) and (known := _counted(cat, match[1] or match[2])) is not None:
        return SqlResult(known.to_reader(), [], limit, False)
    request = Request(cat, memory, timeout, texts=texts)
    with one_line(request):
        statement = parse(request.con, query)
        request.register(statement)
        reader, complete = _run(request, statement, limit, params)
        if limit is None:
            return SqlResult(_streamed(request, reader), request.notes, None, False)
        batches, more = _first(reader, limit)
        truncated = bool(more) or not complete
        if truncated:
            request.notes.append(more or f"only the first {MOST_BYTES >> 20} MB of rows are here")
        kept = pa.RecordBatchReader.from_batches(reader.schema, batches)
        del reader
        request.close()
        return SqlResult(kept, request.notes, limit, truncated)


def relation(cat: Catalog, query: str, *, memory: str = "2GB") -> Any:
    """A lazy DuckDB relation over the statement, for `.filter`, `.df()`, `.pl()`; nothing is limited but memory.

    Its connection is locked like that of `sql` and lives as long as the relation.
    """
    check(cat, "read", "sql")
    request = Request(cat, memory)
    with one_line(request):
        statement = parse(request.con, query)
        if statement.explain:
            raise BadInput("EXPLAIN gives no relation; use sql")
        request.register(statement)
        return request.con.sql(statement.text)


def _counted(cat: Catalog, ref: str) -> pa.Table | None:
    """The answer to an unfiltered count, from the version's row."""
    if cat.find(ref.partition("@")[0].lower()) is None:
        return None
    return pa.table({"count_star()": pa.array([count(cat, ref.lower())], pa.int64())})


def _run(request: Request, statement: Statement, limit: int | None, params: Any) -> tuple[pa.RecordBatchReader, bool]:
    """A reader over the result, and whether it holds all that the statement asks for."""
    if statement.explain:
        found = request.con.execute(f"{statement.explain} {statement.text}", params or None)
        names, rows = [column[0] for column in found.description], found.fetchall()
        return pa.table({name: [str(row[at]) for row in rows] for at, name in enumerate(names)}).to_reader(), True
    if params is None and len(request.views) == 1 and len(statement.tables) == 1:
        (name, view), written = next(iter(request.views.items())), statement.tables[0][1]
        if name == written.lower() and (plan := narrowed(statement, view, limit)) is not None:
            return _two_steps(request, written, plan)
    found = request.con.sql(statement.text, params=params) if params else request.con.sql(statement.text)
    return found.to_arrow_reader(BATCH_ROWS), True


def _two_steps(request: Request, name: str, plan: Any) -> tuple[pa.RecordBatchReader, bool]:
    """Row ids first, then the statement over just those rows; see catalog.query.late."""
    view = request.views[name.lower()]
    request.show(name, "scan_0", row_id=True)
    ids = request.con.sql(_text(request, plan.first)).to_arrow_table().column(0)
    rows, cut = fetch(view, ids, plan.columns, MOST_BYTES)
    request.con.register("found_rows", rows)
    request.show(name, "found_rows", columns=plan.columns)
    return request.con.sql(_text(request, plan.second)).to_arrow_reader(BATCH_ROWS), not cut


def _text(request: Request, tree: dict[str, Any]) -> str:
    return request.con.execute("SELECT json_deserialize_sql(?::JSON)", [json.dumps(tree)]).fetchall()[0][0]


def _first(reader: pa.RecordBatchReader, limit: int) -> tuple[list[pa.RecordBatch], str]:
    """Batches of at most `limit` rows and MOST_BYTES, and a note when there were more."""
    batches: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in reader:
        if rows + batch.num_rows > limit:
            batches.append(batch.slice(0, limit - rows))
            return batches, f"only the first {limit:,} rows are here; the query has more"
        batches.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if size > MOST_BYTES:
            return batches, f"only the first {rows:,} rows are here ({MOST_BYTES >> 20} MB); the query may have more"
    return batches, ""


def _streamed(request: Request, reader: pa.RecordBatchReader) -> pa.RecordBatchReader:
    """The reader, with one-line errors, and the connection closed at its end."""
    schema = reader.schema

    def batches() -> Iterator[pa.RecordBatch]:
        with one_line(request):
            yield from reader
            request.close()

    return pa.RecordBatchReader.from_batches(schema, batches())
