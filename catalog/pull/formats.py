"""Exporters: how the rows of a mix become a file. One decorated function each; ours and third parties' alike.

    @exporter("tsv")
    def write(file, schema, batches):
        '''Tab-separated text.'''
        for batch in batches: file.write(...)

It writes one shard to an open binary file. Folders, shards, names, digests, the manifest and resuming are not its affair.
A format with an index over its shards declares `finish(folder, manifest)`, which writes it and returns the names of its
files. One that lays out the folder itself declares `whole=True` and is called as write(job): see `catalog.pull.export.Job`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import pyarrow as pa

from catalog.errors import BadInput
from catalog.plugins import REGISTRY, load_plugins, register

Write = Callable[[BinaryIO, pa.Schema, Iterator[pa.RecordBatch]], None]
Declared = TypeVar("Declared", bound=Callable[..., Any])
Finish = Callable[[Path, dict[str, Any]], list[str]]


@dataclass(frozen=True)
class Exporter:
    """A file format. suffix: of the shards, without its dot. options: names of what may be given to it."""

    name: str
    write: Callable[..., Any]
    suffix: str
    doc: str
    module: str
    finish: Finish | None = None
    whole: bool = False
    options: tuple[str, ...] = ()


def exporter(
    name: str,
    *,
    suffix: str | None = None,
    finish: Finish | None = None,
    whole: bool = False,
    options: Sequence[str] = (),
) -> Callable[[Declared], Declared]:
    """Declare an exporter: write(file, schema, batches). `suffix` is its name if not given."""

    def decorate(write: Declared) -> Declared:
        doc, end = inspect.cleandoc(write.__doc__ or ""), (suffix or name).lstrip(".")
        register("exporter", name, Exporter(name, write, end, doc, write.__module__, finish, whole, tuple(options)))
        return write

    return decorate


def exporters() -> dict[str, Exporter]:
    """Every exporter by name: ours, and those of plug-in packages."""
    load_plugins()
    return _here()


def get_exporter(name: str) -> Exporter:
    """The exporter of that name; plug-in packages are looked through only when it is none of ours."""
    known = _here()
    if name not in known:
        known = exporters()
    if name not in known:
        raise BadInput(f"export format {name!r} is not one of {', '.join(known)}")
    return known[name]


def _here() -> dict[str, Exporter]:
    import importlib
    import pkgutil

    import catalog.pull.exporters as ours

    for info in pkgutil.iter_modules(ours.__path__, ours.__name__ + "."):
        importlib.import_module(info.name)
    return dict(sorted(REGISTRY.get("exporter", {}).items()))
