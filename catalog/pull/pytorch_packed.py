"""Packed sequences for torch: a loader whose state is the place of what the trainer consumed.

    loader = packed.torch(batch_size=8, rank=rank, world=world, workers=2)
    for batch in loader:                 # input_ids, labels, position_ids, document_ids, cu_seqlens, max_seqlen ...
        loss = model(input_ids=batch["input_ids"], position_ids=batch["position_ids"], labels=batch["labels"],
                     use_cache=False).loss
        checkpoint["data"] = loader.state_dict()

No token may attend to another document: flash attention takes cu_seqlens and max_seqlen (rows laid end to end);
transformers' models recognise packing by position_ids where no attention_mask is given and use_cache=False;
`attention_mask(batch["document_ids"])` serves every other one.
Workers take windows in turn, so the sequence does not depend on their number. Ranks must step together.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from catalog.pull import live
from catalog.pull.pack import LAST, PackedReader, Window
from catalog.pull.packed import SOURCES, Packed, Place


def attention_mask(document_ids: torch.Tensor) -> torch.Tensor:
    """(rows, 1, length, length), True where a token may look: earlier, and in its own document. Padding sees itself."""
    same = document_ids[:, :, None] == document_ids[:, None, :]
    length = document_ids.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool, device=document_ids.device).tril()
    padding = document_ids == 0
    own = torch.eye(length, dtype=torch.bool, device=document_ids.device)
    seen = (same & causal & ~padding[:, None, :]) | own
    return seen[:, None]


def to_torch(packed: Packed) -> dict[str, Any]:
    """Tensors of a batch; `sources` names for every document its row, place, global index, part and epoch."""
    lengths = packed.cu_seqlens[1:] - packed.cu_seqlens[:-1]
    weighed = {} if packed.weights is None else {"sample_weight": torch.from_numpy(packed.weights)}
    return {
        "_sequence": torch.from_numpy(packed.sequences),
        "input_ids": torch.from_numpy(packed.input_ids),
        "labels": torch.from_numpy(packed.labels),
        **weighed,
        "position_ids": torch.from_numpy(packed.positions),
        "document_ids": torch.from_numpy(packed.documents),
        "cu_seqlens": torch.from_numpy(packed.cu_seqlens),
        "max_seqlen": int(lengths.max()) if len(lengths) else 0,
        "sources": {name: torch.from_numpy(packed.sources[:, at].copy()) for at, name in enumerate(SOURCES)},
    }


class PackedWindows(IterableDataset):
    """The windows of one worker, in turn; `PackedLoader` cuts them into batches."""

    def __init__(self, packed: PackedReader, rank: int, world: int) -> None:
        self.packed, self.rank, self.world = packed, rank, world
        self.place = Place(0, 0, 0)

    def __iter__(self) -> Iterator[Window]:
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        first, packed = self.place.sequence - self.place.offset, self.packed
        for number in range(self.place.window, packed.windows):
            mine = (number - self.place.window) % workers == worker
            if not packed.lengths:
                if mine:
                    yield packed.open_window(number)
                continue
            if mine:
                window = packed.open_window(number, range((self.rank - first) % self.world, LAST, self.world))
                first += len(window.plan)
                yield window
            else:
                first += packed.plan_window(number)


class PackedLoader:
    """Iterate over the batches of one rank; iterating again goes on where the last iteration was left."""

    def __init__(
        self,
        packed: PackedReader,
        batch_size: int,
        rank: int = 0,
        world: int = 1,
        workers: int = 0,
        *,
        drop_last: bool = False,
        prefetch: int = 2,
    ) -> None:
        self.packed, self.batch_size, self.rank, self.world = packed, batch_size, rank, world
        self.workers, self.drop_last, self.prefetch = workers, drop_last, prefetch
        self.place = Place(0, 0, 0)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        packed, place, reader = self.packed, self.place, self.packed.reader
        begin, _ = packed.bounds.bounds(place.window)
        recorded = live.begin(reader, "torch", begin, len(reader), self.rank, self.world)
        windows = self._numbered(place) if self.workers else packed.stream(place, rank=self.rank, world=self.world)
        for batch, after in packed.cut(windows, self.batch_size, self.rank, self.world, place, self.drop_last):
            if recorded:
                recorded = recorded.join(live.WAIT)
            self.place = after
            if len(batch.sequences):
                yield to_torch(batch)

    def _numbered(self, place: Place) -> Iterator[tuple[int, Window]]:
        dataset = PackedWindows(self.packed, self.rank, self.world)
        dataset.place, first = place, place.sequence - place.offset
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__, "pyarrow.dataset"])
        for window in DataLoader(
            dataset,
            batch_size=None,
            collate_fn=_as_it_is,
            num_workers=self.workers,
            prefetch_factor=self.prefetch,
            multiprocessing_context=context,
        ):
            yield first, window
            first += len(window.plan)

    def state_dict(self) -> dict[str, Any]:
        return self.packed.state(self.place)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.place = self.packed.place_of(state)


def _as_it_is(window: Window) -> Window:
    return window
