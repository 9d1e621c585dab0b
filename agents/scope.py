"""Which rows a question about training data is about: datasets, what a mix serves, or what a run of it was served.

Of a mix only rows that its order reaches count, of a run those in its ledger: a row of a part that no epoch came to was
not trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from catalog.access import check
from catalog.errors import BadInput

if TYPE_CHECKING:
    from catalog.catalog import Catalog

Served = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Place:
    """Rows of one dataset version. served: row ids -> which of them count; None: all."""

    ref: str
    where: str | None = None
    served: Served | None = None


def places_of(
    cat: Catalog, datasets: Sequence[str] = (), mix: str | None = None, run: str | None = None
) -> tuple[list[Place], str]:
    """The places, and what they are in words. Without datasets and mix: every dataset that is no eval."""
    if mix is not None and datasets:
        raise BadInput("name datasets or a mix to look in, not both")
    if run is not None and mix is None:
        raise BadInput(f"run {run} is of a mix: name it too (--mix NAME)")
    if mix is not None:
        return _mix(cat, mix, run)
    if datasets:
        return [Place(cat.resolve(ref).ref) for ref in dict.fromkeys(datasets)], "the datasets named"
    held = [dataset for dataset in cat.datasets() if dataset.role != "eval"]
    return [Place(f"{dataset.name}@v{dataset.head}") for dataset in held], "every dataset that is no eval"


def _mix(cat: Catalog, ref: str, run: str | None) -> tuple[list[Place], str]:
    check(cat, "read", ref)
    reader = cat.mix(ref)
    lock, layout = reader.lock, reader.layout
    rows = _run_rows(reader, run) if run is not None else None
    places = []
    for number, part in enumerate(lock["parts"]):
        served = _among(rows[number]) if rows is not None else _served(layout, number)
        places.append(Place(f"{part['dataset']}@v{part['version']}", None, served))
    what = f"what run {run} of {reader.ref} was served" if run else f"what {reader.ref} serves"
    return places, what


def _served(layout: Any, number: int) -> Served:
    """Rows of a part that the order reaches, in whichever epoch."""
    from catalog.mixes.orders import epochs

    rows = layout.parts[number].rows
    ranges = [held[number] for held in layout.order.ranges()]
    pieces = [piece for begin, end in ranges for piece in epochs(begin, end, rows.rows)]
    whole = any(end - begin == rows.rows for begin, end in pieces)

    def served(ids: np.ndarray) -> np.ndarray:
        inside = rows.contains(ids)
        if whole or not inside.any():
            return inside
        reached = np.zeros(int(inside.sum()), bool)
        for begin, end in pieces:
            reached |= layout.in_items(number, ids[inside], begin, end)
        inside[inside] = reached
        return inside

    return served


def _run_rows(reader: Any, run: str) -> dict[int, np.ndarray]:
    """Row ids by part that a run's ledger says were served, under this lock."""
    from catalog.pull.ledger import read_run

    held = read_run(reader, run)
    index = np.unique(held.column("index").to_numpy())
    index = index[(index >= 0) & (index < len(reader))]
    found = reader.layout.locate(index)
    return {number: np.unique(found.row[found.part == number]) for number in range(len(reader.lock["parts"]))}


def _among(rows: np.ndarray) -> Served:
    return lambda ids: np.isin(ids, rows)
