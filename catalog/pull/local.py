"""A copy of the columns that a mix serves, on this machine's disk: for tables on object stores, and for the full speed.

    reader = cat.mix("sft@v1").local(["text"])       # made once, in $STRATA_HOME/copies; opened at once from then on
    reader.torch(256, workers=2)

The rows are those of the lock, from any epoch, each once; the order, the states and the digests are those of the mix, so a
run may go on with or without a copy. It is made in one pass in ascending row id, which is the order rows are stored in, and
appears whole or not at all; processes that ask at once wait for one of them. Retracted rows are left out of every pull, as
without a copy, but stay in the file as they stay in the table: delete the folder to be rid of them.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pyarrow as pa

from catalog.errors import StrataError
from catalog.pull import rowset
from catalog.pull.fetch import take_rows
from catalog.pull.layout import Layout, digest_of
from catalog.pull.mapped import ROWS, MappedRows
from catalog.pull.reader import BLOCK_BYTES, MixReader
from catalog.pull.rowset import RowSet, RowSetBuilder
from catalog.pull.sources import Sources
from catalog.schema import plain_type

if TYPE_CHECKING:
    from catalog.settings import Settings

ANY = "added"
"""Read where a dataset has none of the columns asked for; four bytes a row."""
FIRST, LARGEST = 1024, 16_384
"""Rows that are copied at once: the first, and at most."""


class LocalReader(MixReader):
    """A mix that reads its rows from mapped files; of the columns that were copied, and else as any other."""

    def __init__(self, whole: MixReader, files: Sequence[Path], columns: Sequence[str]) -> None:
        self.files, self.copied = list(files), list(columns)
        super().__init__(whole.settings, whole.ref, whole.lock, whole.layout, _narrowed(whole.sources, files, columns))

    def __repr__(self) -> str:
        return f"<local copy of {super().__repr__()[1:]}"

    def __reduce__(self) -> Any:
        return _reopen, (self.settings, self.ref, self.digest, self.files, self.copied)

    def verify(self, *, full: bool = False) -> str:
        """Compare the tables with the lock, not the copy."""
        return _whole(self.settings, self.ref, self.digest).verify(full=full)


def local(reader: MixReader, columns: Sequence[str] | None = None, *, folder: str | Path | None = None) -> LocalReader:
    """The mix with its rows on this machine; columns: those to copy (default: all that `batches` serves)."""
    if isinstance(reader, LocalReader):
        reader = _whole(reader.settings, reader.ref, reader.digest)
    wanted = reader.sources.schema(columns).names
    place = Path(folder) if folder else reader.settings.home / "copies"
    files = []
    for source in range(len(reader.sources.names)):
        physical = _physical(reader, source, wanted)
        path = place / f"{_key(reader, source, physical)}.arrow"
        if not path.exists():
            with _alone(path):
                if not path.exists():  # another process may have made it meanwhile
                    _make(reader, source, physical, path)
        files.append(path)
    return LocalReader(reader, files, wanted)


def _physical(reader: MixReader, source: int, wanted: Sequence[str]) -> list[str]:
    """Columns of one table behind the wanted ones, and those that weigh its samples."""
    names = list(reader.sources.columns(wanted)[source].values())
    for part in np.flatnonzero(reader.sources.of_part == source).tolist():
        weight = reader.lock["parts"][part].get("sample_weight")
        names += [weight["physical"]] if weight else []
    return list(dict.fromkeys([*names, ANY]))


def _key(reader: MixReader, source: int, physical: Sequence[str]) -> str:
    """What is copied: the lock's rows and the columns; computed columns also at the version of their table."""
    computed = set(physical) - set(reader.sources.own[source])
    version = reader.sources.tables[source].version if computed else None
    return digest_of([reader.digest, source, list(physical), version])[:32]


def rows_of(layout: Layout, parts: Sequence[int]) -> RowSet:
    """All rows that any of the parts has."""
    builder = RowSetBuilder()
    for number in parts:
        rows = layout.parts[number].rows
        for begin in range(0, rows.rows, 1 << 20):
            builder.add(rows.select(np.arange(begin, min(begin + (1 << 20), rows.rows))))
    return builder.build()


def _make(reader: MixReader, source: int, columns: list[str], path: Path) -> None:
    """Write the file under its name in one step."""
    rows = rows_of(reader.layout, np.flatnonzero(reader.sources.of_part == source).tolist())
    draft = path.parent / f".{path.stem}.{os.getpid()}"
    try:
        rowset.save(rows, path.parent)
        with open(draft, "wb") as file:
            _write(file, reader, source, columns, rows)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError as error:
        raise StrataError(
            f"no local copy of {reader.ref} in {path.parent}: {error.strerror}; free space, or name another folder"
        ) from None
    finally:
        draft.unlink(missing_ok=True)


def _write(file: Any, reader: MixReader, source: int, columns: list[str], rows: RowSet) -> None:
    table, name = reader.sources.tables[source], reader.sources.names[source]
    kinds = {column: plain_type(table.schema.field(column).type) for column in columns}
    schema = pa.schema(list(kinds.items()), metadata={ROWS: orjson.dumps(rows.to_json())})
    with pa.ipc.new_file(file, schema) as writer:
        at, count = 0, FIRST
        while at < rows.rows:
            ids = rows.select(np.arange(at, min(at + count, rows.rows)))
            found = take_rows(table, ids, columns, name)
            arrays = [_whole_array(found.column(column).cast(kinds[column])) for column in columns]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
            at += len(ids)
            count = max(1, min(4 * count, LARGEST, int(BLOCK_BYTES / max(1.0, found.nbytes / len(ids)))))


def _whole_array(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)


def _narrowed(sources: Sources, files: Sequence[Path], columns: Sequence[str]) -> Sources:
    """The same datasets, of these columns, with the files in place of their tables."""
    kept = set(columns)
    return replace(
        sources,
        tables=[MappedRows(path) for path in files],
        fields=[{name: held for name, held in fields.items() if name in kept} for fields in sources.fields],
        own=[[name for name in own if name in kept] for own in sources.own],
    )


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process at a time makes a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path.with_suffix(".lock"), "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(held, fcntl.LOCK_UN)


def _whole(settings: Settings, ref: str, digest: str) -> MixReader:
    from catalog.pull import reader

    return reader._reopen(settings, ref, digest)


def _reopen(settings: Settings, ref: str, digest: str, files: list[Path], columns: list[str]) -> LocalReader:
    """The same files in another process."""
    return LocalReader(_whole(settings, ref, digest), files, columns)
