"""Which lines of a text speak of a fact: by its words, numbers and names, the same every time, without a model.

A text is cut into lines (sentences, and what line breaks part). A passage is up to three lines in a row; the best one holds
the largest share of the fact's weight, where a number counts three times a word, a name twice, and a common word nothing.
That is likeness and no proof: a line that denies a fact holds its words too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from catalog.card_index import STOP

LINE = re.compile(r"[^\n]+?(?:[.!?。！？]+[\"'”’)\]]*(?=\s|$)|(?=\n)|$)|[^\n]*?[。！？]")
CHARACTER = "\u3040-\u30ff\u3400-\u9fff"
"""Scripts without spaces, compared by character."""
WORD = re.compile(rf"\d[\d,.]*\d|\d|[{CHARACTER}]|[^\W\d_{CHARACTER}]+(?:['’][^\W\d_]+)*")
MOST_CHARS = 200_000
"""Characters of a text that are looked at."""
LINES = 3
NUMBER, NAME, PLAIN = 3.0, 2.0, 1.0
ASKS = frozenset("how many much when where why whose whom does did has had been being also name called".split())
ADDRESSED = re.compile(
    r"\b(ignore|disregard|forget) (all |any |the |your |these |those |previous |prior |above )*(instructions?|rules?|prompts?)\b"
    r"|\b(mark|label|grade|rate|answer|respond|reply)\b.{0,40}\b(supports?|supporting|supported|verdict|json)\b"
    r"|\b(system|assistant) ?: ?you\b|<\|im_(start|end)\|>",
    re.IGNORECASE,
)  # fmt: skip


@dataclass(frozen=True)
class Fact:
    """A fact as it is looked for. weights: word -> weight; numbers, names: those of the words, as the fact writes them."""

    text: str
    weights: dict[str, float]
    numbers: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    @property
    def total(self) -> float:
        return sum(self.weights.values())


def read_fact(text: str) -> Fact:
    """Words of a fact with their weights. A name is a word with a capital inside a sentence, or two capitals."""
    weights: dict[str, float] = {}
    numbers: dict[str, str] = {}
    names: dict[str, str] = {}
    for found in WORD.finditer(text):
        word, key = found[0], keyed(found[0])
        if not key:
            continue
        first = re.search(r"(^|[.!?:;\"“(]\s*)$", text[: found.start()]) is not None
        if word[0].isdigit():
            numbers.setdefault(key, word)
            weights[key] = NUMBER
        elif (word[0].isupper() and not first) or sum(letter.isupper() for letter in word) > 1:
            names.setdefault(key, word)
            weights[key] = max(NAME, weights.get(key, 0))
        else:
            weights.setdefault(key, PLAIN)
    return Fact(text, weights, numbers, names)


def keyed(word: str) -> str:
    """A word as it is compared: folded, without its ending; 1,000 as 1000; nothing for a common word."""
    if word[0].isdigit():
        return word.replace(",", "") if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d+)?", word) else word
    folded = re.sub(r"['’]s?$", "", word.casefold())
    return "" if folded in STOP or folded in ASKS or not folded else bare(folded)


def bare(word: str) -> str:
    """A word without its commonest English endings, so that game, games and gaming are one."""
    if len(word) <= 3 or not word.isascii():
        return word
    word = re.sub(r"ies$", "y", word)
    word = re.sub(r"(?<![sui])s$", "", word)
    if len(word) > 5:
        word = re.sub(r"(?<=[a-z]{3})(ing|ed)$", "", word)
    return re.sub(r"(?<=[a-z]{2})e$", "", word)


def lines_of(text: str) -> list[tuple[int, int]]:
    """Where the lines of a text begin and end, without white space around them."""
    out = []
    for found in LINE.finditer(text[:MOST_CHARS]):
        begin, end = found.span()
        begin += len(found[0]) - len(found[0].lstrip())
        end -= len(found[0]) - len(found[0].rstrip())
        if end > begin:
            out.append((begin, end))
    return out


def evidence(fact: Fact, text: str) -> dict[str, Any]:
    """{"score": 0 to 1, "lines": [[begin, end]], "missing": [...], "numbers", "names"} of the best passage.

    numbers, names: [those the passage holds, those the fact has]. missing: numbers and names that it lacks.
    """
    spans = lines_of(text)
    held = [{keyed(word) for word in WORD.findall(text[begin:end])} & fact.weights.keys() for begin, end in spans]
    best, place = (-1.0, 0), (0, 0)
    for first in range(len(spans)):
        if not held[first]:
            continue
        words: set[str] = set()
        for last in range(first, min(first + LINES, len(spans))):
            words |= held[last]
            value = (round(sum(fact.weights[word] for word in words), 6), first - last)
            if value > best:
                best, place = value, (first, last)
    found = set().union(*held[place[0] : place[1] + 1]) if best[0] > 0 else set()
    lacking = [word for kind in (fact.numbers, fact.names) for key, word in kind.items() if key not in found]
    return {
        "score": round(max(best[0], 0.0) / fact.total, 6) if fact.total else 0.0,
        "lines": [list(span) for span in spans[place[0] : place[1] + 1]] if found else [],
        "missing": lacking,
        "numbers": [sum(key in found for key in fact.numbers), len(fact.numbers)],
        "names": [sum(key in found for key in fact.names), len(fact.names)],
    }


def shown_lines(fact: Fact, text: str, most: int) -> list[tuple[int, int]]:
    """The lines a model is shown: those of most weight with a neighbour on both sides, in the text's order."""
    spans = lines_of(text)
    if len(spans) <= most:
        return spans
    weight = [sum(fact.weights.get(key, 0.0) for key in {keyed(word) for word in WORD.findall(text[begin:end])})
              for begin, end in spans]  # fmt: skip
    kept: set[int] = set()
    for at in sorted(range(len(spans)), key=lambda at: (-weight[at], at)):
        near = {other for other in (at - 1, at, at + 1) if 0 <= other < len(spans)}
        if len(kept | near) > most:
            break
        kept |= near
    return [spans[at] for at in sorted(kept)]


def addresses_reader(text: str) -> str | None:
    """The words of a text that speak to whoever judges it, where it has such."""
    found = ADDRESSED.search(text[:MOST_CHARS])
    return " ".join(found[0].split())[:120] if found else None
