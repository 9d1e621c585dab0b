"""Where the words of one text begin and end: the same words as `_hashing.word_hashes`, character by character."""

from __future__ import annotations

import unicodedata
from functools import cache

from flows.scorers.ngram._hashing import _INVISIBLE, _UNSPACED


@cache
def _kind(character: str) -> str:
    kind = {"L": "letter", "N": "letter", "M": "mark"}.get(unicodedata.category(character)[0], "outside")
    return "invisible" if _INVISIBLE.fullmatch(character) else kind


def word_spans(text: str, words: int) -> list[tuple[int, int]] | None:
    """(start, end) of each word; None where normalisation makes other words of the text than `words` says."""
    spans: list[list[int]] = []
    previous = "outside"
    for at, character in enumerate(text):
        kind = _kind(character)
        if kind == "invisible":
            continue
        if kind == "outside":
            previous = "outside"
            continue
        alone = not character.isascii() and any(low <= ord(character) < high for low, high in _UNSPACED)
        new = previous == "outside" if kind == "mark" else alone or previous not in ("letter", "mark")
        previous = "alone" if alone else kind
        if new:
            spans.append([at, at + 1])
        else:
            spans[-1][1] = at + 1
    return [(low, high) for low, high in spans] if len(spans) == words else None
