"""The leaves of a tree of clusters as a fact is looked for in them: rows, likeness to the fact, words, a few texts.

Nothing is stored beside what is stored already: the tree and each row's leaf are a column (scorer `cluster_leaves`), frozen
when it was fitted. Rows that the column does not cover are in no leaf, and a note says how many. Of many leaves a short list is
made by the likeness of their centroids and by the rows that hold the fact's words; only its texts are read.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from sqlmodel import select

from agents.evidence import WORD, Fact, addresses_reader, keyed, lines_of
from agents.scope import Place
from catalog.errors import BadInput, Missing, NotFound
from catalog.meta.models import ColumnRecord, FittedState, Recipe, Version
from catalog.query.vectors import query_vector
from catalog.search import search

if TYPE_CHECKING:
    from catalog.catalog import Catalog

Embed = Callable[[list[str]], np.ndarray]
SHORTLIST = 120
"""Leaves that are named to a language model at most, over all places."""
HITS = 60
"""Rows with the fact's words that tell for their leaves, a place."""
TEXTS, LETTERS = 32, 1_000
"""Texts of a leaf that its words are counted in, those with the lowest ids, and letters of each."""
WORDS = 8


@dataclass
class Leaf:
    """rows: that count in its place. texts: (id, text), lowest ids first. words: that tell it from others.

    rank: sum of 1 / place over the rankings, so that the first of any stays in front. keywords: what it is about, as
    `named_by` says.
    """

    place: Place
    number: int
    rows: int
    likeness: float | None = None
    rank: float = 0.0
    texts: list[tuple[str, str]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    keywords: list[str] = field(default_factory=list)
    named_by: str = "words"
    picked_by: str = ""


def leaf_column(cat: Catalog, ref: str, alias: str) -> ColumnRecord:
    """The column that holds the leaves; `Missing` says how to make it."""
    name = cat.resolve(ref).dataset.name
    for column in cat.columns(name):
        if column.alias == alias:
            if not pa.types.is_integer(_type(cat, ref, column)):
                raise BadInput(
                    f"column {alias} of {name} holds {column.type}, not cluster numbers; name another column"
                )
            return column
    raise Missing(f"{name} has no column {alias}: `strata score {name} cluster_leaves` computes it")


def _type(cat: Catalog, ref: str, column: ColumnRecord) -> pa.DataType:
    return cat.lance(ref).schema.field(column.physical).type


def leaves_of(cat: Catalog, place: Place, fact: Fact, alias: str, embed: Embed | None) -> tuple[list[Leaf], list[str]]:
    """The leaves of one place, with the likeness and the rank that need no text; and what is not in them."""
    column = leaf_column(cat, place.ref, alias)
    counts, outside = _counts(cat, place, alias)
    told = []
    if outside:
        name = place.ref.partition("@")[0]
        told.append(f"{outside:,} rows are in no cluster and were not looked at: strata score {name} {column.scorer}")
    leaves = [Leaf(place, number, rows) for number, rows in sorted(counts.items())]
    try:
        middles, vector = _middles(cat, column), _vector(cat, place.ref, column, fact, embed)
        for leaf in leaves:
            leaf.likeness = round(float(middles[leaf.number] @ vector), 6)
    except Missing as error:
        told.append(f"clusters are told by words alone: {error}")
    try:
        hits = _hit_leaves(cat, place, fact, alias)
    except Missing as error:
        hits, told = {}, [*told, f"not searched by words: {error}"]
    for leaf in leaves:
        leaf.rank = 1 / hits[leaf.number] if leaf.number in hits else 0.0
    return leaves, told


def shortened(leaves: Sequence[Leaf], most: int = SHORTLIST) -> list[Leaf]:
    """The leaves that may hold the fact first, by the ranks of likeness and of words."""
    add_rank(leaves, lambda leaf: leaf.likeness)
    return sorted(leaves, key=_order)[:most]


def add_rank(leaves: Sequence[Leaf], value: Callable[[Leaf], float | None]) -> None:
    """Add the reciprocal rank by a value; leaves without one, or with 0, gain nothing."""
    held = sorted({found for leaf in leaves if (found := value(leaf))}, reverse=True)
    place = {found: rank for rank, found in enumerate(held, 1)}
    for leaf in leaves:
        if found := value(leaf):
            leaf.rank += 1 / place[found]


def _order(leaf: Leaf) -> tuple[float, str, int]:
    return -leaf.rank, leaf.place.ref, leaf.number


def in_order(leaves: Iterable[Leaf]) -> list[Leaf]:
    return sorted(leaves, key=_order)


def read_texts(cat: Catalog, leaves: Sequence[Leaf], alias: str) -> None:
    """Give each leaf its texts with the lowest ids, of the rows that were there when the tree was fitted."""
    for ref, mine in _by_place(leaves).items():
        first = _fitted_at(cat, ref, leaf_column(cat, ref, alias))
        held: dict[int, list[tuple[_Last, str]]] = {leaf.number: [] for leaf in mine}
        for row in rows_of(cat, mine, ["sample_id", "text", "added"], alias):
            if row["text"] and (first is None or row["added"] <= first):
                kept, entry = held[row[alias]], (_Last(row["sample_id"]), row["text"][:LETTERS])
                (heapq.heappush if len(kept) < TEXTS else heapq.heappushpop)(kept, entry)
        for leaf in mine:
            leaf.texts = sorted((id, text) for id, text in held[leaf.number])


class _Last(str):
    """A string that a heap pops last first."""

    def __lt__(self, other: str) -> bool:
        return str.__gt__(self, other)


def read_words(leaves: Sequence[Leaf]) -> None:
    """Words of each leaf: those that tell its texts from those of the others (class-based TF-IDF)."""
    from flows.cluster_titles import class_tf_idf, common_words

    counts = {at: Counter[str]() for at in range(len(leaves))}
    holders = {at: Counter[str]() for at in range(len(leaves))}
    for at, leaf in enumerate(leaves):
        for _, text in leaf.texts:
            words = [word.casefold() for word in WORD.findall(" ".join(told_lines(text))) if _tells(word)]
            counts[at].update(words)
            holders[at].update(set(words))
    for word in common_words(holders, Counter({at: len(leaf.texts) for at, leaf in enumerate(leaves)})):
        for held in counts.values():
            held.pop(word, None)
    for at, weights in class_tf_idf(counts).items():
        best = sorted(weights.items(), key=lambda item: (-item[1], item[0]))
        leaves[at].words = leaves[at].keywords = [word for word, _ in best[:WORDS]]


@lru_cache(maxsize=100_000)
def _tells(word: str) -> bool:
    return bool(keyed(word))


def told_lines(text: str) -> list[str]:
    """The lines of a text that do not speak to whoever judges, without line breaks; all in one where none does."""
    whole = " ".join(text.split())
    if not addresses_reader(whole):
        return [whole] if whole else []
    lines = (" ".join(text[begin:end].split()) for begin, end in lines_of(text))
    return [line for line in lines if not addresses_reader(line)]


def rows_of(cat: Catalog, leaves: Sequence[Leaf], columns: list[str], alias: str) -> Iterable[dict[str, Any]]:
    """The rows of leaves of one place that count there."""
    place = leaves[0].place
    inside = f"{alias} IN ({', '.join(str(leaf.number) for leaf in leaves)})"
    where = f"({place.where}) AND {inside}" if place.where else inside
    for batch in cat.scan(place.ref, [*columns, alias], where=where, missing="drop", with_row_id=True, batch_rows=1024):
        if (served := place.served) is not None:
            batch = batch.filter(pa.array(served(batch["_rowid"].to_numpy().astype(np.int64))))
        yield from batch.drop_columns(["_rowid"]).to_pylist()


def _by_place(leaves: Iterable[Leaf]) -> dict[str, list[Leaf]]:
    held: dict[str, list[Leaf]] = {}
    for leaf in leaves:
        held.setdefault(leaf.place.ref, []).append(leaf)
    return held


def _counts(cat: Catalog, place: Place, alias: str) -> tuple[Counter[int], int]:
    counts: Counter[int] = Counter()
    outside = 0
    for batch in cat.scan(place.ref, [alias], where=place.where, missing="keep", with_row_id=True, batch_rows=131_072):
        own = batch[alias]
        if (served := place.served) is not None:
            own = own.filter(pa.array(served(batch["_rowid"].to_numpy().astype(np.int64))))
        outside += own.null_count
        counts.update({held["values"]: held["counts"] for held in own.drop_null().value_counts().to_pylist()})
    return counts, outside


def _middles(cat: Catalog, column: ColumnRecord) -> np.ndarray:
    from flows.job import unpack_state
    from flows.scorers.embedding.cluster_leaves import middles_of

    with cat.session() as session:
        held = session.get(FittedState, column.fingerprint)
    if column.scorer != "cluster_leaves" or held is None:
        raise Missing(f"the centroids of {column.alias} are not stored: `strata score NAME cluster_leaves` stores them")
    return middles_of(unpack_state(held.body))


def _vector(cat: Catalog, ref: str, column: ColumnRecord, fact: Fact, embed: Embed | None) -> np.ndarray:
    """The fact's vector by whatever made the vectors that the tree is of."""
    with cat.session() as session:
        recipe = session.get(Recipe, column.fingerprint)
    mark = (recipe.body.get("inputs", {}) if recipe else {}).get("embedding", "")
    for held in cat.columns(ref.partition("@")[0]):
        if mark and held.fingerprint.startswith(mark):
            vector = query_vector(cat, held, fact.text, embed).astype(np.float64)
            return vector / np.linalg.norm(vector)
    raise Missing(f"the vectors that {column.alias} was made from are gone")


def _hit_leaves(cat: Catalog, place: Place, fact: Fact, alias: str) -> dict[int, int]:
    """Leaf -> rank of its first row among those that hold the fact's words."""
    hits = search(cat, place.ref, fact.text, "text", limit=HITS, where=place.where)["sample_id"].to_pylist()
    if not hits:
        return {}
    inside = ", ".join(f"'{sample}'" for sample in hits)
    rows = [row for batch in cat.scan(place.ref, ["sample_id", alias], where=f"sample_id IN ({inside})")
            for row in batch.to_pylist()]  # fmt: skip
    place_of = {sample: rank for rank, sample in enumerate(hits, 1)}
    found: dict[int, int] = {}
    for row in sorted(rows, key=lambda row: place_of[row["sample_id"]]):
        if row[alias] is not None:
            found.setdefault(row[alias], place_of[row["sample_id"]])
    return found


def _fitted_at(cat: Catalog, ref: str, column: ColumnRecord) -> int | None:
    """The version that the tree was fitted on, so that rows of later ones change no name of a leaf."""
    try:
        dataset = cat.resolve(ref).dataset
    except NotFound:
        return None
    with cat.session() as session:
        recipe = session.get(Recipe, column.fingerprint)
        digest = (recipe.body.get("population") or {}).get("digest") if recipe else None
        found = select(Version.number).where(Version.dataset_id == dataset.id, Version.digest == digest)
        return session.exec(found).first() if digest else None
