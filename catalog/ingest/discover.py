"""Which inputs a list of paths, globs, folders, URIs and hub ids means, and which reader reads each."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from typing import Any

from catalog.errors import BadInput, NotFound
from catalog.ingest.readers.folder import is_text
from catalog.ingest.readers.hub import HUB, is_saved
from catalog.ingest.readers.json_array import is_lines
from catalog.ingest.records import ReadOptions, Source, all_readers, get_reader, label_of, readers
from catalog.ingest.streams import BrokenFile, Stream, filesystem, is_remote, local_path

SNIFFED = 4096
PACKED = (".gz", ".gzip", ".zst", ".zstd", ".bz2")


def discover(
    paths: Iterable[str | os.PathLike[str]],
    *,
    format: str | None = None,
    storage: dict[str, str] | None = None,
    **options: Any,
) -> list[Source]:
    """Inputs in a fixed order, each file once. A folder stands for the data files below it, else for its text files."""
    if format is not None:
        get_reader(format)
    reading = ReadOptions(**{**options, "columns": tuple(options.get("columns") or ())})
    found: dict[str, Source] = {}
    for path in (os.fspath(given) for given in paths):
        for source in _expand(path, format, reading, storage or {}):
            found.setdefault(source.uri, source)
    if not found:
        raise BadInput("nothing to ingest: give a file, a folder, a glob or hf://owner/name")
    return list(found.values())


def _expand(path: str, format: str | None, options: ReadOptions, storage: dict[str, str]) -> list[Source]:
    if path.startswith("hf://"):
        if not HUB.fullmatch(path):
            raise BadInput(f"{path!r} is no hub id; write hf://owner/name, hf://owner/name:config or ...@revision")
        return [Source(path, path, "hub", options, storage)]
    if is_remote(path):
        return _remote(path, format, options, storage)
    path = local_path(path)
    if os.path.isdir(path):
        return _folder(os.path.abspath(path), format, options)
    if os.path.isfile(path):
        path = os.path.abspath(path)
        return [_file(path, label_of(path, None), format, options)]
    if glob.has_magic(path):
        root = os.path.abspath(_fixed_part(path))
        files = sorted(name for name in glob.glob(path, recursive=True) if os.path.isfile(name))
        if not files:
            raise NotFound("file that matches", path)
        return [_file(os.path.abspath(name), label_of(os.path.abspath(name), root), format, options) for name in files]
    folder = os.path.dirname(path) or "."
    near = os.listdir(folder) if os.path.isdir(folder) else []
    hint = f"for a dataset on the Hugging Face hub write hf://{path}" if path.count("/") == 1 else ""
    raise NotFound("file or folder", path, [os.path.join(os.path.dirname(path), name) for name in near], hint)


def _fixed_part(pattern: str) -> str:
    """The folders of a glob in front of its first wildcard."""
    parts = pattern.split(os.sep)
    first = next(at for at, part in enumerate(parts) if glob.has_magic(part))
    return os.sep.join(parts[:first]) or (os.sep if pattern.startswith(os.sep) else ".")


def _folder(folder: str, format: str | None, options: ReadOptions) -> list[Source]:
    if format in (None, "hub") and is_saved(folder):
        return [Source(folder, label_of(folder, None), "hub", options)]
    if format == "folder":
        return [Source(folder, label_of(folder, None), "folder", options)]
    data, text = [], False
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and not name.endswith(".lance"))
        for name in sorted(names):
            if _by_suffix(name) not in (None, "folder") or (format and not name.startswith(".")):
                data.append(os.path.join(root, name))
            text = text or is_text(name)
    if data:
        return [_file(path, label_of(path, folder), format, options) for path in data]
    if text:
        return [Source(folder, label_of(folder, None), "folder", options)]
    raise BadInput(f"{folder} holds no data or text file; known are {', '.join(known_suffixes())}")


def _file(path: str, label: str, format: str | None, options: ReadOptions, storage: Any = None) -> Source:
    reader = format or _by_suffix(path) or _by_content(path, storage)
    if reader is None:
        raise BadInput(
            f"{path}: cannot tell its format by its name; say --format, one of {', '.join(sorted(all_readers()))}"
        )
    source = Source(path, label, reader, options, storage or {})
    if reader == "json" and format is None and is_lines(source):
        return Source(path, label, "jsonl", options, storage or {})
    return source


def _by_suffix(path: str) -> str | None:
    name = os.path.basename(path).lower()
    for suffix in PACKED:
        name = name.removesuffix(suffix)
    suffix = os.path.splitext(name)[1]
    for known in (readers, all_readers):
        if found := next((reader.name for reader in known().values() if suffix and suffix in reader.suffixes), None):
            return found
    return None


def _by_content(uri: str, storage: dict[str, str] | None) -> str | None:
    """The first reader that knows the beginning of a file."""
    asked = [reader for reader in all_readers().values() if reader.sniff is not None]
    if not asked:
        return None
    try:
        with Stream(uri, storage) as stream:
            head = stream.read(SNIFFED)
    except BrokenFile:
        return None
    return next((reader.name for reader in asked if reader.sniff and reader.sniff(head)), None)


def known_suffixes() -> list[str]:
    return sorted(suffix for reader in all_readers().values() if reader.name != "folder" for suffix in reader.suffixes)


def _remote(uri: str, format: str | None, options: ReadOptions, storage: dict[str, str]) -> list[Source]:
    from pyarrow import fs

    system, path = filesystem(uri, storage)
    info = system.get_file_info(path)
    if info.type == fs.FileType.File:
        return [_file(uri, label_of(path, None), format, options, storage)]
    if info.type == fs.FileType.NotFound:
        raise NotFound("file or folder", uri)
    prefix = uri.rstrip("/")
    files = sorted(
        item.path
        for item in system.get_file_info(fs.FileSelector(path, recursive=True))
        if item.type == fs.FileType.File
    )
    known = [item for item in files if format or _by_suffix(item) not in (None, "folder")]
    return [
        _file(f"{prefix}/{item[len(path.rstrip('/')) + 1 :]}", label_of(item, path), format, options, storage)
        for item in known
    ]
