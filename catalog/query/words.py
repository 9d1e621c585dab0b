"""Full text: BM25 through the table's inverted index, or by reading every text where there is none and few rows.

BM25 as in Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009, with k1 = 1.2 and
b = 0.75. Without an index a word is a substring that starts where a word starts, and a text's length is its characters.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog.errors import Missing
from catalog.query.indexes import has_index
from catalog.store.native import lance_part

if TYPE_CHECKING:
    import lance

SCANNED_ROWS = 200_000
"""Texts that are read one by one where there is no index."""
K1, B = 1.2, 0.75
Hits = list[tuple[int, float]]


def terms_of(words: str) -> list[str]:
    """Words of a query, folded, once each."""
    return list(dict.fromkeys(re.findall(r"\w+", words.casefold())))


def text_hits(
    table: lance.LanceDataset, words: str, condition: str | None, depth: int, rows: int, name: str
) -> tuple[Hits, str]:
    """(row id, BM25 score) best first, and a note about how they were found."""
    if has_index(table, "text"):
        found = table.scanner(
            columns=["_score"],
            with_row_id=True,
            full_text_query=lance_part("query").MatchQuery(words, "text"),
            filter=condition,
            prefilter=True,
            limit=depth,
        ).to_table()
        return ranked(found.column("_rowid").to_numpy(), found.column("_score").to_numpy(), depth), ""
    if rows > SCANNED_ROWS:
        raise Missing(f"full text over {rows:,} rows needs an index: `strata index {name} text` builds it")
    return scanned_hits(table, words, condition, depth), f"no text index on {name}: every text was read"


def ranked(ids: np.ndarray, scores: np.ndarray, depth: int) -> Hits:
    """Best first; equal scores in the order of row ids."""
    order = np.lexsort((ids, -scores))[:depth]
    return [(int(ids[at]), float(scores[at])) for at in order]


def scanned_hits(table: lance.LanceDataset, words: str, condition: str | None, depth: int) -> Hits:
    """BM25 over the rows of `condition`, by one pass that keeps counts of matching rows only."""
    terms = terms_of(words)
    ids, counts, lengths = [np.empty(0, np.uint64)], [np.empty((0, len(terms)))], [np.empty(0)]
    rows = total = 0
    scanner = table.scanner(
        columns=["text", "chars"], filter=condition, with_row_id=True, batch_size=8192, batch_size_bytes=16 << 20
    )
    for batch in scanner.to_batches() if terms else ():
        chars = pc.fill_null(batch.column("chars"), 0).to_numpy(zero_copy_only=False)
        rows, total = rows + len(chars), total + int(chars.sum())
        held = np.column_stack([_count(batch.column("text"), term) for term in terms])
        hit = held.any(axis=1)
        ids.append(batch.column("_rowid").to_numpy()[hit])
        counts.append(held[hit])
        lengths.append(chars[hit])
    tf, length = np.concatenate(counts), np.concatenate(lengths)
    if not len(tf):
        return []
    found = (tf > 0).sum(axis=0)
    idf = np.log1p((rows - found + 0.5) / (found + 0.5))
    norm = K1 * (1 - B + B * length / (total / rows))
    return ranked(np.concatenate(ids), (idf * tf * (K1 + 1) / (tf + norm[:, None])).sum(axis=1), depth)


def _count(texts: pa.Array, term: str) -> np.ndarray:
    """Words that start with the term, endings aside. Scripts without spaces match anywhere."""
    lower = pc.utf8_lower(texts)
    if term.isascii():
        found = pc.count_substring_regex(lower, rf"\b{re.escape(stem(term))}")
    else:
        found = pc.count_substring(lower, term)
    return pc.fill_null(found, 0).to_numpy(zero_copy_only=False)


def stem(term: str) -> str:
    """A word without its commonest English endings; the index does this better."""
    return re.sub(r"(ing|ed|es|s)$", "", term) if len(term) > 4 and term.isascii() else term


def matched(text: str, words: str) -> list[str]:
    """Terms of a query that a text holds, endings aside."""
    lower = text.casefold()
    return [term for term in terms_of(words) if _place(lower, term) >= 0]


def _place(lower: str, term: str) -> int:
    start = re.escape(stem(term))
    found = re.search(rf"(?<!\w){start}" if term.isascii() else start, lower)
    return found.start() if found else -1


def snippet(text: str | None, words: str, width: int = 240) -> str:
    """The part of a text around the first matched term, on one line."""
    text = text or ""
    lower = text.casefold()
    places = [at for term in terms_of(words) if (at := _place(lower, term)) >= 0]
    start = max(0, min(places, default=0) - width // 4)
    if start and (space := text.find(" ", start, start + 20)) > 0:
        start = space + 1
    part = " ".join(text[start : start + width].split())
    return ("… " if start else "") + part + (" …" if start + width < len(text) else "")
