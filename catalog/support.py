"""Where a text may come from: the held texts nearest to it, in meaning and in words.

After "Un-Attributability: Computing Novelty From Retrieval & Semantic Similarity", 2025, arXiv:2510.27313: a text is novel
when the nearest held text is farther than the nearest ones of human reference texts are. Here candidates come from the
stored vectors and from BM25, of whole samples in place of chunks, and are compared with the text itself in place of a
ColBERT reranker:

cosine    of the stored sentence vectors, where the dataset has them
overlap   share of the text's word n-grams that the candidate holds too
longest   the longest run of words both have, in words

rank      share of the texts of `reference` whose nearest held text is nearer; near 1: as far from the data as few

A near text is a candidate for a person to read, no proof of copying or of influence. For a whole dataset of outputs score
`target_similarity` with the training data as its target, and compare with the same column of human reference text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

import numpy as np

from catalog.errors import BadInput, Missing
from catalog.query.vectors import query_vector, vector_column
from catalog.search import notes, search

if TYPE_CHECKING:
    from catalog.catalog import Catalog

_WORD = re.compile(r"\w+")
REFERENCE = 50
"""Texts of the reference, those with the lowest ids, which are hashes."""
WORDS = 2_000
"""Words of a text that are compared; the rest is not read."""


def support(
    cat: Catalog,
    text: str,
    datasets: Sequence[str] = (),
    *,
    limit: int = 5,
    n: int = 5,
    column: str = "embedding",
    reference: str | None = None,
) -> dict[str, Any]:
    """{"nearest": candidates, best first, "cosine", "overlap", "longest": the best of each, "notes"}.

    datasets: references to look in; every dataset that is no eval if none is given. n: words of an n-gram. reference: a
    dataset of human texts that is not looked in; "rank" then says where the text stands among them.
    """
    words = words_of(text)
    if not words:
        raise BadInput("the text has no word, so nothing can support it; give a text of words")
    refs = list(datasets) or [dataset.name for dataset in cat.datasets() if dataset.role != "eval"]
    if reference is not None:
        refs = [ref for ref in refs if ref.partition("@")[0] != reference.partition("@")[0]]
    found: list[dict[str, Any]] = []
    told: list[str] = []
    for ref in refs:
        hits, said = _candidates(cat, ref, text, limit, column)
        told += [f"{ref}: {line}" for line in said]
        found += [{"dataset": ref, **hit, **compared(words, words_of(hit["text"]), n)} for hit in hits]
    found.sort(key=lambda hit: (-max(hit["overlap"], hit["cosine"] or 0), -hit["longest"], hit["sample_id"]))
    best = {
        name: max((hit[name] for hit in found if hit[name] is not None), default=None)
        for name in ("cosine", "overlap", "longest")
    }
    if reference is not None:
        best |= _rank(cat, reference, refs, column, best["cosine"])
    return {**best, "nearest": found[:limit], "searched": refs, "notes": told}


def _rank(cat: Catalog, reference: str, refs: Sequence[str], column: str, own: float | None) -> dict[str, Any]:
    """Share of reference texts, those with the lowest ids, that have a nearer held text than the asked one."""
    texts: list[tuple[str, str]] = []
    for batch in cat.scan(reference, ["sample_id", "text"]):
        rows = zip(batch["sample_id"].to_pylist(), batch["text"].to_pylist(), strict=True)
        texts = sorted([*texts, *((i, text) for i, text in rows if text)])[:REFERENCE]
    best = []
    for _, text in texts:
        hits = [search(cat, ref, text, "vector", limit=1, column=column)["score"].to_pylist() for ref in refs]
        best += [max(score for held in hits for score in held)] if any(hits) else []
    if own is None or not best:
        raise Missing(f"{reference} gives no cosine to compare with: score minilm on the datasets that are searched")
    return {"rank": sum(value > own for value in best) / len(best), "reference_texts": len(best)}


def compared(words: Sequence[str], other: Sequence[str], n: int) -> dict[str, Any]:
    """Share of the n-grams of `words` that `other` holds, and the longest run of words in both.

    A text shorter than n is one n-gram as long as it is.
    """
    n = min(n, len(words))
    held = {tuple(other[i : i + n]) for i in range(len(other) - n + 1)}
    grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
    run = SequenceMatcher(None, words, other, autojunk=False).find_longest_match()
    return {"overlap": sum(gram in held for gram in grams) / len(grams), "longest": run.size}


def words_of(text: str | None) -> list[str]:
    return _WORD.findall((text or "").casefold())[:WORDS]


def _candidates(cat: Catalog, ref: str, text: str, limit: int, column: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows near in meaning or in words, with their cosine where there are vectors."""
    ids: dict[str, None] = {}
    told: list[str] = []
    vector = None
    for mode in ("vector", "text"):
        try:
            hits = search(cat, ref, text, mode, limit=limit, column=column)
        except Missing as error:
            told.append(f"not searched by {'meaning' if mode == 'vector' else 'words'}: {error}")
            continue
        told += [line for line in notes(hits) if "every text was read" not in line]
        ids |= dict.fromkeys(hits["sample_id"].to_pylist())
        if mode == "vector":
            vector = query_vector(cat, vector_column(cat, cat.resolve(ref), column), text, None).astype(float)
    if not ids:
        return [], told
    inside = ", ".join(f"'{one}'" for one in ids)
    names = ["sample_id", "text", *([column] if vector is not None else [])]
    made = []
    for batch in cat.scan(ref, names, where=f"sample_id IN ({inside})", missing="keep"):
        for row in batch.to_pylist():
            own = row.get(column)
            made.append({"sample_id": row["sample_id"], "cosine": _cosine(vector, own), "text": row["text"] or ""})
    return made, told


def _cosine(left: np.ndarray | None, right: list[float] | None) -> float | None:
    if left is None or right is None:
        return None
    other = np.array(right)
    size = float(np.linalg.norm(left) * np.linalg.norm(other))
    return float(left @ other) / size if size else None
