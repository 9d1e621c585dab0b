"""Prepare regular JSON lines by threads: blocks in the fast lane, what is irregular in them in the careful one.

Both give a record the same columns, so that the lane never shows. A block that does not fit is cut into eighths, and
those again, until only pieces of some hundred lines are taken carefully. Where that happens all the time the fast lane
is given up.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Any

from catalog.ingest.prepare import Careful, Job, Laps, Prepared, first_ids
from catalog.ingest.readers.jsonl import Block, blocks, read_block
from catalog.ingest.regular import Lines, Regular, columns_of, find_regular, lines_of, parse
from catalog.ingest.streams import BrokenFile

PIECES = 8
FEW = 600  # lines below which a piece is not cut again
PATIENCE = 12  # blocks in a row of which most pieces were irregular


def regular_shape(job: Job) -> Regular | None:
    """The shape of a file for the fast lane, by its first records; None when it is not for it."""
    if job.source.reader != "jsonl":
        return None
    try:
        first = next(islice(blocks(job.source, job.place), 1), None)
    except BrokenFile:
        return None
    if first is None or first.size > job.source.options.max_record_bytes:
        return None
    return find_regular(lines_of(first.whole(), first.offset, 1), job.mapping)


def prepare_regular(job: Job, shape: Regular, threads: int) -> Iterator[Prepared]:
    """The same chunks as `prepare`, cut differently."""
    lane, stop = _Lane(job, shape), threading.Event()
    pending: queue.Queue[Future[list[Prepared]] | BaseException | None] = queue.Queue(threads + 1)
    with ThreadPoolExecutor(threads + 1, thread_name_prefix="strata-parse") as pool:
        pool.submit(_feed, job, lane, pool, pending, stop)
        try:
            while (item := pending.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield from item.result()
        finally:
            stop.set()
            while not pending.empty():
                pending.get_nowait()


def _feed(job: Job, lane: _Lane, pool: ThreadPoolExecutor, pending: queue.Queue, stop: threading.Event) -> None:
    """Read blocks and hand them to the other threads; ends with None, or with the error that ended the file."""
    line = job.place["line"] if job.place else 1

    def put(item: Any) -> None:
        while not stop.is_set():
            with suppress(queue.Full):
                pending.put(item, timeout=0.1)
                return

    try:
        for block in blocks(job.source, job.place):
            if stop.is_set():
                return
            if block.size > lane.limit or lane.tired >= PATIENCE:
                put(pool.submit(lane.carefully, block, line))
                line += block.data.count(b"\n", 0, block.cut)
            else:
                lines = lines_of(block.whole(), block.offset, line)
                put(pool.submit(lane.take, lines))
                line += len(lines.ends)
        put(None)
    except BaseException as error:
        put(error)


class _Lane:
    """What the threads share; `tired` counts irregular blocks in a row."""

    def __init__(self, job: Job, shape: Regular) -> None:
        self.job, self.shape, self.careful = job, shape, Careful(job)
        self.limit, self.tired = job.source.options.max_record_bytes, 0
        self.ids = partial(first_ids, job.name, job.source.label)

    def take(self, lines: Lines) -> list[Prepared]:
        """A block: as a whole if it is regular, else piece by piece."""
        if (whole := self._fast(lines)) is not None:
            self.tired = 0
            return [whole]
        out, irregular = [], 0
        parts = lines.pieces(PIECES) if len(lines.ends) > FEW else [lines]
        for part in parts:
            found = self._pieces(part)
            irregular += sum(careful for _, careful in found)
            out += [chunk for chunk, _ in found]
        self.tired = self.tired + 1 if 2 * irregular > len(lines.ends) else 0
        return out

    def _pieces(self, lines: Lines) -> list[tuple[Prepared, int]]:
        """Chunks with the number of lines that were taken carefully."""
        if (whole := self._fast(lines)) is not None:
            return [(whole, 0)]
        if len(lines.ends) > FEW:
            return [found for part in lines.pieces(PIECES) for found in self._pieces(part)]
        return [(chunk, len(lines.ends)) for chunk in self.carefully(_as_block(lines), lines.line)]

    def carefully(self, block: Block, line: int) -> list[Prepared]:
        return list(self.careful.prepared(read_block(block, line, self.limit)))

    def _fast(self, lines: Lines) -> Prepared | None:
        laps = Laps()
        table = parse(lines, self.shape, self.limit)
        laps.lap("read and parse")
        if table is None:
            return None
        made = columns_of(table, lines, self.shape, self.job.defaults, self.careful.schema, self.ids)
        laps.lap("map and hash content")
        if made is None:
            return None
        size = len(lines.data)
        following = {"offset": lines.offset + size, "line": lines.line + len(lines.ends)}
        return Prepared(*made, [], following, size, laps.taken())


def _as_block(lines: Lines) -> Block:
    return Block(lines.offset, b"", 0, lines.data, len(lines.data))
