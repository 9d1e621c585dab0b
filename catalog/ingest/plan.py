"""What to do with each input: read it, go on where it ended, or leave it alone; and by which mapping."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from collections.abc import Mapping as Given
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlmodel import select
from xxhash import xxh3_128, xxh3_128_hexdigest

from catalog.digests import sorted_json
from catalog.errors import BadInput
from catalog.ingest.dialect import get_dialect, success
from catalog.ingest.infer import ENOUGH, infer_rows, peek
from catalog.ingest.mapping import Mapping, hoisted
from catalog.ingest.readers.folder import files_of
from catalog.ingest.records import Source, get_reader
from catalog.ingest.streams import BrokenFile, Fingerprint, codec_of, fingerprint, is_remote, local_path
from catalog.ingest.worker import LARGE
from catalog.meta.models import Dataset, SourceFile

if TYPE_CHECKING:
    from catalog.catalog import Catalog


@dataclass(frozen=True)
class Input:
    """One source with what is known of it.

    status: "new", "changed" (read again; rows that are there are skipped), "appended" (go on at `start`) or
    "unchanged". previous: what was recorded of the same file. reading: digest of mapping and reading options.
    stamp: equal for equal bytes, as far as that can be told before reading them; `finger` may be computed meanwhile.
    """

    source: Source
    mapping: Mapping
    size: int
    stamp: str
    finger: Callable[[], Fingerprint]
    status: str
    reading: str
    start: dict[str, Any] | None = None
    previous: SourceFile | None = None


def plan_inputs(
    cat: Catalog,
    dataset: Dataset | None,
    sources: Sequence[Source],
    *,
    name: str,
    kind: str | None,
    given: Given[str, str],
    key: str | None,
) -> list[Input]:
    """Fingerprint every source, find its mapping, and compare with what was ingested before. All are of one kind."""
    mappings = _mappings(sources, kind, dataset, given, key)
    held = _held(cat, dataset) if dataset else []
    return [_input(cat, dataset, source, mappings[source.uri], held, name) for source in sources]


def _mappings(
    sources: Sequence[Source], kind: str | None, dataset: Dataset | None, given: Given[str, str], key: str | None
) -> dict[str, Mapping]:
    """A mapping each; one that was found for an earlier source is used as long as it fits."""
    found: dict[str, Mapping] = {}
    latest: Mapping | None = None
    unread: list[tuple[Source, str]] = []
    holder = (dataset.kind, dataset.name) if dataset else None  # what all must agree with, and whose kind that is
    for source in sources:
        try:
            rows = peek(source)
            problem = "it has no record that can be read"
        except BrokenFile as error:
            rows, problem = [], error.message
        if not rows:
            unread.append((source, problem))
            continue
        if latest is None or latest.reader != source.reader or not _fits(latest, rows):
            latest = _one_mapping(source, rows, kind, holder, given, key)
            holder = holder or (latest.kind, source.uri)
        found[source.uri] = latest
    for source, problem in unread:
        if latest is None:
            hint = "" if source.uri in problem else f"{source.uri}: "
            raise BadInput(f"{hint}{problem}; is it empty, or of another format than {source.reader} (--format)?")
        found[source.uri] = replace(latest, reader=source.reader)
    return found


def _one_mapping(
    source: Source, rows: Sequence[dict[str, Any]], kind: str | None, holder: tuple[str, str] | None,
    given: Given[str, str], key: str | None,
) -> Mapping:  # fmt: skip
    """The mapping of a source, of the kind that was said, else of the kind the others have if it fits."""
    key = key or (get_reader(source.reader).key if "key" not in given else None)
    try:
        mapping = infer_rows(rows, kind=kind, given=given, key=key)
        if holder and mapping.kind != holder[0]:
            try:
                mapping = infer_rows(rows, kind=holder[0], given=given, key=key, guess=False)
            except BadInput:
                raise BadInput(
                    f"it looks like {mapping.kind}, and {holder[1]} is {holder[0]}; ingest it under another name, or say "
                    f"--kind {holder[0]}"
                ) from None
    except BadInput as error:
        raise BadInput(f"{source.uri}: {error.message}") from None
    return replace(mapping, reader=source.reader)


def _fits(mapping: Mapping, rows: Sequence[dict[str, Any]]) -> bool:
    item, known = get_dialect(mapping.dialect), set(mapping.columns)
    rows = hoisted(rows, mapping.fields.values())
    same_fields = sum(bool(known & set(row)) for row in rows) * 2 >= len(rows)
    return same_fields and success(item, rows, mapping.fields) >= ENOUGH


def _held(cat: Catalog, dataset: Dataset) -> list[SourceFile]:
    with cat.session() as session:
        return list(session.exec(select(SourceFile).where(SourceFile.dataset_id == dataset.id)))


def _input(
    cat: Catalog, dataset: Dataset | None, source: Source, mapping: Mapping, held: Sequence[SourceFile], name: str
) -> Input:
    options = source.options
    reading = xxh3_128_hexdigest(
        sorted_json(
            [mapping.digest(), name, options.header, options.columns, options.delimiter, options.max_record_bytes]
        )
    )
    previous = next((file for file in held if file.uri == source.uri), None)
    if previous is None and (late := _fingerprint_meanwhile(source, held)):
        return Input(source, mapping, *late, "new", reading)
    finger = fingerprint_source(source, previous)
    status = "changed" if previous else "new"
    new = Input(source, mapping, finger.size, finger.digest, lambda: finger, status, reading, previous=previous)
    if source.uri.startswith("hf://"):  # what is behind an id may change; rows that are there are skipped
        return new
    same = previous if previous and previous.digest == finger.digest else _moved(finger, held)
    if same and same.mapping == reading and _all_there(cat, dataset, same):
        return replace(new, status="unchanged", previous=same)
    if (
        previous
        and previous.mapping == reading
        and _grown(source, finger, previous)
        and _all_there(cat, dataset, previous)
    ):
        start = {"offset": previous.size, "line": finger.prefix_lines + 1}
        return replace(new, status="appended", start=start)
    return new


def _fingerprint_meanwhile(
    source: Source, held: Sequence[SourceFile]
) -> tuple[int, str, Callable[[], Fingerprint]] | None:
    """Size, stamp and late fingerprint of a large local file that cannot be one of those ingested before."""
    if is_remote(source.uri) or get_reader(source.reader).folder:
        return None
    before = os.stat(local_path(source.uri))
    if before.st_size < LARGE or any(file.size == before.st_size for file in held):
        return None
    pool = ThreadPoolExecutor(1, thread_name_prefix="strata-fingerprint")
    future = pool.submit(fingerprint_source, source)
    pool.shutdown(wait=False)

    def finger() -> Fingerprint:
        found, after = future.result(), os.stat(local_path(source.uri))
        if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise BadInput(f"{source.uri} was changed while it was read; repeat the command when it is whole")
        return found

    return before.st_size, f"{before.st_size}:{before.st_mtime_ns}", finger


def _moved(finger: Fingerprint, held: Sequence[SourceFile]) -> SourceFile | None:
    """A file with the same bytes that is not there any more: it was moved, not copied."""
    for file in held:
        if file.digest == finger.digest and not is_remote(file.uri) and not os.path.exists(local_path(file.uri)):
            return file
    return None


def _grown(source: Source, finger: Fingerprint, previous: SourceFile) -> bool:
    """Whether the file begins with all it held before, and that ended with a whole line."""
    return (
        get_reader(source.reader).growable
        and finger.size > previous.size
        and finger.prefix_digest == previous.digest
        and finger.prefix_ends_line
        and codec_of(source.uri, source.storage) is None
    )


def _all_there(cat: Catalog, dataset: Dataset | None, file: SourceFile) -> bool:
    """Whether the file's rows are still live (or were retracted): a rollback may have taken them out."""
    if dataset is None or not dataset.removed:
        return True
    quoted = file.uri.replace("'", "''")
    rows = cat.lance(dataset.name).count_rows(f"file = '{quoted}' AND (removed IS NULL OR removed = 0)")
    return rows >= file.rows


def fingerprint_source(source: Source, previous: SourceFile | None = None) -> Fingerprint:
    """Of a file, or of a folder as the files in it."""
    if source.uri.startswith("hf://"):
        return Fingerprint(0, "hub:" + source.uri)
    if not get_reader(source.reader).folder:
        size = previous.size if previous and get_reader(source.reader).growable else 0
        return fingerprint(source.uri, source.storage, size)
    state, size, top = xxh3_128(), 0, local_path(source.uri)
    names = files_of(top) if source.reader == "folder" else _everything(top)
    for path in names:
        part = fingerprint(path)
        size += part.size
        state.update(f"{os.path.relpath(path, top)}\0{part.digest}\0".encode())
    return Fingerprint(size, "xxh3:" + state.hexdigest())


def _everything(top: str) -> list[str]:
    return sorted(os.path.join(root, name) for root, _, names in os.walk(top) for name in names)
