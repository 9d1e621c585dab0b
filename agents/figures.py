"""Numbers in sentences: where each comes from. A language model may word facts, and adds none of its own.

A number of a text is known where the facts hold it: as a number (rounded as far as the text writes it), or inside a string,
such as the version in `web@v3`. Numbers in words ("twice", "half", "three") are strange unless the facts say them too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

NUMBER = re.compile(r"(?<![\w.])[-+−]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?|\d+(?:\.\d+)?")
WORDS = re.compile(
    r"\b(zero|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozens?|hundreds?|thousands?|millions?|billions?|"
    r"half|halves|halved|thirds?|quarters?|doubled?|tripled?|twice|thrice|percent|per cent)\b",
    re.IGNORECASE,
)
LARGE = 100
"""A fraction from here on may be written without its decimals."""


def numbers_in(text: str) -> list[tuple[float, int]]:
    """(value without sign, decimals) of every number in a text."""
    found = []
    for token in NUMBER.findall(text):
        clean = token.lstrip("-+−").rstrip(",").replace(",", "")
        found.append((float(clean), len(clean.partition("e")[0].partition(".")[2])))
    return found


def known_numbers(facts: Any) -> set[float]:
    """Every number in JSON-like facts, also of those that stand inside strings and names; without signs."""
    return {abs(value) for value in _walk(facts)}


def _walk(value: Any) -> Iterator[float]:
    if isinstance(value, bool) or value is None:
        return
    if isinstance(value, (int, float)):
        yield float(value)
    elif isinstance(value, str):
        yield from (number for number, _ in numbers_in(value))
    elif isinstance(value, dict):
        for name, held in value.items():
            yield from _walk(str(name))
            yield from _walk(held)
    elif isinstance(value, (list, tuple)):
        for held in value:
            yield from _walk(held)


def strange_numbers(text: str, facts: Any) -> list[str]:
    """Numbers of a text, in digits or words, that the facts do not hold."""
    known = known_numbers(facts)
    strange = [f"{value:g}" for value, decimals in numbers_in(text) if not _held(value, decimals, known)]
    said = {word.lower() for word in WORDS.findall(str(facts))}
    return strange + [word for word in WORDS.findall(text) if word.lower() not in said]


def _held(value: float, decimals: int, known: set[float]) -> bool:
    if value in known:
        return True
    return any(round(fact, decimals) == value for fact in known if fact % 1 and (decimals or fact >= LARGE))
