"""A folder of text, Markdown or source code: one row a file, the path below the folder as its key."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from catalog.ingest.records import NOT_UTF8, OVERSIZE, Chunk, Reject, Source, excerpt, reader
from catalog.ingest.streams import local_path

LANGUAGES = {
    ".txt": "", ".text": "", ".md": "Markdown", ".markdown": "Markdown", ".rst": "reStructuredText", ".tex": "TeX",
    ".adoc": "AsciiDoc", ".org": "Org", ".srt": "SubRip",
    ".py": "Python", ".js": "JavaScript", ".jsx": "JavaScript", ".ts": "TypeScript", ".tsx": "TypeScript",
    ".java": "Java", ".c": "C", ".h": "C", ".cc": "C++", ".cpp": "C++", ".cxx": "C++", ".hpp": "C++", ".hh": "C++",
    ".cs": "C#", ".go": "Go", ".rs": "Rust", ".rb": "Ruby", ".php": "PHP", ".swift": "Swift", ".kt": "Kotlin",
    ".scala": "Scala", ".hs": "Haskell", ".ml": "OCaml", ".erl": "Erlang", ".ex": "Elixir", ".clj": "Clojure",
    ".lua": "Lua", ".pl": "Perl", ".r": "R", ".jl": "Julia", ".sh": "Shell", ".bash": "Shell", ".ps1": "PowerShell",
    ".sql": "SQL", ".html": "HTML", ".htm": "HTML", ".css": "CSS", ".scss": "SCSS", ".xml": "XML", ".yaml": "YAML",
    ".yml": "YAML", ".toml": "TOML", ".ini": "INI", ".cfg": "INI", ".f90": "Fortran", ".dart": "Dart", ".zig": "Zig",
    ".v": "Verilog", ".sv": "SystemVerilog", ".vhd": "VHDL", ".lean": "Lean", ".proto": "Protocol Buffers",
}  # fmt: skip
CHUNK_FILES = 512


def is_text(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in LANGUAGES and not name.startswith(".")


def files_of(folder: str) -> Iterator[str]:
    """Paths of the text files below a folder (or the file itself), sorted, hidden ones left out."""
    if os.path.isfile(folder):
        yield folder
        return
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (os.path.join(root, name) for name in sorted(names) if is_text(name))


@reader("folder", suffixes=tuple(LANGUAGES), key="path", folder=True)
def read(source: Source, at: dict[str, Any] | None) -> Iterator[Chunk]:
    """Chunks of files; `at` is {"line"}: the number of the next file."""
    top = local_path(source.uri)
    rows: list[dict[str, Any]] = []
    lines, files, rejects, size = [], [], [], 0
    number = 0
    for number, path in enumerate(files_of(top), 1):
        if at and number < at["line"]:
            continue
        found = _read_file(path, top, number, source.options.max_record_bytes)
        if isinstance(found, Reject):
            rejects.append(found)
        else:
            rows.append(found)
            lines.append(number)
            files.append(path)
        size += os.path.getsize(path)
        if size >= source.options.block_bytes or len(rows) + len(rejects) >= CHUNK_FILES:
            yield _chunk(rows, lines, files, rejects, number + 1, size)
            rows, lines, files, rejects, size = [], [], [], [], 0
    if rows or rejects:
        yield _chunk(rows, lines, files, rejects, number + 1, size)


def _chunk(rows: list, lines: list, files: list, rejects: list, following: int, size: int) -> Chunk:
    return Chunk(rows, lines, [0] * len(rows), {"line": following}, size, rejects, files)


def _read_file(path: str, top: str, number: int, limit: int) -> dict[str, Any] | Reject:
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        data = file.read(limit + 1 if size > limit else -1)
    if size > limit:
        return Reject(number, 0, OVERSIZE, f"{size} bytes, the limit is {limit}", excerpt(data[:1000]), path)
    try:
        text = data.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError as error:
        detail = f"byte 0x{data[error.start]:02x} at position {error.start}"
        return Reject(number, 0, NOT_UTF8, detail, excerpt(data[:1000]), path)
    label = os.path.relpath(path, top if os.path.isdir(top) else os.path.dirname(top) or ".").replace(os.sep, "/")
    language = LANGUAGES.get(os.path.splitext(path)[1].lower())
    return {"text": text, "path": label, **({"language": language} if language else {})}
