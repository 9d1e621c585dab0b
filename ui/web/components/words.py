"""Two texts word by word: what was taken out, what was put in. Two sides, or one text with both marked."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

from ui.web.components.markup import Markup, h, text

PAIRS = 6_000_000
"""Word pairs beyond which texts are not compared: the time grows with their number."""
_WORD = re.compile(r"\s+|\w+|[^\w\s]")


def changes(a: str, b: str) -> list[tuple[str, str, str]] | None:
    """[("same" | "other", of a, of b)] in order; None where the texts are too long to be compared."""
    left, right = _WORD.findall(a), _WORD.findall(b)
    head = _alike(left, right)
    tail = _alike(left[head:][::-1], right[head:][::-1])
    middle = left[head : len(left) - tail], right[head : len(right) - tail]
    if len(middle[0]) * len(middle[1]) > PAIRS:
        return None
    made = [("same", "".join(left[:head]), "".join(right[:head]))]
    for kind, i, j, k, m in SequenceMatcher(None, *middle, autojunk=False).get_opcodes():
        made.append(("same" if kind == "equal" else "other", "".join(middle[0][i:j]), "".join(middle[1][k:m])))
    made.append(("same", "".join(left[len(left) - tail :]), "".join(right[len(right) - tail :])))
    return [part for part in made if part[1] or part[2]]


def _alike(left: list[str], right: list[str]) -> int:
    """Length of the common beginning."""
    for at, (one, other) in enumerate(zip(left, right)):
        if one != other:
            return at
    return min(len(left), len(right))


def sides(a: str, b: str) -> tuple[Markup, Markup] | None:
    """Both texts, with the words that the other does not have in their place marked."""
    held = changes(a, b)
    if held is None:
        return None
    made = []
    for at, tag in ((1, "del"), (2, "ins")):
        made.append(text([h(tag, part[at]) if part[0] == "other" and part[at] else part[at] for part in held]))
    return made[0], made[1]


def merged(a: str, b: str) -> Markup | None:
    """One text: words of the first that are gone struck out, words of the second that are new marked."""
    held = changes(a, b)
    if held is None:
        return None
    parts: list[object] = []
    for kind, old, new in held:
        parts += [new] if kind == "same" else [h("del", old) if old else None, h("ins", new) if new else None]
    return text(parts)
