"""Segments of the standing index: sorted arrays on disk, one folder each, written once and opened by memory map.

A segment holds the live rows that a range of versions of one dataset added: their row ids, sources, content words in
order, and for each band its keys in order. Per row and 14 bands that is 8 + 4 + 16 + 4 + 14 * (8 + 4) = 200 bytes. A
folder appears whole or not at all; one that is gone (another machine, a lost disk) is built again from the table.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson

from catalog.errors import Corrupt

ARRAYS = ("rows", "source", "content", "content_row", "keys", "keys_row")


@dataclass
class Segment:
    """rows: stable row ids. source: index into `sources`. content, keys: sorted; content_row, keys_row: whose they are.

    content is (2, rows), its halves; keys and keys_row are (bands, entries); a row without words has no entry.
    """

    rows: np.ndarray
    source: np.ndarray
    sources: list[str]
    content: np.ndarray
    content_row: np.ndarray
    keys: np.ndarray
    keys_row: np.ndarray

    @property
    def bytes(self) -> int:
        return sum(getattr(self, name).nbytes for name in ARRAYS)


def build(
    rows: np.ndarray, source: np.ndarray, sources: list[str], content: np.ndarray, keys: np.ndarray, held: np.ndarray
) -> Segment:
    """A segment from rows in table order: row ids, source codes, content words (n, 2), keys (n, bands), who has keys."""
    order = np.lexsort((content[:, 1], content[:, 0]))
    owners = np.flatnonzero(held).astype(np.uint32)
    by_band = np.ascontiguousarray(keys[held].T)
    places = np.argsort(by_band, axis=1, kind="stable")
    return Segment(
        rows.astype(np.uint64),
        source.astype(np.uint32),
        sources,
        np.ascontiguousarray(content[order].T),
        order.astype(np.uint32),
        np.take_along_axis(by_band, places, axis=1),
        owners[places],
    )


def unsorted(segment: Segment) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Content words, keys and who has keys, in the order of `rows` again."""
    count = segment.rows.size
    content = np.empty((count, 2), np.uint64)
    content[segment.content_row] = segment.content.T
    keys, held = np.zeros((count, segment.keys.shape[0]), np.uint64), np.zeros(count, bool)
    for band in range(segment.keys.shape[0]):
        keys[segment.keys_row[band], band] = segment.keys[band]
        held[segment.keys_row[band]] = True
    return content, keys, held


def merged(parts: list[Segment], live: np.ndarray | None = None) -> Segment:
    """One segment of several, without rows that are not among the `live` row ids."""
    names = sorted({name for part in parts for name in part.sources})
    place = {name: at for at, name in enumerate(names)}
    rows = np.concatenate([part.rows for part in parts])
    codes = [np.array([place[n] for n in part.sources] or [0], np.uint32)[part.source] for part in parts]
    loose = [unsorted(part) for part in parts]
    content, keys, held = (np.concatenate(column) for column in zip(*loose, strict=True))
    source = np.concatenate(codes)
    order = np.argsort(rows, kind="stable")
    order = order[np.isin(rows[order], live)] if live is not None else order
    return build(rows[order], source[order], names, content[order], keys[order], held[order])


def save(segment: Segment, folder: Path) -> None:
    draft = folder.with_name(f".{folder.name}.{os.getpid()}")
    draft.mkdir(parents=True, exist_ok=True)
    for name in ARRAYS:
        np.save(draft / f"{name}.npy", getattr(segment, name))
    (draft / "sources.json").write_bytes(orjson.dumps(segment.sources))
    try:
        os.rename(draft, folder)
    except OSError:  # another process has built the same segment
        shutil.rmtree(draft)
        if not folder.exists():
            raise


def load(folder: Path) -> Segment | None:
    """A segment by memory map; None where the folder is gone, `Corrupt` where its arrays cannot belong together."""
    if not (folder / "sources.json").exists():
        return None
    try:
        held = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS}
        segment = Segment(sources=orjson.loads((folder / "sources.json").read_bytes()), **held)
    except (OSError, ValueError, EOFError) as error:
        raise Corrupt(_broken(folder, str(error).splitlines()[0])) from None
    rows = segment.rows.size
    fit = segment.source.size == segment.content_row.size == rows and segment.content.shape == (2, rows)
    if not fit or segment.keys.shape != segment.keys_row.shape or segment.keys.ndim != 2:
        raise Corrupt(_broken(folder, "its arrays differ in length"))
    return segment


def _broken(folder: Path, why: str) -> str:
    return f"standing index segment {folder.name[:8]} cannot be read: {why[:120]}; `strata gc` removes it"


def hits(table: np.ndarray, asked: np.ndarray, most: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """(query, place in the table) pairs of equal keys; of a key that stands more than `most` times, the first `most`.

    The queries are looked up in order, so that a large table is read forwards.
    """
    if not table.size or not asked.size:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    order = np.argsort(asked, kind="stable")
    low = np.searchsorted(table, asked[order])
    found = np.flatnonzero(table[np.minimum(low, table.size - 1)] == asked[order])
    low = low[found]
    width = np.minimum(np.searchsorted(table, asked[order[found]], side="right") - low, most)
    at = np.repeat(low - np.cumsum(width) + width, width) + np.arange(width.sum())
    return np.repeat(order[found], width), at
