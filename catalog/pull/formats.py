"""Exporters: how the rows of a mix become a file. One decorated function each; ours and third parties' alike.

    @exporter("tsv")
    def write(file, schema, batches):
        '''Tab-separated text.'''
        for batch in batches: file.write(...)

It writes one shard to an open binary file. Folders, shards, names, digests, the manifest and resuming are not its affair.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa

from catalog.errors import BadInput
from catalog.plugins import REGISTRY, load_plugins, register

Write = Callable[[BinaryIO, pa.Schema, Iterator[pa.RecordBatch]], None]


@dataclass(frozen=True)
class Exporter:
    """A file format. suffix: of the shards, without its dot."""

    name: str
    write: Write
    suffix: str
    doc: str
    module: str


def exporter(name: str, *, suffix: str | None = None) -> Callable[[Write], Write]:
    """Declare an exporter: write(file, schema, batches). `suffix` is its name if not given."""

    def decorate(write: Write) -> Write:
        doc = inspect.cleandoc(write.__doc__ or "")
        register("exporter", name, Exporter(name, write, (suffix or name).lstrip("."), doc, write.__module__))
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
