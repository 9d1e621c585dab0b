"""Sets that measures are taken of: a dataset version, or the rows that a saved selection holds today."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from catalog.catalog import Catalog
from catalog.errors import BadInput, NotFound


def rows_of(cat: Catalog, ref: str, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Batches of a dataset version or of the rows that a selection holds today."""
    if cat.find(ref.partition("@")[0]) is not None:
        return cat.scan(ref, columns)
    from catalog.selections import find_selection, selections

    try:
        held = find_selection(cat, ref)
    except NotFound:
        names = [dataset.name for dataset in cat.datasets()] + [one.name for one in selections(cat)]
        raise NotFound("dataset or selection", ref, names) from None
    return cat.scan(held.dataset, columns, where=held.where, missing=held.missing)


def dataset_of(cat: Catalog, ref: str) -> str:
    """The dataset whose rows a reference means."""
    if cat.find(ref.partition("@")[0]) is not None:
        return ref
    from catalog.selections import find_selection

    return find_selection(cat, ref).dataset


def set_vectors(cat: Catalog, ref: str, name: str, rows: int, seed: int) -> np.ndarray:
    """Unit vectors of the rows of a set with the lowest keyed hashes of their ids."""
    from flows.scorers.embedding._vectors import sample_vectors

    try:
        points, _ = sample_vectors(lambda columns=None: rows_of(cat, ref, ["sample_id", name]), rows, seed, name)
    except NotFound as error:
        if error.facts.get("name") != name:
            raise
        made = f"strata score {dataset_of(cat, ref).partition('@')[0]} minilm"
        raise BadInput(f"{ref} has no column {name}; compute it: {made}") from None
    if not len(points):
        raise BadInput(f"{ref}: no row has an {name}, so there is nothing to compare; it needs rows with text")
    return points
