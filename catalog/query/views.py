"""A dataset version as a table that DuckDB can scan: columns by alias, rows of the version, filters pushed down.

DuckDB hands a Python dataset the columns it needs and the comparisons it wants applied. Integers and strings are compared
by Lance, which can then skip whole rows and use scalar indexes. Comparisons that touch a float are done by Arrow on
the batches instead: Lance orders floats totally (-NaN < -0.0 < 0.0), SQL does not. So are those of unsigned integers,
dictionaries and nested values, which Lance does not take.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset

from catalog.schema import REMOVED, table_schema

if TYPE_CHECKING:
    import lance

    from catalog.catalog import Catalog, Resolved
    from catalog.meta.models import ColumnRecord, Dataset

BATCH_ROWS = 122_880
"""Rows a batch at most, the size of DuckDB's row groups: scans of score columns take half the time of 8,192."""
BATCH_BYTES = 16 << 20
"""Bytes a batch about at most, so that long texts do not grow a scan's memory."""
FEW = 0.02
"""Share of rows below which wide columns are fetched by row id: some 6 us a row, against 0.1 to 1 us to scan it."""
ROW_ID = "_rowid"


class Scan(pyarrow.dataset.Dataset):
    """What DuckDB registers: it asks for `schema`, then calls `scanner(columns, filter)` once for each scan."""

    def __init__(self, table: lance.LanceDataset, names: list[str], rows: pc.Expression | None) -> None:
        # The Arrow class cannot be constructed; only its name is needed, for DuckDB to recognise a dataset.
        self.table, self.rows = table, rows
        held = [table.schema.field(name) for name in names]
        self.fields = pa.schema([pa.field(field.name, readable(field.type), field.nullable) for field in held])
        self.ours = [ROW_ID, *[field.name for field in self.fields if not lance_compares(field.type)]]
        self.own = pa.schema([*self.fields, pa.field(ROW_ID, pa.uint64())])

    @property
    def schema(self) -> pa.Schema:
        return self.own

    def scanner(  # type: ignore[override]
        self, columns: list[str] | None = None, filter: pc.Expression | None = None, **_: Any
    ) -> Batches:
        wanted = self.own.names if columns is None else columns
        schema = pa.schema([self.own.field(name) for name in wanted])
        if filter is None or not any(mentions(filter, name) for name in self.ours):
            batches = self._read(wanted, both(self.rows, filter))
        else:
            batches = self._compared(wanted, filter)
        kept = (batch.select(wanted) for batch in batches if batch.num_rows)
        return Batches(pa.RecordBatchReader.from_batches(schema, kept))

    def _read(
        self, names: list[str], condition: pc.Expression | None, limit: int | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Columns of the rows for which Lance says that the condition holds."""
        scanner = self.table.scanner(
            columns=[name for name in names if name != ROW_ID],
            filter=condition,
            batch_size=BATCH_ROWS,
            batch_size_bytes=BATCH_BYTES,
            with_row_id=ROW_ID in names,
            limit=limit,
        )
        return map(self._readable, scanner.to_batches())

    def _compared(self, wanted: list[str], condition: pc.Expression) -> Iterator[pa.RecordBatch]:
        """Rows for which Arrow says that the condition holds; of few such rows, wide columns are fetched one by one."""
        tested = [name for name in self.own.names if mentions(condition, name)]
        wide = [name for name in wanted if name not in tested and is_wide(self.own.field(name).type)]
        narrow = list(dict.fromkeys([*(name for name in wanted if name not in wide), *tested]))
        if wide and self._share(tested, condition) < FEW:
            for batch in self._read([*narrow, *([] if ROW_ID in narrow else [ROW_ID])], self.rows):
                batch = filtered(batch, condition, tested)
                if batch.num_rows:
                    taken = self.table._take_rows(batch.column(ROW_ID).to_pylist(), columns=wide)
                    more = self._readable(taken.combine_chunks().to_batches()[0])
                    yield pa.RecordBatch.from_arrays(
                        [*batch.columns, *more.columns], names=[*batch.schema.names, *wide]
                    )
        else:
            for batch in self._read([*narrow, *wide], self.rows):
                yield filtered(batch, condition, tested)

    def _share(self, tested: list[str], condition: pc.Expression) -> float:
        """Share of the first rows for which a condition holds."""
        held = [
            (batch.num_rows, filtered(batch, condition, tested).num_rows)
            for batch in self._read(tested, self.rows, BATCH_ROWS)
        ]
        return sum(hits for _, hits in held) / max(1, sum(rows for rows, _ in held))

    def _readable(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        fields = [self.own.field(name) for name in batch.schema.names]
        arrays = [c if c.type == field.type else c.cast(field.type) for c, field in zip(batch.columns, fields)]
        return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields)) if fields else batch


class Batches(NamedTuple):
    """What DuckDB expects of a scanner: something to read."""

    reader: pa.RecordBatchReader

    def to_reader(self) -> pa.RecordBatchReader:
        return self.reader


def filtered(batch: pa.RecordBatch, condition: pc.Expression, tested: list[str]) -> pa.RecordBatch:
    """Rows for which a condition over the columns `tested` holds; over a dictionary alone, it is decided once a value."""
    coded = [name for name in tested if pa.types.is_dictionary(batch.schema.field(name).type)]
    if not coded:
        return batch.filter(condition)
    if tested == coded and len(coded) == 1:
        column = batch.column(coded[0])
        null = len(column.dictionary)
        values = pa.concat_arrays([column.dictionary, pa.nulls(1, column.dictionary.type)])
        tried = pa.record_batch([values, pa.array(np.arange(null + 1))], names=[coded[0], "place"])
        holds = np.zeros(null + 1, bool)
        holds[tried.filter(condition).column("place").to_numpy()] = True
        return batch.filter(pa.array(_chosen(column.indices.fill_null(null).to_numpy(), holds)))
    plain = [
        batch.column(name).cast(pa.string()) if name in coded else batch.column(name) for name in batch.schema.names
    ]
    numbered = pa.record_batch([*plain, pa.array(np.arange(batch.num_rows))], names=[*batch.schema.names, "place"])
    return batch.take(numbered.filter(condition).column("place"))


def _chosen(codes: np.ndarray, holds: np.ndarray) -> np.ndarray:
    """holds[codes], by comparisons where few codes hold or few do not: those take a fifth of the time."""
    for wanted, join in ((holds, np.logical_or), (~holds, np.logical_and)):
        few = np.flatnonzero(wanted)
        if 0 < len(few) <= 4:
            tests = [codes == code if join is np.logical_or else codes != code for code in few]
            return join.reduce(tests)
    return holds[codes]


def is_wide(kind: pa.DataType) -> bool:
    """Whether a value takes more than eight bytes."""
    if pa.types.is_dictionary(kind):
        return False
    try:
        return kind.bit_width > 64
    except ValueError:
        return True


def mentions(expression: pc.Expression | None, name: str) -> bool:
    """Whether an expression may read a column. A string literal of that name counts too, which only costs time."""
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", str(expression)) is not None


def both(a: pc.Expression | None, b: pc.Expression | None) -> pc.Expression | None:
    return b if a is None else a if b is None else a & b


def lance_compares(kind: pa.DataType) -> bool:
    """Whether Lance takes comparisons over a type and means by them what SQL means."""
    return pa.types.is_string(kind) or pa.types.is_boolean(kind) or pa.types.is_signed_integer(kind)


def readable(kind: pa.DataType) -> pa.DataType:
    """The Arrow type that DuckDB gets: it does not know half floats."""
    if pa.types.is_float16(kind):
        return pa.float32()
    if pa.types.is_fixed_size_list(kind) and pa.types.is_float16(kind.value_type):
        return pa.list_(pa.float32(), kind.list_size)
    if pa.types.is_list(kind) and pa.types.is_float16(kind.value_type):
        return pa.list_(pa.float32())
    return kind


def rows_of(dataset: Dataset, number: int) -> pc.Expression | None:
    """`catalog.where.version_filter` as an Arrow expression."""
    removed, added = pc.field("removed"), pc.field("added")
    if number >= dataset.head:
        return removed.is_null() if dataset.removed else None
    return (added <= number) & (removed.is_null() | (removed > number))


def shown_columns(dataset: Dataset, computed: list[ColumnRecord], physical: set[str]) -> dict[str, str]:
    """Name that users write -> physical name: sample fields, computed columns by alias, one state column a scorer."""
    names = [name for name in table_schema(dataset.kind, dataset.tier).names if name != REMOVED.name]
    shown = {name: name for name in names if name in physical}
    shown |= {column.alias: column.physical for column in computed if column.physical in physical}
    states = {column.state: column for column in reversed(computed) if column.state in physical}
    runs = [column.scorer for column in states.values()]
    for state, column in sorted(states.items(), key=lambda item: item[1].alias):
        # Two runs of one scorer (other parameters, another target) tell their states apart by their first alias.
        stem = column.scorer if runs.count(column.scorer) == 1 else column.alias
        name = f"{stem}_state" if f"{stem}_state" not in shown else f"{column.alias}_state"
        shown.setdefault(name, state)
    return shown


class View(NamedTuple):
    """A dataset version, its table at the published head and its columns."""

    found: Resolved
    scan: Scan
    columns: dict[str, str]  # shown name -> physical name

    def types(self) -> dict[str, pa.DataType]:
        return {shown: self.scan.fields.field(held).type for shown, held in self.columns.items()}


def open_view(cat: Catalog, ref: str) -> View:
    """Open a reference for SQL. `NotFound` when nothing has that name."""
    from catalog.store import open_table

    found = cat.resolve(ref)
    table = open_table(cat.table_uri(found.dataset), found.dataset.lance_version, cat.settings.storage)
    columns = shown_columns(found.dataset, cat.columns(found.dataset.name), set(table.schema.names))
    # The first column is what DuckDB reads to count rows: four bytes a row, not an id.
    names = list(dict.fromkeys(["added", *columns.values()]))
    return View(found, Scan(table, names, rows_of(found.dataset, found.number)), columns)


def projection(columns: dict[str, str]) -> str:
    """The select list of a view."""
    return ", ".join(f"{quoted(held)} AS {quoted(shown)}" for shown, held in columns.items())


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
