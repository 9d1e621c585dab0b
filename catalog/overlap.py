"""Two row sets of one dataset beside each other: what only the one holds, only the other, and both; on all rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc

from catalog.access import check
from catalog.errors import BadInput, NotFound
from catalog.explore import EXCERPT, columns_of, weight_of
from catalog.refs import NAME, parse_ref

if TYPE_CHECKING:
    from catalog.catalog import Catalog

PARTS = ("only_a", "only_b", "both")
Side = tuple[str, str | None, str]
"""Reference of a dataset version, WHERE or None for all of its rows, and what a row without a value means."""


def side_of(cat: Catalog, given: str, dataset: str | None = None, missing: str = "error") -> Side:
    """What is named: a selection, a dataset version with all of its rows, or a filter over `dataset`."""
    if NAME.fullmatch(given.partition("@")[0]):
        noun = cat._noun(parse_ref(given).name)
        if noun == "dataset":
            return cat.resolve(given).ref, None, "error"
        if noun or dataset is None or given not in columns_of(cat, cat.resolve(dataset)):
            return _selected(cat, given)
    if dataset is None:
        raise BadInput(f"{given[:80]!r} is a filter: say over which dataset, --from DATASET")
    return cat.resolve(dataset).ref, given, missing


def _selected(cat: Catalog, given: str) -> Side:
    from catalog.selections import find_selection, selections

    if cat._noun(parse_ref(given).name) is None:
        known = [*(held.name for held in selections(cat)), *(held.name for held in cat.datasets())]
        raise NotFound("selection or dataset", given, known, "see `strata select list`")
    held = find_selection(cat, given)
    return held.dataset, held.where, held.missing


def overlap_of(
    cat: Catalog, a: str, b: str, *, dataset: str | None = None, missing: str = "error", examples: int = 8
) -> dict[str, Any]:
    """`overlap` of two sides by name (`side_of`), and what each is: "a" and "b": {"name", "dataset", "where", "missing"}."""
    sides = {"a": (a, side_of(cat, a, dataset, missing)), "b": (b, side_of(cat, b, dataset, missing))}
    told = {letter: {"name": given, **dict(zip(("dataset", "where", "missing"), side, strict=True))}
            for letter, (given, side) in sides.items()}  # fmt: skip
    return {**told, **overlap(cat, sides["a"][1], sides["b"][1], examples=examples)}


def overlap(cat: Catalog, a: Side, b: Side, *, examples: int = 8) -> dict[str, Any]:
    """Counts, weight and examples of the three parts.

    {"weight", "only_a" | "only_b" | "both": {"rows", "total", "examples": [{"sample_id", "text"}]}, "jaccard"}
    Rows are told apart by their stable ids, so that two versions of a dataset can be compared.
    """
    names = {parse_ref(ref).name for ref, _, _ in (a, b)}
    if len(names) > 1:
        raise BadInput(f"rows of {' and '.join(sorted(names))} have no ids in common; compare two sets of one dataset")
    name = names.pop()
    check(cat, "read", name)
    weight = weight_of(cat, cat.resolve(name))
    (ids_a, weights_a), (ids_b, weights_b) = _held(cat, *a, weight), _held(cat, *b, weight)
    in_a, in_b = np.isin(ids_a, ids_b), np.isin(ids_b, ids_a)
    sides = {"only_a": (ids_a[~in_a], weights_a[~in_a]), "only_b": (ids_b[~in_b], weights_b[~in_b]),
             "both": (ids_a[in_a], weights_a[in_a])}  # fmt: skip
    union = sum(len(ids) for ids, _ in sides.values())
    made = {part: {"rows": len(ids), "total": int(weights.sum()), "examples": _examples(cat, name, ids, examples)}
            for part, (ids, weights) in sides.items()}  # fmt: skip
    return {"weight": weight, **made, "jaccard": round(len(sides["both"][0]) / union, 6) if union else None}


def _held(cat: Catalog, ref: str, where: str | None, missing: str, weight: str) -> tuple[np.ndarray, np.ndarray]:
    parts = list(cat.scan(ref, [weight], where=where, missing=missing, batch_rows=131_072, with_row_id=True))
    ids = np.concatenate([part.column("_rowid").to_numpy() for part in parts]) if parts else np.empty(0, np.uint64)
    weights = [pc.fill_null(part.column(weight), 0).to_numpy().astype(np.int64) for part in parts]
    return ids.astype(np.uint64), np.concatenate(weights) if weights else np.empty(0, np.int64)


def _examples(cat: Catalog, name: str, ids: np.ndarray, wanted: int) -> list[dict[str, Any]]:
    """A few rows, spread by a mix of their ids, the same each time."""
    if not len(ids):
        return []
    mixed = ids * np.uint64(0x9E3779B97F4A7C15)
    first = ids[np.argsort(mixed, kind="stable")[:wanted]] if len(ids) > wanted else ids
    rows = cat.lance(name)._take_rows(first.tolist(), columns=["sample_id", "text"]).to_pylist()
    return [{"sample_id": row["sample_id"], "text": (row["text"] or "")[:EXCERPT]} for row in rows]
