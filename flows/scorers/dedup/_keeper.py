"""Which row of a group stays: an explicit policy, a list of criteria, the first that differs decides.

    licence  the licence that stands earlier in `licences`; then any stated licence; then none
    source   the source that stands earlier in `sources`; then the others
    oldest   the earliest `created`; rows without a date last      newest: the other way round
    longest  the most characters

Ties go to the row that comes first in scan order, so a group always has exactly one keeper.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

Criterion = Literal["licence", "source", "oldest", "newest", "longest"]
READS = ("text", "source", "licence", "created")


class KeeperParams(BaseModel):
    model_config = ConfigDict(extra="forbid")

    keeper: list[Criterion] = Field(
        [], description="what decides which row of a group stays, first to last; then scan order"
    )
    licences: list[str] = Field([], description="licences in order of preference, for keeper licence")
    sources: list[str] = Field([], description="sources in order of preference, for keeper source")


class Keeper:
    """Collects what the policy asks for, batch by batch."""

    def __init__(self, params: Any) -> None:
        self.params = params
        self.keys: dict[str, list[np.ndarray]] = {name: [] for name in params.keeper}
        self.dates: list[pa.Array] = []

    def add(self, batch: pa.RecordBatch) -> None:
        for name in self.params.keeper:
            if name in ("oldest", "newest"):
                continue
            self.keys[name].append(self._key(name, batch))
        if {"oldest", "newest"} & set(self.params.keeper):
            self.dates.append(batch["created"].cast(pa.string()))

    def _key(self, name: str, batch: pa.RecordBatch) -> np.ndarray:
        if name == "longest":
            return -pc.fill_null(pc.utf8_length(batch["text"]), 0).to_numpy(zero_copy_only=False).astype(np.int64)
        column = batch["licence" if name == "licence" else "source"].cast(pa.string())
        listed = self.params.licences if name == "licence" else self.params.sources
        place = pc.index_in(column, value_set=pa.array(listed, pa.string()))
        rank = pc.if_else(pc.is_valid(column), len(listed), len(listed) + 1)
        return pc.coalesce(place, rank.cast(pa.int32())).to_numpy(zero_copy_only=False).astype(np.int64)

    def rank(self, rows: int, ties: np.ndarray | None = None) -> np.ndarray:
        """Place of every row under the policy, 0 best; no two are equal. ties: what decides before scan order."""
        keys = [np.arange(rows)] + ([] if ties is None else [ties])
        for name in reversed(self.params.keeper):
            if name in ("oldest", "newest"):
                keys.append(self._dates(name))
            else:
                keys.append(np.concatenate(self.keys[name]) if self.keys[name] else np.empty(0, np.int64))
        rank = np.empty(rows, np.int64)
        rank[np.lexsort(keys)] = np.arange(rows)
        return rank

    def _dates(self, name: str) -> np.ndarray:
        dates = pa.chunked_array(self.dates, pa.string()).combine_chunks()
        coded = dates.dictionary_encode()
        order = pc.sort_indices(coded.dictionary).to_numpy()
        place = np.empty(order.size + 1, np.int64)
        place[order] = np.arange(order.size) if name == "oldest" else np.arange(order.size)[::-1]
        place[-1] = order.size
        return place[pc.fill_null(coded.indices, order.size).to_numpy()]


def best_of(labels: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Whether a row has the best rank of its group."""
    best = np.full(labels.max(initial=-1) + 1, np.iinfo(np.int64).max)
    np.minimum.at(best, labels, rank)
    return best[labels] == rank
