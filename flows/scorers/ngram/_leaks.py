"""Which eval item a text holds, and how much of it: postings of word n-grams, counted item by item.

An item is found by containment: the words of the item that lie in an n-gram shared with the text, over the words of the
item that could be found at all. Length of the page around it changes nothing. N-grams that many items of an eval share ("which
of the following statements is true about the") are phrases and tell nothing; they are left out on both sides.

The second index masks numbers: digits with their signs of grouping, and spelled numbers, become one word, runs of them
one. A maths problem with other numbers is then found like a copy.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from catalog.plugins import EvalSet
from flows.scorers.ngram._hashing import ngram_hashes, owners, word_hashes

ROLE = re.compile(r"(?m)^(?:user|system|assistant|tool): ")
DIGITS = re.compile(r"\d[\d.,:/]*")
SPELLED = (
    "0 zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion"
).split()


def eval_texts(held: EvalSet) -> Iterator[tuple[str, list[str], list[str]]]:
    """(field, sample ids, texts) of each batch and each declared field of an eval."""
    plain = held.fields == ("text",)
    seen = 0
    for batch in held.scan(["text"] if plain else held.columns()):
        columns = {name: batch.column(name).to_pylist() for name in batch.schema.names}
        ids = columns.get("sample_id") or [str(seen + at) for at in range(batch.num_rows)]
        seen += batch.num_rows
        for field in held.fields:
            yield field, ids, [_field(field, columns, row) for row in range(batch.num_rows)]


def _field(field: str, columns: dict[str, list[Any]], row: int) -> str:
    def held(name: str) -> Any:
        return columns[name][row] if name in columns else None

    if field == "text":
        return ROLE.sub("", held("text") or "")
    meta = json.loads(held("meta") or "{}")
    if field == "question":
        turns = [turn["content"] or "" for turn in held("messages") or [] if turn["role"] != "assistant"]
        return "\n".join(turns) if turns else ROLE.sub("", held("text") or "")
    if field == "choices":
        return "\n".join(held("choices") or [])
    if field == "answer":  # the worked answer where the source had one
        return max((str(part or "") for part in (held("answer"), meta.get("answer"))), key=len)
    return "\n".join(_leaves(meta.get(field)))


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = [part for key, part in value.items() if key != "id" and not key.endswith("_id")]
    if isinstance(value, list):
        for part in value:
            yield from _leaves(part)
    elif value is not None:
        yield str(value)


@cache
def _numbers() -> np.ndarray:
    return np.sort(word_hashes([" ".join(SPELLED)])[0])


def masked_words(texts: Sequence[str | None]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Word hashes with every number, and every run of numbers, as one word; the offsets; numbers a text."""
    words, offsets = word_hashes([DIGITS.sub("0", text) if text else "" for text in texts])
    known = _numbers()
    at = np.minimum(np.searchsorted(known, words), known.size - 1)
    number = known[at] == words
    words = np.where(number, word_hashes(["0"])[0][0], words)
    first = np.zeros(words.size, bool)
    first[offsets[:-1][offsets[:-1] < words.size]] = True
    keep = ~number | first | ~np.append(False, number[:-1])[: words.size]
    place = np.append(0, np.cumsum(keep))
    counts = np.append(0, np.cumsum(number & keep))
    return words[keep], place[offsets], counts[offsets[1:]] - counts[offsets[:-1]]


@dataclass
class Postings:
    """N-gram hashes in order, with the part that holds each and where; `reach` is what can be found of each part."""

    hashes: np.ndarray
    part: np.ndarray
    place: np.ndarray
    reach: np.ndarray

    def state(self, prefix: str) -> dict[str, np.ndarray]:
        return {f"{prefix}_{name}": getattr(self, name) for name in ("hashes", "part", "place", "reach")}

    @classmethod
    def of(cls, state: dict[str, Any], prefix: str) -> Postings:
        return cls(*(state[f"{prefix}_{name}"] for name in ("hashes", "part", "place", "reach")))


def index(
    words: np.ndarray, offsets: np.ndarray, wanted: np.ndarray, n: int, common: int, evals: np.ndarray
) -> Postings:
    """Postings of the wanted parts. An n-gram in more than `common` parts of one eval is a phrase and left out there.

    evals: number of each part's eval, ascending. No eval decides about another, so that one can be added to a verdict.
    """
    hashes, first = ngram_hashes(words, offsets, n)
    part = owners(offsets)[first] if first.size else np.empty(0, np.int64)
    keep = wanted[part]
    hashes, part, place = hashes[keep], part[keep], (first - offsets[part])[keep]
    order = np.lexsort((place, part, hashes))
    hashes, part, place = hashes[order], part[order], place[order]
    held = evals[part]
    other = (hashes[1:] != hashes[:-1]) | (held[1:] != held[:-1])
    starts = np.flatnonzero(np.append(True, other)) if hashes.size else np.empty(0, np.int64)
    group = np.repeat(np.arange(starts.size), np.diff(np.append(starts, hashes.size)))
    new = np.append(True, (part[1:] != part[:-1]) | (group[1:] != group[:-1]))[: hashes.size]
    rare = (np.bincount(group, new, minlength=starts.size) <= common)[group] if hashes.size else np.empty(0, bool)
    hashes, part, place = hashes[rare], part[rare], place[rare]
    reach = np.zeros(offsets.size - 1, np.int32)
    held, covered = coverage(part, place, n)
    reach[held] = covered
    return Postings(hashes, part.astype(np.int32), place.astype(np.int32), reach)


def coverage(group: np.ndarray, place: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Each distinct group, and how many places its windows of n cover."""
    if not group.size:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    keys = np.unique(group.astype(np.int64) << 24 | place)
    group, place = keys >> 24, keys & 0xFFFFFF
    ahead = np.append(place[1:] - place[:-1], n)
    ahead[np.append(group[1:] != group[:-1], True)] = n
    starts = np.flatnonzero(np.append(True, group[1:] != group[:-1]))
    return group[starts], np.add.reduceat(np.minimum(ahead, n), starts)


def longest_runs(group: np.ndarray, place: np.ndarray, at: np.ndarray, n: int) -> np.ndarray:
    """For each distinct group in order, the most words in a row that text and part share."""
    order = np.lexsort((place, at - place, group))
    group, place, shift = group[order], place[order], (at - place)[order]
    new = np.append(True, (group[1:] != group[:-1]) | (shift[1:] != shift[:-1]) | (place[1:] != place[:-1] + 1))
    starts = np.flatnonzero(new)
    runs = np.diff(np.append(starts, group.size)) + n - 1
    owner = group[starts]
    return np.maximum.reduceat(runs, np.flatnonzero(np.append(True, owner[1:] != owner[:-1])))


def found(postings: Postings, words: np.ndarray, offsets: np.ndarray, n: int, lookup: Any) -> dict[str, np.ndarray]:
    """Every (row, part) that share an n-gram: share of the part, longest run; and the n-grams behind it."""
    empty = np.empty(0, np.int64)
    nothing = {"row": empty, "part": empty, "share": np.empty(0), "longest": empty, "hit_pair": empty, "hit_at": empty}
    grams, first = ngram_hashes(words, offsets, n)
    if not grams.size or not postings.hashes.size:
        return nothing
    hit, low, width = lookup(postings.hashes, grams)
    if not hit.size:
        return nothing
    held = np.repeat(low - np.cumsum(width) + width, width) + np.arange(width.sum())
    start = np.repeat(first[hit], width)
    row = np.repeat(owners(offsets)[first[hit]], width)
    parts = postings.reach.size
    pair = row * parts + postings.part[held]
    at, place = start - offsets[row], postings.place[held].astype(np.int64)
    groups, covered = coverage(np.unique(pair, return_inverse=True)[1], place, n)
    pairs = np.unique(pair)
    assert groups.size == pairs.size
    part = pairs % parts
    return {
        "row": pairs // parts,
        "part": part,
        "share": covered / np.maximum(postings.reach[part], 1),
        "longest": longest_runs(pair, place, at, n),
        "hit_pair": pair,
        "hit_at": at,
    }


def part_name(state: dict[str, Any], part: int) -> tuple[int, str, str]:
    """Number of the eval, sample id and field of a part."""
    fields = state["fields"]
    return int(state["part_eval"][part]), bytes(state["part_id"][part]).hex(), fields[int(state["part_field"][part])]


def packed_ids(ids: list[str]) -> np.ndarray:
    """Sample ids as bytes; anything that is no hex id is kept by its digest."""
    from xxhash import xxh3_128_digest

    rows = [bytes.fromhex(i) if re.fullmatch("[0-9a-f]{32}", i) else xxh3_128_digest(i.encode()) for i in ids]
    return np.frombuffer(b"".join(rows), np.uint8).reshape(-1, 16)
