"""Files of a Lance table, written but not yet published.

Nothing here touches metadata. A fragment or column file that no published Lance version names is invisible, and
`strata gc` removes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc

from catalog.errors import Corrupt, StrataError
from catalog.schema import CHARS, stored
from catalog.store.native import lance_part

if TYPE_CHECKING:
    import lance
    from lance.fragment import FragmentMetadata

FORMAT = "2.2"
"""Lance file format of new tables; column files must be written in the format of their table."""

IO_BUFFER = 64 << 20
"""Bytes that a scan may read ahead of a slow scorer. Lance's default is 2 GB: memory would grow with the table."""

PLAIN = ("sample_id", "content_id", "text", "url", "meta")
"""Columns stored uncompressed. Lance's string compression costs 7-12 us a row and column on one thread (4-10 times the
parse) to save a quarter of the disk. Measured by benchmarks/ingest.py."""


@dataclass(frozen=True)
class ColumnFile:
    """A file of computed columns for one fragment: row-aligned, not yet attached.

    lance_version: the table version whose fragment was read, so that its row ids can be found after a compaction.
    """

    fragment: int
    lance_version: int
    path: str
    columns: tuple[str, ...]
    rows: int
    size: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> ColumnFile:
        return cls(**{**body, "columns": tuple(body["columns"])})


def open_table(
    uri: str, version: int | None, storage: dict[str, str] | None = None, *, near: int | None = None
) -> lance.LanceDataset:
    """Open exactly the named Lance version; `Corrupt` when it is not there.

    near: rows at most so many bytes apart are read at once (Lance's own bounds: 4 KB on disk, 64 KB on object stores).
    """
    import lance

    try:
        return lance.dataset(uri, version=version, storage_options=storage or None, block_size=near)
    except (ValueError, OSError) as error:
        reason = str(error).splitlines()[0][:200]
        raise Corrupt(f"table {uri} version {version} cannot be opened: {reason}; run `strata doctor`") from None


def create_table(uri: str, schema: pa.Schema, storage: dict[str, str] | None = None) -> int:
    """Create an empty table with stable row ids; returns its Lance version."""
    import lance

    plain = {"lance-encoding:compression": "none"}
    schema = pa.schema([field.with_metadata(plain) if field.name in PLAIN else field for field in stored(schema)])
    table = lance.write_dataset(
        schema.empty_table(),
        uri,
        schema=schema,
        enable_stable_row_ids=True,
        data_storage_version=FORMAT,
        storage_options=storage or None,
    )
    return table.version


def write_fragment(
    uri: str, storage: dict[str, str] | None, schema: pa.Schema, batches: Iterable[pa.RecordBatch]
) -> dict[str, Any]:
    """Stream batches into one unpublished fragment; returns its Lance metadata as JSON.

    `chars` is filled from `text` when the batches lack it. An iterator without rows gives {} and writes nothing.
    """
    source = _with_chars(iter(batches))
    first = next((batch for batch in source if batch.num_rows), None)
    if first is None:
        return {}
    full = stored(schema if CHARS.name in schema.names else schema.append(CHARS))

    def stream() -> Iterator[pa.RecordBatch]:
        yield _coded(first, full)
        for batch in source:
            yield _coded(batch, full)

    with disk_errors(uri):
        written = lance_part("fragment").write_fragments(
            pa.RecordBatchReader.from_batches(full, stream()),
            uri,
            schema=full,
            max_rows_per_file=(1 << 32) - 1,  # Lance reads 32 bits of it; more would make a fragment of every batch
            max_bytes_per_file=1 << 50,
            enable_stable_row_ids=True,
            data_storage_version=FORMAT,
            storage_options=storage or None,
        )
    if len(written) != 1:
        raise StrataError(f"expected one fragment in {uri}, Lance wrote {len(written)}")
    return written[0].to_json()


def _coded(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The columns of the schema, strings as dictionaries where the store keeps them so."""
    arrays = []
    for field in schema:
        array = batch.column(field.name)
        coded = pa.types.is_dictionary(field.type) and not pa.types.is_dictionary(array.type)
        arrays.append(array.dictionary_encode() if coded else array)
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _with_chars(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        if CHARS.name not in batch.schema.names:
            batch = batch.append_column(CHARS, pc.utf8_length(batch.column("text")))
        yield batch


def write_column_file(
    uri: str,
    storage: dict[str, str] | None,
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    *,
    fragment: int,
    lance_version: int,
) -> ColumnFile:
    """Stream computed columns for one fragment into an unattached file in the table's data folder."""
    name = f"{uuid4().hex}.lance"
    rows = 0
    with disk_errors(uri):
        writer = lance_part("file").LanceFileWriter(
            f"{uri}/data/{name}", schema, version=FORMAT, storage_options=storage or None
        )
        for batch in batches:
            writer.write_batch(batch)
            rows += batch.num_rows
        writer.close()
    return ColumnFile(fragment, lance_version, name, tuple(schema.names), rows, file_size(uri, name, storage))


def read_column_file(uri: str, storage: dict[str, str] | None, path: str) -> pa.Table:
    """Read an unattached column file back."""
    try:
        return (
            lance_part("file")
            .LanceFileReader(f"{uri}/data/{path}", storage_options=storage or None)
            .read_all()
            .to_table()
        )
    except (ValueError, OSError) as error:
        reason = str(error).splitlines()[0][:200]
        raise Corrupt(f"column file {path} of {uri} cannot be read: {reason}; run the score again") from None


def file_size(uri: str, name: str, storage: dict[str, str] | None) -> int:
    """Bytes of a data file; 0 on object stores, where Lance finds the size itself."""
    if "://" in uri:
        return 0
    import os

    return os.path.getsize(f"{uri}/data/{name}")


def field_ids(table: lance.LanceDataset) -> dict[str, tuple[int, ...]]:
    """Ids of the stored fields of each column: one, but for structs and lists, which are stored by their leaves."""
    return {field.name(): tuple(_leaves(field)) for field in table.lance_schema.fields()}


def _leaves(field: Any) -> Iterator[int]:
    children = field.children()
    if not children:
        yield field.id()
    for child in children:
        yield from _leaves(child)


def with_column_file(meta: FragmentMetadata, file: ColumnFile, ids: dict[str, tuple[int, ...]]) -> FragmentMetadata:
    """The newest metadata of a fragment with a column file attached; fields it replaces leave their old file."""
    if file.rows != meta.physical_rows:
        raise Corrupt(f"column file {file.path} has {file.rows} rows, fragment {meta.id} has {meta.physical_rows}")
    fields = [field for name in file.columns for field in ids[name]]
    files = []
    for held in meta.files:
        kept = [-2 if field in fields else field for field in held.fields]
        if any(field >= 0 for field in kept):
            files.append(
                lance_part("fragment").DataFile(
                    path=held.path,
                    fields=kept,
                    column_indices=list(held.column_indices),
                    file_major_version=held.file_major_version,
                    file_minor_version=held.file_minor_version,
                    file_size_bytes=held.file_size_bytes,
                )
            )
    major, minor = (int(part) for part in FORMAT.split("."))
    files.append(
        lance_part("fragment").DataFile(
            path=file.path,
            fields=fields,
            column_indices=list(range(len(fields))),
            file_major_version=major,
            file_minor_version=minor,
            file_size_bytes=file.size or None,
        )
    )
    return replace(meta, files=files)


class disk_errors:
    """Turn a full or read-only disk into one line; what is published is untouched by it."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        text = str(error)
        for sign, reason in (
            ("No space left", "the disk is full"),
            ("Disk quota exceeded", "the disk quota is used up"),
            ("File too large", "a file may not grow so large here (ulimit -f)"),
            ("Read-only file system", "the disk is read-only"),
            ("Permission denied", "permission denied"),
        ):
            if error is not None and sign in text:
                raise StrataError(
                    f"cannot write to {self.uri}: {reason}; nothing was published, free it and repeat"
                ) from None
