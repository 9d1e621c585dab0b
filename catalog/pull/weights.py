"""Weights of samples, delivered with them: `sample_weight` in every batch, for a loss that counts some samples more.

    sample_weight: weight_best            # in the spec of a mix, or of a part; pinned by the lock
    cat.mix("m").torch(64, weights="weight_best")      # any column of numbers, for this reader alone

A weight scales the loss of a sample; how often it is served is what `weight` and `copies` of a part are for. Rows of a part
that names no column weigh 1. A row without a finite number is refused, never given one in silence: by publishing, or where
a reader names the column, when the row comes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from catalog.errors import BadInput, Corrupt, NotFound
from catalog.schema import plain_type

if TYPE_CHECKING:
    from collections.abc import Sequence

    from catalog.pull.sources import Sources

NAME = "sample_weight"
FIELD = pa.field(NAME, pa.float32())


@dataclass(frozen=True)
class Weights:
    """of_part[p]: the physical column that weighs the rows of part p, None where they weigh 1; named: as people call it."""

    of_part: tuple[str | None, ...]
    named: tuple[str | None, ...]

    def fields(self) -> list[pa.Field]:
        """What is read beside the columns that were asked for."""
        return [pa.field(f"{NAME}|{column}", pa.float64()) for column in self._distinct()]

    def columns(self, sources: Sources) -> list[dict[str, str]]:
        """Per dataset: output name -> physical column."""
        out: list[dict[str, str]] = [{} for _ in sources.names]
        for part, column in enumerate(self.of_part):
            if column is not None:
                out[int(sources.of_part[part])][f"{NAME}|{column}"] = column
        return [held or {"": "added"} for held in out]  # Lance takes at least one column

    def _distinct(self) -> list[str]:
        return list(dict.fromkeys(column for column in self.of_part if column is not None))

    def of(self, rows: pa.Table, part: np.ndarray, indices: np.ndarray) -> np.ndarray:
        """The weight of each row, from the columns of `fields`."""
        out = np.ones(len(part), np.float32)
        for number in np.unique(part):
            column = self.of_part[number]
            if column is None:
                continue
            mine = part == number
            held = rows.column(f"{NAME}|{column}").filter(pa.array(mine))
            out[mine] = held.to_numpy()
            if not np.isfinite(out[mine]).all():
                at = int(indices[mine][~np.isfinite(out[mine])][0])
                raise BadInput(
                    f"index {at} has no weight in {self.named[number]} (null, not a number, or too large); leave such rows "
                    "out by the part's `where`, or weigh by another column"
                )
        return out


def open_weights(ref: str, lock: dict[str, Any], sources: Sources, column: str | None) -> Weights | None:
    """The weights that a reader names, else those of its lock; None where there are none."""
    parts = lock["parts"]
    if column is not None:
        return Weights(tuple(_column(sources, int(sources.of_part[part]), column) for part in range(len(parts))),
                       (column,) * len(parts))  # fmt: skip
    held = [part.get(NAME) for part in parts]
    if not any(held):
        return None
    for part, entry in enumerate(held):
        source = int(sources.of_part[part])
        if entry and entry["physical"] not in sources.tables[source].schema.names:
            raise Corrupt(
                f"mix {ref} weighs samples by {entry['column']} of {sources.names[source]} (fingerprint "
                f"{str(entry['fingerprint'])[:12]}), which the store does not hold any more; publish the mix again"
            )
    return Weights(
        tuple(entry and entry["physical"] for entry in held), tuple(entry and entry["column"] for entry in held)
    )


def _column(sources: Sources, source: int, name: str) -> str:
    fields = sources.fields[source]
    if name not in fields:
        raise NotFound(
            f"column of {sources.names[source]}", name, sorted(fields), "samples are weighed by it; score it"
        )
    physical, kind = fields[name]
    check_numbers(name, kind)
    return physical


def check_numbers(name: str, kind: pa.DataType) -> None:
    kind = plain_type(kind)
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise BadInput(f"samples are weighed by numbers, and {name} holds {kind}; name a column of numbers")


def check_free(columns: Sequence[str]) -> None:
    if NAME in columns:
        raise BadInput(f"a column asked for is called {NAME}, as the weight of a sample is; ask for one of the two")
