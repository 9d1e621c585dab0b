"""What the Discover page asks: cards and facets, labels, needs, and samples of several datasets at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from catalog import Catalog
from catalog.catalog import Resolved
from catalog.errors import BadInput, NotFound, StrataError
from catalog.meta.models import Recipe
from catalog.nutrition import label
from catalog.query.vectors import Embed, stored_vector, vector_column
from catalog.samples import sample_id_of
from catalog.search import notes, search

HITS = 20
"""Samples of a page of hits, over all datasets."""
RRF = 60
MANY = 8
"""Datasets that are searched when nobody chose: the largest ones."""


class Hit(NamedTuple):
    """One sample that was found. also: further datasets that hold it and found it."""

    ref: str
    row: int
    sample_id: str
    text: str
    why: str
    rank: int
    score: float
    also: tuple[str, ...] = ()


class Found(NamedTuple):
    hits: tuple[Hit, ...]
    notes: tuple[str, ...]


def state(cat: Catalog) -> str:
    """What answers depend on: the published head of every dataset."""
    return " ".join(f"{held.name}:{held.head}:{held.lance_version}" for held in cat.datasets())


def labels(cat: Catalog, refs: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Labels by reference; a dataset that vanished in between has none."""
    found = {}
    for ref in refs:
        try:
            held = cat.resolve(ref)
        except NotFound:
            continue
        found[ref] = label(held.dataset, held.version, cat.columns(held.dataset.name)) | {"ref": held.ref}
    return found


def usual(cat: Catalog, left: Sequence[str]) -> list[str]:
    """The datasets that are searched for samples when nobody chose: the largest of those that facets leave, no evals."""
    held = [dataset for dataset in cat.datasets() if dataset.name in left and dataset.rows]
    ranked = sorted(held, key=lambda one: (one.role == "eval", -one.rows, one.name))
    training = [one.name for one in ranked if one.role != "eval"]
    return sorted((training or [one.name for one in ranked])[:MANY])


def samples(cat: Catalog, refs: Sequence[str], words: str, mode: str, like: str = "", limit: int = HITS) -> Found:
    """The best samples of several datasets: by cosine where meaning alone is asked for, which compares across datasets;
    else by their place in their own dataset (reciprocal rank), as BM25 does not compare.

    like: "dataset:sample id", for samples near that one, wherever they are.
    """
    hits: list[Hit] = []
    told: list[str] = []
    vector, recipe = _vector(cat, like) if like else (None, "")
    for ref in refs:
        try:
            found = cat.resolve(ref)
            got, more = _searched(cat, found, words, mode, like, vector, recipe, limit)
        except StrataError as error:
            told.append(f"{ref}: {error.message}")
            continue
        hits += got
        told += [f"{ref}: {line}" for line in more]
    compares = bool(like) or mode == "vector"
    hits.sort(key=lambda hit: (-hit.score if compares else hit.rank, -hit.score, hit.ref, hit.row))
    return Found(tuple(_once(hits)[:limit]), tuple(told))


def _once(hits: Sequence[Hit]) -> list[Hit]:
    """Each sample at its best place: tiers of one source hold the same samples."""
    held: dict[str, Hit] = {}
    for hit in hits:
        first = held.get(hit.sample_id)
        held[hit.sample_id] = hit if first is None else first._replace(also=(*first.also, hit.ref))
    return list(held.values())


def _searched(
    cat: Catalog, found: Resolved, words: str, mode: str, like: str, vector: np.ndarray | None, recipe: str, limit: int
) -> tuple[list[Hit], list[str]]:
    if vector is not None:
        held = vector_column(cat, found)
        if held.fingerprint != recipe:
            return [], ["left out: its vectors were made in another way"]
        table = search(
            cat, found.ref, "like", mode="vector", limit=limit + 1, embed=lambda _: vector[None], with_row_id=True
        )
    else:
        table = search(cat, found.ref, words, mode=mode, limit=limit, embed=_quickly(cat, found), with_row_id=True)
    itself = like.rpartition(":")[2]
    rows = [row for row in table.to_pylist() if not itself or not row["sample_id"].startswith(itself)]
    made = [
        Hit(found.ref, int(row["_rowid"]), row["sample_id"], row["text"], row["why"], rank, row["score"])
        for rank, row in enumerate(rows[:limit], 1)
    ]
    return made, notes(table)


def _quickly(cat: Catalog, found: Resolved) -> Embed | None:
    """The bundled MiniLM without torch, where it made the vectors: its numbers, in a fraction of the time."""
    from agents.quick_encoder import embed_quickly

    held = next((column for column in cat.columns(found.dataset.name) if column.alias == "embedding"), None)
    if held is None or held.scorer != "minilm":
        return None
    with cat.session() as session:
        recipe = session.get(Recipe, held.fingerprint)
    params = recipe.body.get("params", {}) if recipe else {}
    return embed_quickly if (params.get("model"), params.get("pooling")) == ("minilm-l6", "mean") else None


def _vector(cat: Catalog, like: str) -> tuple[np.ndarray, str]:
    """The stored vector of a sample, and the recipe of its column."""
    name, _, sample = like.rpartition(":")
    if not name:
        raise BadInput(f"{like!r} names no sample: write dataset:sample_id")
    found = cat.resolve(name)
    held = vector_column(cat, found)
    sample = sample_id_of(cat, sample, found.ref)
    _, vector = stored_vector(cat.lance(found.ref), held.physical, sample, cat.predicate(found.ref), found.ref)
    return vector, held.fingerprint
