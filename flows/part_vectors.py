"""Vectors of the parts of a spec and of a target, for mixers that compare sets: rows with the lowest keyed hashes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from catalog.errors import BadInput, NotFound, Refused
from catalog.mixers import Task
from catalog.mixes.spec import Part
from catalog.refs import parse_ref
from flows.scorers.embedding._vectors import sample_vectors
from flows.sets import dataset_of, set_vectors

if TYPE_CHECKING:
    from catalog.catalog import Catalog


def with_vectors(cat: Catalog, task: Task, parts: list[dict[str, Any]], seed: int) -> Task:
    """The task with vectors of each part and of the target; its params name target, vectors (a column) and rows."""
    params = task.params
    if not params.target:
        raise BadInput("the mixer compares the parts with a target: --param target=DATASET")
    found = cat.resolve(dataset_of(cat, params.target))
    if found.dataset.role == "eval":
        raise Refused(
            f"{params.target!r} has role eval and is protected: choose a train split as the target",
            missing=[params.target],
        )
    target = set_vectors(cat, params.target, params.vectors, params.rows, seed)
    held = tuple(_vectors(cat, Part(**part), params.vectors, params.rows, seed) for part in parts)
    for name, points in zip(task.parts, held, strict=True):
        if not len(points):
            raise BadInput(f"part {name}: no row has a vector in {params.vectors}; score the embedding it is made by")
        if points.shape[1] != target.shape[1]:
            raise BadInput(
                f"part {name} has vectors of {points.shape[1]} numbers, {params.target} of {target.shape[1]}; embed alike"
            )
    return replace(task, vectors=held, target=target)


def _vectors(cat: Catalog, part: Part, name: str, rows: int, seed: int) -> np.ndarray:
    from catalog.selections import find_selection

    held = find_selection(cat, part.selection) if part.selection else None
    ref = part.dataset or (held.dataset if held else "")
    clauses = [clause for clause in (held.where if held else None, part.where) if clause]
    where = " AND ".join(f"({clause})" for clause in clauses) or None
    missing = held.missing if held and not part.where else part.missing
    try:
        return sample_vectors(
            lambda columns=None: cat.scan(ref, ["sample_id", name], where=where, missing=missing), rows, seed, name
        )[0]
    except NotFound as error:
        if error.facts.get("name") != name:
            raise
        made = f"strata score {parse_ref(ref).name} minilm"
        raise BadInput(f"{ref} has no column {name}; compute it: {made}") from None
