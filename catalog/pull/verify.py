"""Does the store still hold what a lock says? A few rows at every open; probes, or every row, when asked."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np

from catalog.errors import Corrupt
from catalog.pull import stored
from catalog.pull.fetch import content_ids
from catalog.pull.layout import order_digest
from catalog.pull.rowset import RowSetBuilder

if TYPE_CHECKING:
    from catalog.pull.reader import MixReader

BLOCK = 16_384


def check_witnesses(reader: MixReader) -> None:
    """A few rows must still have the content that the lock saw."""
    expected = dict(reader.lock["witnesses"])
    rows = reader.take(sorted(expected), ["content_id"])
    for index, content in zip(rows.column("_index").to_pylist(), rows.column("content_id").to_pylist(), strict=True):
        if content != expected[index]:
            part = reader.lock["parts"][int(reader.locate([index])[0][0])]
            raise Corrupt(
                f"mix {reader.ref} does not match the store: index {index} of {part['dataset']}@v{part['version']} "
                f"holds content {content}, the lock names {expected[index]}; run `strata doctor`"
            )


def verify(reader: MixReader, *, full: bool = False) -> str:
    """Recompute the order digest of the lock over its probes.

    With `full`, also run every part's filter again, compare row sets and stored orders, and return a digest of the content ids of the
    whole stream: two machines that print the same digest train on the same sequence.
    """
    for number, part in enumerate(reader.lock["parts"]):
        _check_columns(reader, number, part)
    tables = [reader.sources.tables[source] for source in reader.sources.of_part]
    indices = reader.layout.probes(reader.lock["probes"])
    located = reader.layout.locate(indices)
    found = order_digest(reader.layout, indices, located, content_ids(tables, located))
    if found != reader.lock["order_digest"]:
        raise Corrupt(f"mix {reader.ref}: the order digest differs from its lock; run `strata doctor`")
    if not full:
        return found
    for number, part in enumerate(reader.lock["parts"]):
        _check_rows(reader, number, part)
    for body in reader.lock.get("orders", ()):
        stored.check(body, reader.settings.locks)
    seen = sha256()
    for begin in range(0, len(reader), BLOCK):
        block = reader.layout.locate(np.arange(begin, min(begin + BLOCK, len(reader))))
        seen.update("\n".join(content_ids(tables, block)).encode() + b"\n")
    return seen.hexdigest()


def _check_columns(reader: MixReader, number: int, part: dict[str, Any]) -> None:
    """The columns that the part was chosen or ordered by must still be there; their names end in their fingerprint."""
    held = reader.sources.tables[reader.sources.of_part[number]].schema.names
    for column, fingerprint in part["fingerprints"].items():
        named = re.findall(rf"\w+__{fingerprint[:8]}", part["filter"])
        there = any(name.endswith(f"__{fingerprint[:8]}") and "__state__" not in name for name in held)
        if not there or not set(named) <= set(held):
            raise Corrupt(
                f"mix {reader.ref} does not match the store: part {number + 1} ({part['dataset']}@v{part['version']}) was "
                f"made by column {column} with fingerprint {fingerprint[:16]}, which is not there; run `strata doctor`"
            )


def _check_rows(reader: MixReader, number: int, part: dict[str, Any]) -> None:
    """The filter must select the locked rows, but for those retracted since."""
    source, locked = int(reader.sources.of_part[number]), reader.layout.parts[number].rows
    builder, gone = RowSetBuilder(), reader.sources.retracted[source]
    try:
        scanner = reader.sources.tables[source].scanner(columns=[], filter=part["filter"], with_row_id=True)
        for batch in scanner.to_batches():
            builder.add(batch.column("_rowid").to_numpy())
    except (ValueError, OSError) as error:
        reason = str(error).splitlines()[0][:200]
        raise Corrupt(f"mix {reader.ref}: the filter of part {number + 1} cannot be run again: {reason}") from None
    builder.add(gone[locked.contains(gone)])
    if builder.build().to_json() != part["rows"]:
        raise Corrupt(
            f"mix {reader.ref}: part {number + 1} ({part['dataset']}@v{part['version']}) now selects other rows than "
            f"its lock{_by(part)}; run `strata doctor`"
        )


def _by(part: dict[str, Any]) -> str:
    return f" (chosen by column {', '.join(part['fingerprints'])})" if part["fingerprints"] else ""
