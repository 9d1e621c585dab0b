"""Read a published mix. What an index serves depends on the lock alone; a reader only decides which indices and when.

    reader = open_mix(cat, "sft@v1")
    for batch in reader.batches(batch_rows=256, columns=["text"]): ...
    reader.torch(batch_size=256, rank=0, world=8)

Step s of a reader that starts at index i covers the global indices from i + s * batch_rows * world; rank r takes those
with index % world == r. So every rank gets batch_rows indices a step, and the indices of a step do not depend on how
many ranks or workers read it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from catalog.errors import BadInput, Corrupt
from catalog.mixes.lock import find_mix, load_lock
from catalog.pull import live
from catalog.pull.fetch import take_block
from catalog.pull.layout import Layout
from catalog.pull.sources import Sources, open_sources
from catalog.pull.weights import FIELD, Weights, check_free, open_weights
from catalog.settings import Settings

if TYPE_CHECKING:
    from catalog.catalog import Catalog

FIRST_BLOCK = 64
LARGEST_BLOCK = 32_768
BLOCK_BYTES = 64 << 20
PLACE = [pa.field("_index", pa.int64()), pa.field("_part", pa.int32()), pa.field("_epoch", pa.int32())]


class MixReader:
    """A mix opened at one state of its tables; rows retracted before that are left out and shift nothing.

    ref: "name@v1". lock: the document. retracted: indices left out so far because their row was retracted.
    """

    def __init__(self, settings: Settings, ref: str, lock: dict[str, Any], layout: Layout, sources: Sources) -> None:
        self.settings = settings
        self.ref = ref
        self.lock = lock
        self.layout = layout
        self.sources = sources
        self.retracted = 0
        self.process = os.getpid()
        self.streams: set[tuple[object, ...]] = set()  # what `catalog.pull.live` has recorded
        self._weights: dict[str | None, Weights | None] = {}

    @property
    def digest(self) -> str:
        return self.lock["digest"]

    def __len__(self) -> int:
        return len(self.layout)

    def __repr__(self) -> str:
        return f"<mix {self.ref}: {len(self):,} samples, lock {self.digest[:12]}>"

    def __reduce__(self):
        return _reopen, (self.settings, self.ref, self.digest)

    def locate(self, indices: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Part number and stable row id of each global index."""
        found = self.layout.locate(np.asarray(indices, np.int64))
        return found.part, found.row

    def schema(self, columns: Sequence[str] | None = None, weights: str | None = None) -> pa.Schema:
        """Fields of the batches: _index, _part, _epoch and the columns (default: ids, text and the kinds' own).

        weights: a column that weighs the samples, instead of the lock's; then, or where the lock names one, there is
        a field sample_weight before the columns.
        """
        held = self.sources.schema(columns)
        if not self.weighed(weights):
            return pa.schema([*PLACE, *held])
        check_free(held.names)
        return pa.schema([*PLACE, FIELD, *held])

    def weighed(self, column: str | None = None) -> Weights | None:
        """How samples are weighed: by a column, else as the lock says."""
        if column not in self._weights:
            self._weights[column] = open_weights(self.ref, self.lock, self.sources, column)
        return self._weights[column]

    def take(
        self, indices: Sequence[int] | np.ndarray, columns: Sequence[str] | None = None, weights: str | None = None
    ) -> pa.RecordBatch:
        """The rows of any indices, in the order given, without the retracted."""
        schema, held = self.schema(columns, weights), self.weighed(weights)
        return _one_batch(self._fetch(np.asarray(indices, np.int64), schema, held)[0])

    def _fetch(
        self, indices: np.ndarray, schema: pa.Schema, weights: Weights | None
    ) -> tuple[pa.Table, np.ndarray, int]:
        """Rows of the indices that are live, those indices, and how many were not."""
        if os.getpid() != self.process:  # Lance may hang in a forked process; a line is better
            raise BadInput(
                f"mix {self.ref} was opened before this process was forked; start workers with "
                "multiprocessing_context='forkserver' (the loader of reader.torch() does)"
            )
        found = self.layout.locate(indices)
        source = self.sources.of_part[found.part]
        live = self.sources.live(source, found.row)
        gone = len(indices) - int(live.sum())
        if gone:
            indices, source, row = indices[live], source[live], found.row[live]
            part, epoch = found.part[live], found.epoch[live]
        else:
            row, part, epoch = found.row, found.part, found.epoch
        own = list(schema)[len(PLACE) + bool(weights) :]
        names = self.sources.columns([field.name for field in own])
        if weights:
            names = [{**held, **more} for held, more in zip(names, weights.columns(self.sources), strict=True)]
        read = pa.schema([*own, *(weights.fields() if weights else ())])
        rows = take_block(self.sources.tables, self.sources.names, source, row, names, read)
        place = [pa.array(indices), pa.array(part.astype(np.int32)), pa.array(epoch.astype(np.int32))]
        if weights:
            place.append(pa.array(weights.of(rows, part, indices)))
        return pa.Table.from_arrays([*place, *rows.columns[: len(own)]], schema=schema), indices, gone

    def batches(
        self,
        start: int = 0,
        stop: int | None = None,
        *,
        rank: int = 0,
        world: int = 1,
        batch_rows: int = 256,
        columns: Sequence[str] | None = None,
        stripe: tuple[int, int] = (0, 1),
        face: str | None = "arrow",
        weights: str | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """One batch a step, for the indices of `rank` in [start, stop); see the module docstring.

        stripe (w, n): only steps w, w + n, w + 2n ... (what worker w of n reads). A retracted row makes its batch
        shorter, even empty; no step is skipped. While a batch is used, the next block is read in the background.
        weights: a column that weighs the samples, delivered as sample_weight (see catalog.pull.weights).
        face: how the stream is recorded (see catalog.pull.live); None: whoever asks has recorded it, or is an export.
        """
        steps = Steps(len(self), start, stop, rank, world, batch_rows)
        schema, held = self.schema(columns, weights), self.weighed(weights)
        return self._stream(steps, range(stripe[0], len(steps), stripe[1]), schema, held, face)

    def _stream(
        self, steps: Steps, wanted: range, schema: pa.Schema, weights: Weights | None, face: str | None
    ) -> Iterator[pa.RecordBatch]:
        def read(numbers: range) -> tuple[list[pa.RecordBatch], int]:
            per_step = [steps.indices(number) for number in numbers]
            table, kept, gone = self._fetch(np.concatenate(per_step), schema, weights)
            ends = np.cumsum([np.isin(part, kept).sum() if gone else len(part) for part in per_step])
            cuts = zip([0, *ends[:-1]], ends, strict=True)
            return [_one_batch(table.slice(begin, end - begin)) for begin, end in cuts], gone

        recorded = live.begin(self, face, steps.start, steps.stop, steps.rank, steps.world) if face else None
        at, rows = 0, FIRST_BLOCK
        take = max(1, rows // steps.batch_rows)
        with ThreadPoolExecutor(1, thread_name_prefix="strata-pull") as pool:
            waiting = pool.submit(read, wanted[at : at + take]) if wanted else None
            while waiting is not None:
                at += take
                block, gone = waiting.result()
                self.retracted += gone
                rows = _next_rows(rows, block)
                take = max(1, rows // steps.batch_rows)
                waiting = pool.submit(read, wanted[at : at + take]) if at < len(wanted) else None
                if recorded:
                    recorded = recorded.join(live.WAIT)
                yield from block

    def verify(self, *, full: bool = False) -> str:
        """Compare the store with the lock, with `full` row by row; see catalog.pull.verify."""
        from catalog.pull.verify import verify

        return verify(self, full=full)

    def torch(self, batch_size: int, *, rank: int = 0, world: int = 1, workers: int = 0, **options: Any) -> Any:
        """A resumable torch loader; see catalog.pull.pytorch.StrataLoader."""
        return import_module("catalog.pull.pytorch").StrataLoader(self, batch_size, rank, world, workers, **options)

    def pack(self, tokenizer: Any, length: int, **options: Any) -> Any:
        """Tokenised sequences of one length; see catalog.pull.pack.pack."""
        return import_module("catalog.pull.pack").pack(self, tokenizer, length, **options)

    def local(self, columns: Sequence[str] | None = None, **options: Any) -> Any:
        """The same mix read from a copy of these columns on this machine's disk; see catalog.pull.local.local."""
        return import_module("catalog.pull.local").local(self, columns, **options)

    def to_hf(self, **options: Any) -> Any:
        """A Hugging Face dataset; see catalog.pull.hf.to_hf."""
        return import_module("catalog.pull.hf").to_hf(self, **options)

    def export(self, folder: str | Path, format: str = "parquet", **options: Any) -> dict[str, Any]:
        """Write files; see catalog.pull.export.export."""
        return import_module("catalog.pull.export").export(self, folder, format, **options)


class Steps:
    """The indices of every step of one rank."""

    def __init__(self, total: int, start: int, stop: int | None, rank: int, world: int, batch_rows: int) -> None:
        if world < 1 or not 0 <= rank < world:
            raise BadInput(f"rank {rank} of {world}: ranks count from 0 to world - 1")
        if batch_rows < 1:
            raise BadInput(f"a batch of {batch_rows} rows is empty; give at least 1")
        if not 0 <= start <= total:
            raise BadInput(f"start {start} is outside the mix, which has {total} items")
        if stop is not None and stop < start:
            raise BadInput(f"stop {stop} is before start {start}")
        self.start, self.stop = start, total if stop is None else min(stop, total)
        self.rank, self.world, self.batch_rows = rank, world, batch_rows

    @property
    def span(self) -> int:
        """Global indices a step."""
        return self.batch_rows * self.world

    def __len__(self) -> int:
        return (self.stop - self.start + self.span - 1) // self.span

    def indices(self, step: int) -> np.ndarray:
        begin = self.start + step * self.span
        first = begin + (self.rank - begin) % self.world
        return np.arange(first, min(begin + self.span, self.stop), self.world, dtype=np.int64)


def _next_rows(rows: int, block: list[pa.RecordBatch]) -> int:
    """Grow blocks while they stay within the byte budget: the first batch is quick, a long tail stays bounded."""
    size = sum(batch.nbytes for batch in block)
    held = max(1, sum(batch.num_rows for batch in block))
    fitting = int(BLOCK_BYTES / max(1.0, size / held))
    return max(1, min(4 * rows, fitting, LARGEST_BLOCK))


def _one_batch(table: pa.Table) -> pa.RecordBatch:
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)


def open_mix(cat: Catalog, ref: str, *, verify: bool = True) -> MixReader:
    """Open a published mix; `Corrupt` names what no longer agrees between lock and store."""
    mix = find_mix(cat, ref)
    name = f"{mix.name}@v{mix.version}"
    lock = load_lock(cat, name)
    layout = Layout.from_lock(lock, cat.settings.locks, verify=verify)
    sources = open_sources(cat, lock, name)
    reader = MixReader(cat.settings, name, lock, layout, sources)
    if verify:
        from catalog.pull.verify import check_witnesses

        check_witnesses(reader)
    return reader


def _reopen(settings: Settings, ref: str, digest: str) -> MixReader:
    """A reader in another process: the same lock, verified by the process that sent it."""
    from catalog.catalog import Catalog

    reader = open_mix(Catalog(settings), ref, verify=False)
    if reader.digest != digest:
        raise Corrupt(f"mix {ref} has another lock here ({reader.digest[:12]}, sent {digest[:12]})")
    return reader
