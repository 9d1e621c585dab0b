"""From postings of eval items to columns: the items a text holds, how much of each, where, and what is asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from catalog.plugins import Context, EvalSet
from flows.scorers.ngram._hashing import word_hashes
from flows.scorers.ngram._leaks import Postings, eval_texts, found, index, masked_words, packed_ids, part_name
from flows.scorers.ngram._spans import word_spans

LISTED = 500
"""Items too short to test that the report names for one eval; the number of all of them is exact."""
SHOWN = 8
"""Items named for one row."""
FAINT = 0.2
"""Below this share of an item a row's hit is not named."""
JOIN = 3
"""Words between two matched runs that are cut with them."""


def item_state(state: dict[str, Any], evals: Sequence[EvalSet], params: Any) -> list[dict[str, Any]]:
    """Add both postings and the parts to the state; what each eval protects and what of it cannot be tested."""
    fields, texts = [], []
    owner: list[int] = []
    field: list[int] = []
    ids: list[str] = []
    for number, held in enumerate(evals):
        for name, sample_ids, batch in eval_texts(held):
            if name not in fields:
                fields.append(name)
            owner += [number] * len(batch)
            field += [fields.index(name)] * len(batch)
            ids += sample_ids
            texts += batch
    words, offsets = word_hashes(texts)
    masked, masked_offsets, numbers = masked_words(texts)
    counts = np.diff(offsets)
    long = counts >= max(params.shortest, params.span)
    evals_of = np.array(owner, np.int32)
    whole = index(words, offsets, long, params.span, params.common, evals_of)
    blank = index(masked, masked_offsets, long & (numbers > 0), params.span, params.common, evals_of)
    state |= {"fields": fields, "part_eval": evals_of, "part_field": np.array(field, np.int16)}
    state |= {"part_id": packed_ids(ids), **whole.state("items"), **blank.state("masked")}
    state["policies"] = [[held.action, held.share, held.numbers] for held in evals]
    listed = []
    for number, held in enumerate(evals):
        mine = state["part_eval"] == number
        short, phrase = mine & (counts < params.shortest), mine & long & (whole.reach < params.shortest)
        untested = np.flatnonzero(short | phrase)
        listed.append(
            {
                "ref": held.ref,
                "items": int(mine.sum()),
                "too_short": int(short.sum()),
                "only_phrases": int(phrase.sum()),
                "fields": list(held.fields),
                "action": held.action,
                "untested": [[ids[at], fields[field[at]], int(counts[at])] for at in untested[:LISTED]],
            }
        )
    return listed


def leak_columns(
    texts: list[str | None], words: np.ndarray, offsets: np.ndarray, null: np.ndarray, ctx: Context
) -> dict[str, pa.Array]:
    """The item columns of a batch."""
    state, n, rows = ctx.state, ctx.params.span, len(texts)
    whole = found(Postings.of(state, "items"), words, offsets, n, lookup)
    masked, masked_offsets, _ = masked_words(texts)
    blank = found(Postings.of(state, "masked"), masked, masked_offsets, n, lookup)
    share, numbers, longest = np.zeros(rows), np.zeros(rows), np.zeros(rows, np.int64)
    np.maximum.at(share, whole["row"], whole["share"])
    np.maximum.at(longest, whole["row"], whole["longest"])
    np.maximum.at(numbers, blank["row"], blank["share"])
    items, actions = _named(texts, np.diff(offsets), whole, blank, ctx)
    return {
        "eval_leak": pa.array(np.minimum(share, 1).astype(np.float32), mask=null),
        "eval_leak_numbers": pa.array(np.minimum(numbers, 1).astype(np.float32), mask=null),
        "eval_leak_longest": pa.array(longest, pa.int32(), mask=null),
        "eval_leak_action": pa.array(actions, pa.string()),
        "eval_leak_items": pa.array(items, pa.string()),
    }


def _named(
    texts: list[str | None],
    counts: np.ndarray,
    whole: dict[str, np.ndarray],
    blank: dict[str, np.ndarray],
    ctx: Context,
) -> tuple[list[str | None], list[str | None]]:
    """JSON of the items each row holds, and the strictest action among those over their eval's share."""
    state, n = ctx.state, ctx.params.span
    rows: dict[int, dict[int, list[float]]] = {}
    for at in np.flatnonzero(whole["share"] >= FAINT):
        key = int(whole["row"][at]), int(whole["part"][at])
        rows.setdefault(key[0], {})[key[1]] = [float(whole["share"][at]), 0.0, int(whole["longest"][at])]
    for at in np.flatnonzero(blank["share"] >= FAINT):
        key = int(blank["row"][at]), int(blank["part"][at])
        rows.setdefault(key[0], {}).setdefault(key[1], [0.0, 0.0, 0])[1] = float(blank["share"][at])
    items: list[str | None] = [None] * len(texts)
    actions: list[str | None] = [None] * len(texts)
    parts = int(state["items_reach"].size)
    order = np.argsort(whole["hit_pair"], kind="stable")
    pairs, places = whole["hit_pair"][order], whole["hit_at"][order]
    for row, parts_held in rows.items():
        best = sorted(parts_held.items(), key=lambda item: (-max(item[1][:2]), -item[1][0], item[0]))
        spans_of = word_spans(texts[row] or "", int(counts[row]))
        listed, asked = [], set()
        for part, (share, numbers, longest) in best:
            number, sample, field = part_name(state, part)
            action, at_share, at_numbers = state["policies"][number]
            leak = share >= at_share or numbers >= at_numbers
            if leak:
                asked.add(action)
            if len(listed) < SHOWN:
                low, high = np.searchsorted(pairs, row * parts + part), np.searchsorted(pairs, row * parts + part + 1)
                listed.append(
                    {
                        "eval": state["refs"][number], "item": sample, "field": field, "share": round(min(share, 1), 4),
                        "numbers": round(min(numbers, 1), 4), "longest": longest, "leak": leak, "action": action,
                        "spans": _ranges(places[low:high], n, spans_of) if share >= at_share else [],
                    }
                )  # fmt: skip
        items[row] = json.dumps(listed, separators=(",", ":"))
        actions[row] = next((name for name in ("drop", "cut", "flag") if name in asked), None)
    return items, actions


def _ranges(places: np.ndarray, n: int, spans: list[tuple[int, int]] | None) -> list[list[int]]:
    """Character ranges of the matched words; runs a few words apart are one."""
    if spans is None or not places.size:
        return []
    places = np.unique(places)
    cuts = np.flatnonzero(np.diff(places) > n + JOIN)
    starts, ends = places[np.append(0, cuts + 1)], places[np.append(cuts, places.size - 1)] + n - 1
    return [[spans[int(a)][0], spans[int(b)][1]] for a, b in zip(starts, ends, strict=True)]


def lookup(table: np.ndarray, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which keys a sorted index holds, where each of them starts there, and how often it stands.

    A table over the leading bits turns most keys away before the binary search, which costs a cache miss a step.
    """
    bits = min(26, max(10, int(table.size * 8).bit_length()))
    shift = np.uint64(64 - bits)
    marked = _marked(table, bits)
    maybe = np.flatnonzero(marked[(keys >> shift).astype(np.int64)])
    low = np.searchsorted(table, keys[maybe])
    held = table[np.minimum(low, table.size - 1)] == keys[maybe]
    hit, low = maybe[held], low[held]
    return hit, low, np.searchsorted(table, keys[hit], side="right") - low


_MARKS: dict[int, tuple[np.ndarray, np.ndarray]] = {}


def _marked(table: np.ndarray, bits: int) -> np.ndarray:
    """Which leading bits occur; kept for the tables of the state in use."""
    held = _MARKS.get(id(table))
    if held is None or held[0] is not table:
        if len(_MARKS) >= 64:
            _MARKS.clear()
        marked = np.zeros(1 << bits, bool)
        marked[(table >> np.uint64(64 - bits)).astype(np.int64)] = True
        held = _MARKS[id(table)] = (table, marked)
    return held[1]
