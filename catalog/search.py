"""Search a dataset version by words, by meaning, by both, or by an example.

    search(cat, "web@v2", "how volcanoes erupt", limit=10, where="language = 'en'")

Hybrid joins the two rankings by reciprocal rank fusion, 1 / (60 + rank) each (Cormack, Clarke and Büttcher, "Reciprocal
rank fusion outperforms Condorcet and individual rank learning methods", SIGIR 2009). What a result does not cover stands
in `notes(result)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from catalog.access import check
from catalog.errors import BadInput, Missing
from catalog.query.indexes import build_index, indexes
from catalog.query.vectors import Embed, query_vector, stored_vector, vector_column, vector_hits
from catalog.query.words import Hits, matched, snippet, terms_of, text_hits
from catalog.samples import sample_id_of

if TYPE_CHECKING:
    from catalog.catalog import Catalog

__all__ = ["build_index", "indexes", "notes", "search"]

MODES = ("hybrid", "vector", "text")
RRF = 60
DEPTH = 5
"""Hits of each kind that are fused, for each one shown."""
MOST = 10_000


def search(
    cat: Catalog,
    ref: str,
    words: str = "",
    mode: str | None = None,
    limit: int = 10,
    where: str | None = None,
    like: str | None = None,
    *,
    missing: str = "error",
    embed: Embed | None = None,
    column: str = "embedding",
    with_row_id: bool = False,
) -> pa.Table:
    """The nearest samples, best first: sample_id, text (the part that matched), score, why.

    mode: hybrid (default), vector, text. like: a sample id or its beginning, for "more like this". where, missing: as in a selection.
    embed: texts -> vectors, where the scorer that made `column` cannot be run here.
    score: BM25 for text, cosine for vector, the sum of reciprocal ranks for hybrid.
    """
    check(cat, "read", ref)
    if mode not in (None, *MODES):
        raise BadInput(f"mode {mode!r} is not one of {', '.join(MODES)}")
    if not 1 <= limit <= MOST:
        raise BadInput(f"limit must be 1 to {MOST:,}, not {limit}")
    if bool(like) == bool(terms_of(words)):
        raise BadInput("say what to search for: either words, or like=SAMPLE_ID")
    found = cat.resolve(ref)
    if found.version is None or not found.version.rows:
        return _table([], [], [], [], [], with_row_id)
    table, condition = cat.lance(found.ref), cat.predicate(found.ref, where, missing)
    told: list[str] = []
    lists: dict[str, Hits] = {}
    depth = min(MOST, DEPTH * limit) if mode in (None, "hybrid") and not like else limit
    if like:
        like = sample_id_of(cat, like, found.ref)
        held = vector_column(cat, found, column)
        row, vector = stored_vector(table, held.physical, like, cat.predicate(found.ref), found.ref)
        hits = vector_hits(table, held.physical, vector, condition, limit + 1)
        lists["vector"] = [hit for hit in hits if hit[0] != row][:limit]
        told += _coverage(held, found.dataset.rows)
    else:
        if mode != "text":
            try:
                held = vector_column(cat, found, column)
                vector = query_vector(cat, held, words, embed)
                lists["vector"] = vector_hits(table, held.physical, vector, condition, depth)
                told += _coverage(held, found.dataset.rows)
            except Missing as error:
                if mode == "vector":
                    raise
                told.append(f"searched by text alone: {error}")
        if mode != "vector":
            lists["text"], note = text_hits(table, words, condition, depth, found.version.rows, found.dataset.name)
            told += [note] if note else []
    best = _fused(lists)[:limit]
    return _shown(table, best, lists, words, told, with_row_id)


def notes(result: pa.Table) -> list[str]:
    """What a search result does not cover, and how it was found."""
    held = (result.schema.metadata or {}).get(b"notes", b"").decode()
    return held.split("\n") if held else []


def _coverage(column: Any, rows: int) -> list[str]:
    if column.covered >= rows:
        return []
    return [f"{column.alias} covers {column.covered:,} of {rows:,} rows; the others cannot be found by meaning"]


def _fused(lists: dict[str, Hits]) -> Hits:
    """One ranking of several: as it is when there is one, else by reciprocal ranks."""
    if len(lists) == 1:
        return next(iter(lists.values()))
    total: dict[int, float] = {}
    for hits in lists.values():
        for rank, (row, _) in enumerate(hits, 1):
            total[row] = total.get(row, 0.0) + 1 / (RRF + rank)
    return sorted(total.items(), key=lambda item: (-item[1], item[0]))


def _shown(
    table: Any, best: Hits, lists: dict[str, Hits], words: str, told: Sequence[str], with_row_id: bool
) -> pa.Table:
    rows = [row for row, _ in best]
    places = {kind: {row: (rank, score) for rank, (row, score) in enumerate(hits, 1)} for kind, hits in lists.items()}
    held = table._take_rows(rows, columns=["sample_id", "text"]) if rows else None
    texts = held.column("text").to_pylist() if held is not None else []
    ids = held.column("sample_id").to_pylist() if held is not None else []
    why = [_why(row, text or "", words, places) for row, text in zip(rows, texts, strict=True)]
    made = _table(ids, [snippet(text, words) for text in texts], [score for _, score in best], why, rows, with_row_id)
    return made.replace_schema_metadata({"notes": "\n".join(told)}) if told else made


def _why(row: int, text: str, words: str, places: dict[str, dict[int, tuple[int, float]]]) -> str:
    parts = []
    if (place := places.get("text", {}).get(row)) is not None:
        terms = ", ".join(matched(text, words)) or "words"
        parts.append(f"{terms} (BM25 {place[1]:.2f}, #{place[0]} by text)")
    if (place := places.get("vector", {}).get(row)) is not None:
        parts.append(f"cosine {place[1]:.3f} (#{place[0]} by meaning)")
    return "; ".join(parts)


def _table(
    ids: list[str], texts: list[str], scores: list[float], why: list[str], rows: list[int], with_row_id: bool
) -> pa.Table:
    made = pa.table(
        {
            "sample_id": pa.array(ids, pa.string()),
            "text": pa.array(texts, pa.string()),
            "score": pa.array(scores, pa.float64()),
            "why": pa.array(why, pa.string()),
        }
    )
    return made.append_column("_rowid", pa.array(rows, pa.uint64())) if with_row_id else made
