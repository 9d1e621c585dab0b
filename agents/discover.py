"""Discover: a described need -> datasets of the catalog and slices of them, with evidence, and what nothing satisfies.

    discover(cat, "multilingual news with dates, free for commercial use, 10k rows at least")

The task of DataFinder (Viswanathan et al. 2023, arXiv:2305.16636), recommending datasets for a described idea, and of
demand-driven discovery (Li et al. 2025, DatasetResearch, arXiv:2508.06960), over one's own catalog. Cards are ranked by
words, by meaning, and by how many of the checkable demands they meet, joined by `catalog.card_index.blend`. Evals stand last
unless the need speaks of evaluation. What a card says is data: it counts by its words. Nothing is written but a cache of
vectors, and no model is asked without endpoint and budget.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from agents.asking import asker
from agents.catalog_cards import Card, Embed, cards_of, index_of
from agents.discover_model import PURPOSE, judged, rewritten
from agents.need import Need, read_need, topic_of
from agents.need_checks import Check, checks_of, fit
from catalog.access import check
from catalog.card_index import CardIndex, akin, best, blend, stemmed, words_of
from catalog.errors import BadInput, Missing

if TYPE_CHECKING:
    from catalog.catalog import Catalog

MODES = ("hybrid", "vector", "text")
COUNTED_ROWS = 2_000_000
"""Rows up to which a slice is counted exactly, by reading the columns it names."""
FAR = 0.25
"""Cosine below which a card that shares no word with the need is called far from it."""
JUDGED = 8
EVALUATION = re.compile(r"\b(eval\w*|benchmarks?|test (?:sets?|splits?)|held[- ]out)\b", re.I)
NONE_LEFT = "no dataset has all of the facets that were chosen; take one away"
OFF = "the language model is off: searched by rules, words and meaning; --endpoint E --budget B turns it on"


def discover(
    cat: Catalog,
    need: str,
    *,
    top: int = 5,
    mode: str = "hybrid",
    endpoint: str | None = None,
    budget: str | None = None,
    embed: Embed | None = None,
    among: Collection[str] | None = None,
) -> dict[str, Any]:
    """{"need", "asked", "datasets": [...], "gaps": [...], "notes": [...]}, best dataset first.

    mode: hybrid, vector, text. among: names of the datasets that are searched, all if not given. endpoint, budget: both
    or none; a language model then words further queries and judges the first candidates. embed: texts -> vectors, instead
    of the bundled MiniLM.
    """
    check(cat, "read", "datasets")
    _options(top, mode)
    asked = read_need(need)
    helper = asker(cat, endpoint, budget, PURPOSE)
    notes = [OFF] if helper is None else []
    every = cards_of(cat)
    cards = [card for card in every if among is None or card.dataset.name in among]
    known = {card.dataset.id for card in every}
    embed = embed or _quick() if mode != "text" else None
    try:
        index = index_of(cat, cards, embed, known)
    except Missing as error:
        if mode == "vector":
            raise
        embed, index = None, index_of(cat, cards, None, known)
        notes.append(f"searched by words alone: {error}")
    queries = [asked.words or asked.text]
    if helper is not None:
        queries += rewritten(helper, asked.text)
    words, meaning = _searched(index, queries, mode, embed)
    checks = [checks_of(asked, card) for card in cards]
    lists = [*words, *meaning, *([np.array([fit(held) for held in checks])] if any(checks) else [])]
    weights = [1.0 if at == 0 else 0.5 for kind in (words, meaning) for at in range(len(kind))] + [1.0] * any(
        map(len, checks)
    )
    scores = blend(lists, weights) if cards and lists else np.zeros(len(cards))
    verdicts: dict[int, dict[str, Any]] = {}
    if helper is not None and cards:
        first = best(scores, max(top, JUDGED))
        verdicts = judged(helper, asked.text, {at: _facts(cards[at], checks[at]) for at in first})
        grades = np.array([verdicts[at]["fit"] if at in verdicts else 0.0 for at in range(len(cards))])
        scores = scores + blend([grades])
    order = _order(asked, cards, scores)[:top]
    shown = [
        _shown(cat, asked, cards[at], index, at, checks[at], (words, meaning), float(scores[at]), verdicts.get(at))
        for at in order
    ]
    return {
        "need": asked.text,
        "asked": _asked(asked),
        "searched": len(cards),
        "datasets": shown,
        "gaps": _gaps(asked, cards, checks, index, words, meaning) if cards or not every else [NONE_LEFT],
        "notes": notes + (helper.said() if helper is not None else []),
    }


def _order(asked: Need, cards: list[Card], scores: np.ndarray) -> list[int]:
    """Best first; what protects an evaluation is no training data, so it comes after all else unless it is asked for."""
    order = best(scores, len(cards))
    if EVALUATION.search(asked.text):
        return order
    return sorted(order, key=lambda at: cards[at].dataset.role == "eval")


def _options(top: int, mode: str) -> None:
    if not 1 <= top <= 1000:
        raise BadInput(f"top must be 1 to 1,000, not {top}")
    if mode not in MODES:
        raise BadInput(f"mode {mode!r} is not one of {', '.join(MODES)}")


def _quick() -> Embed:
    from agents.quick_encoder import embed_quickly

    return embed_quickly


def _searched(
    index: CardIndex, queries: Sequence[str], mode: str, embed: Embed | None
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Scores by words and by meaning, one array a query; the need itself first."""
    if not index.documents:
        return [], []
    words = [index.by_words(query) for query in queries] if mode != "vector" else []
    meaning = [index.by_meaning(vector) for vector in embed(list(queries))] if embed is not None else []
    return words, meaning


def _asked(need: Need) -> dict[str, Any]:
    """What was understood, so that a person sees what was not."""
    return {
        "words": need.words, "languages": need.languages, "multilingual": need.multilingual, "use": need.use,
        "rows": list(need.rows), "characters": list(need.chars), "kinds": need.kinds, "tier": need.tier, "fields": need.fields,
    }  # fmt: skip


def _facts(card: Card, checks: list[Check]) -> dict[str, Any]:
    """What a language model is told of a dataset: facts of its card, no text of a sample."""
    document = card.document()
    told = {
        name: text[:600]
        for name, text in document.fields.items()
        if name not in ("excerpts", "values", "clusters", "name")
    }
    return {
        "name": card.dataset.name, "rows": card.version.rows, **told,
        "checked": [f"{held.asked}: {held.verdict}, {held.why}" for held in checks],
    }  # fmt: skip


def _shown(
    cat: Catalog, need: Need, card: Card, index: CardIndex, at: int, checks: list[Check],
    found: tuple[list[np.ndarray], list[np.ndarray]], score: float, verdict: dict[str, Any] | None,
) -> dict[str, Any]:  # fmt: skip
    words, meaning = found
    dataset, why = card.dataset, []
    matches = _matches(need, index.documents[at].fields)
    if words and words[0][at] > 0:
        fields = "; ".join(f"{name}: {', '.join(held)}" for name, held in matches.items())
        why.append(f"words in {fields} (BM25 {words[0][at]:.2f}, #{_place(words[0], at)} by words)")
    if meaning and meaning[0][at] > 0:
        why.append(f"cosine {meaning[0][at]:.3f} (#{_place(meaning[0], at)} by meaning)")
    topic = {stemmed(word) for word in topic_of(need).casefold().split()}
    samples = [item["sample_id"] for item in card.excerpts if topic & set(words_of(item["text"]))][:3]
    warnings = (
        [f"role {dataset.role}: it protects an evaluation, so it is no training data"] if dataset.role == "eval" else []
    )
    return {
        "ref": card.ref, "score": score, "kind": dataset.kind, "tier": dataset.tier, "rows": card.version.rows,
        "licence": dataset.licence, "note": dataset.note, "why": why, "matched": matches, "samples": samples,
        "ranks": {name: {"score": float(held[0][at]), "place": _place(held[0], at)}
                  for name, held in (("words", words), ("meaning", meaning)) if held and held[0][at] > 0},
        "far": not (words and words[0][at] > 0) and not (meaning and meaning[0][at] >= FAR),
        "checks": [vars(held) for held in checks], "slices": _slices(cat, need, card, checks), "warnings": warnings,
        **({"language_model": verdict} if verdict else {}),
    }  # fmt: skip


def _place(scores: np.ndarray, at: int) -> int:
    return int((scores > scores[at]).sum()) + 1


def _matches(need: Need, fields: Any) -> dict[str, list[str]]:
    """Field of the card -> words of the need that it holds, as written in the need."""
    asked = {stemmed(word): word for word in reversed((need.words or need.text).casefold().split())}
    held = {name: set(words_of(text)) for name, text in fields.items()}
    found = {
        name: [word for stem, word in asked.items() if any(akin(stem, other) for other in own)]
        for name, own in held.items()
    }
    return {name: sorted(own) for name, own in found.items() if own}


def _slices(cat: Catalog, need: Need, card: Card, checks: list[Check]) -> list[dict[str, Any]]:
    """Filters over what is stored that answer a part of the need, and saved selections that speak of it."""
    from agents.slices import label_conditions

    demands = {held.asked: held.where for held in checks if held.where}
    topic = set(words_of(topic_of(need)))
    labels = label_conditions(card, topic)
    proposed: list[tuple[list[str], list[str]]] = [(list(demands), list(demands.values()))] if demands else []
    for condition, value in labels[:3]:
        proposed.append(([*demands, f"words: {value}"], [*demands.values(), condition]))
    out = []
    for answers, parts in proposed:
        where = " AND ".join(f"({part})" if " OR " in part else part for part in parts)
        rows = _count(cat, card, where)
        if rows is None or rows > 0:
            out.append({"where": where, "rows": rows, "answers": answers})
    for held in card.selections:
        if topic & set(words_of(f"{held.name} {held.note} {held.where}")):
            out.append(
                {
                    "selection": held.name,
                    "where": held.where,
                    "rows": None,
                    "answers": ["a saved selection speaks of it"],
                }
            )
    return out


def _count(cat: Catalog, card: Card, where: str) -> int | None:
    """Rows of a slice; None where counting would read too much."""
    if card.dataset.rows > COUNTED_ROWS:
        return None
    return cat.lance(card.ref).count_rows(filter=cat.predicate(card.ref, where, "drop"))


def _gaps(
    need: Need, cards: list[Card], checks: list[list[Check]], index: CardIndex, words: list[np.ndarray], meaning: list[np.ndarray]
) -> list[str]:  # fmt: skip
    """What of the need no dataset has, in plain words."""
    if not cards:
        return ["the catalog has no published dataset: strata ingest FILE --as NAME makes one"]
    out = []
    for at in range(len(checks[0])):
        verdicts = [held[at].verdict for held in checks]
        asked = checks[0][at].asked
        if "met" in verdicts:
            continue
        partly, unknown = verdicts.count("partly"), verdicts.count("unknown")
        if partly:
            out.append(f"{asked}: no dataset as a whole, a part of {partly}")
        elif unknown:
            out.append(f"{asked}: none is known to; of {unknown} it is not known ({_remedy(checks, at)})")
        else:
            out.append(f"{asked}: no dataset")
    whole = [all(held.verdict == "met" for held in mine) for mine in checks]
    if len(checks[0]) > 1 and not out and not any(whole):
        out.append("each demand is met somewhere, but no dataset meets all of them; a mix of several may")
    if lacking := index.lacking(topic_of(need)):
        out.append(f"no card and no excerpt has the words: {', '.join(lacking)}")
    near = [array for array in (words[:1] + meaning[:1])]
    if near and not any(
        (words and words[0][at] > 0) or (meaning and meaning[0][at] >= FAR) for at in range(len(cards))
    ):
        out.append("nothing in the catalog is near this need")
    return out


def _remedy(checks: list[list[Check]], at: int) -> str:
    return next(held[at].why for held in checks if held[at].verdict == "unknown")
