"""Torch views of a mix: an IterableDataset, and a loader whose state is what the trainer consumed.

    loader = cat.mix("sft@v1").torch(batch_size=64, rank=rank, world=world, workers=2)
    for batch in loader:                 # {"_index": tensor, "text": [..], ...}
        ...
        checkpoint["data"] = loader.state_dict()     # {"lock": ..., "next": global index}

The state is one global index: it resumes with any number of ranks and workers. Ranks must step together, as they do
under data parallelism; then every rank's state is the same. The last step may be short, and empty on some ranks: say
drop_last=True to leave it out. Worker w of n reads batches w, w + n, ..., and a DataLoader takes from its workers in
turn, so the sequence does not depend on n. Lance does not survive a fork; workers are started by "forkserver".
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from catalog.errors import BadInput
from catalog.pull import live
from catalog.pull.reader import MixReader, Steps

LEAN = ("sample_id", "text", "messages", "chosen", "rejected", "answer", "choices", "tools")
"""Fields a trainer is given by default, where the mix has them."""


def to_torch(batch: pa.RecordBatch) -> dict[str, Any]:
    """Numbers become tensors (a null float is NaN), everything else Python lists, as do integers with nulls."""
    out = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        whole = pa.types.is_integer(column.type) and not column.null_count
        if whole or pa.types.is_floating(column.type):
            out[name] = torch.from_numpy(column.to_numpy(zero_copy_only=False).copy())
        else:
            out[name] = column.to_pylist()
    return out


def _compact(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A copy that holds its own rows only: pickling a slice would send the whole block it was cut from."""
    return pa.ipc.read_record_batch(batch.serialize(), batch.schema)


def lean_columns(reader: MixReader) -> list[str]:
    """The default columns of this mix."""
    held = {name for own in reader.sources.own for name in own}
    return [name for name in LEAN if name in held]


class StrataIterable(IterableDataset):
    """The batches of one rank, for a DataLoader with batch_size=None; give it the reader and the batch size.

    state_dict() counts what this copy handed out, which with workers runs ahead of the trainer. It is right without
    workers and for torchdata's StatefulDataLoader with an unchanged number of workers; use StrataLoader otherwise.
    """

    def __init__(
        self,
        reader: MixReader,
        batch_size: int,
        rank: int = 0,
        world: int = 1,
        *,
        columns: Sequence[str] | None = None,
        start: int = 0,
        drop_last: bool = False,
        format: str = "torch",
        weights: str | None = None,
    ) -> None:
        if format not in ("torch", "arrow"):
            raise BadInput(f"format is torch or arrow, not {format!r}")
        self.reader, self.batch_size, self.rank, self.world = reader, batch_size, rank, world
        self.columns = list(columns) if columns is not None else lean_columns(reader)
        self.start, self.drop_last, self.format = start, drop_last, format
        self.own_next: int | None = None  # where this worker goes on, when its own state was loaded
        self.recorded = True  # as a live pull; StrataLoader does it itself, in the trainer's process
        self.weights = weights
        reader.schema(self.columns, weights)
        self.steps()

    def steps(self, start: int | None = None) -> Steps:
        """The steps from an index on."""
        begin = self.start if start is None else start
        steps = Steps(len(self.reader), begin, None, self.rank, self.world, self.batch_size)
        if self.drop_last:
            steps.stop = steps.start + (steps.stop - steps.start) // steps.span * steps.span
        return steps

    def __iter__(self) -> Iterator[Any]:
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        steps = self.steps()
        begin = self.start + worker * steps.span if self.own_next is None else self.own_next
        self.own_next = begin
        first = (begin - self.start) // steps.span
        batches = self.reader.batches(
            self.start,
            steps.stop,
            rank=self.rank,
            world=self.world,
            batch_rows=self.batch_size,
            columns=self.columns,
            weights=self.weights,
            stripe=(first, workers),
            face="torch" if self.recorded and worker == 0 else None,
        )
        for batch in batches:
            self.own_next += workers * steps.span
            yield to_torch(batch) if self.format == "torch" else (_compact(batch) if info else batch)
        self.own_next = None

    def state_dict(self) -> dict[str, Any]:
        return state_of(self.reader, self.start if self.own_next is None else self.own_next)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        following = next_of(self.reader, state)
        if get_worker_info() is None:
            self.start, self.own_next = following, None
        else:
            self.own_next = following


def state_of(reader: MixReader, following: int) -> dict[str, Any]:
    return {"lock": reader.digest, "next": min(following, len(reader))}


def next_of(reader: MixReader, state: dict[str, Any]) -> int:
    """The global index a state names; `BadInput` when it is the state of another mix, and not of one revised here."""
    if not isinstance(state, dict) or set(state) != {"lock", "next"} or not isinstance(state["next"], int):
        raise BadInput("this is not the state of a Strata loader: expected {'lock': digest, 'next': index}")
    if state["lock"] != reader.digest:
        _check_revision(reader, state)
    if not 0 <= state["next"] <= len(reader):
        raise BadInput(f"the state names index {state['next']}, {reader.ref} has {len(reader)} samples")
    return state["next"]


def _check_revision(reader: MixReader, state: dict[str, Any]) -> None:
    """A state of the mix that this one revises goes on here, up to the index from which on they differ."""
    parent = next((held for held in reader.lock.get("revises", ()) if held["digest"] == state["lock"]), None)
    if parent is None:
        raise BadInput(
            f"the state belongs to lock {str(state['lock'])[:12]}, {reader.ref} has lock {reader.digest[:12]}; "
            "open the mix the run was started with"
        )
    if state["next"] > parent["at"]:
        raise BadInput(
            f"the state of {parent['ref']} stands at index {state['next']}, and {reader.ref} changed what comes after "
            f"index {parent['at']}; revise at {state['next']} or later, or load a state from before"
        )


class StrataLoader:
    """Iterate over the batches of one rank; the state moves when a batch reaches the trainer, not when it is read.

    Iterating again goes on where the last iteration was left, so `break` and resume lose nothing; a finished mix yields
    nothing more. Batches that retraction emptied are passed over.
    """

    def __init__(
        self,
        reader: MixReader,
        batch_size: int,
        rank: int = 0,
        world: int = 1,
        workers: int = 0,
        *,
        columns: Sequence[str] | None = None,
        drop_last: bool = False,
        format: str = "torch",
        prefetch: int = 2,
        weights: str | None = None,
    ) -> None:
        self.dataset = StrataIterable(
            reader, batch_size, rank, world, columns=columns, drop_last=drop_last, format=format, weights=weights
        )
        self.dataset.recorded = False
        self.dataset.format = "arrow"  # made into tensors here: a tensor from a worker costs a file descriptor
        self.reader, self.workers, self.prefetch, self.format = reader, workers, prefetch, format
        self.position = 0

    def __len__(self) -> int:
        """Steps that are left, short last one included unless dropped."""
        return len(self.dataset.steps(self.position))

    def __iter__(self) -> Iterator[Any]:
        self.dataset.start, self.dataset.own_next = self.position, None
        span, end = self.dataset.steps().span, self.dataset.steps().stop
        recorded = live.begin(self.reader, "torch", self.position, end, self.dataset.rank, self.dataset.world)
        source = self._loader() if self.workers else iter(self.dataset)
        for batch in source:
            if recorded:
                recorded = recorded.join(live.WAIT)
            self.position = min(self.position + span, end)
            if batch.num_rows:
                yield to_torch(batch) if self.format == "torch" else batch

    def _loader(self) -> DataLoader:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__, "pyarrow.dataset"])  # imported once, not once a worker
        return DataLoader(
            self.dataset,
            batch_size=None,
            num_workers=self.workers,
            prefetch_factor=self.prefetch,
            multiprocessing_context=context,
        )

    def state_dict(self) -> dict[str, Any]:
        return state_of(self.reader, self.position)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.position = next_of(self.reader, state)
