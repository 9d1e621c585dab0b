"""What a goal in words asks of a mix: how much, for what use, how often at most, without leaks, of which sorts of data.

    read_goal("code-heavy 2B tokens, 20% German news, commercial use, at most 4 epochs, no eval leaks")

By patterns, in English, the same every time. What is left is cut at commas and "and" into wants, which are searched for.
A share is the person's: "20%" as written, "heavy" or "mostly" half of the total, "some" or "a bit of" a tenth.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from agents.need import LANGUAGES, USE, _count
from catalog.errors import BadInput

LONGEST = 2000
HEAVY, LIGHT = 0.5, 0.1
REST = "whatever else meets the demands"
UNITS = {"k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}
SIZE = (r"\b(?P<size>\d[\d,._]*)\s*(?P<unit>k|m|b|t|thousand|million|billion|trillion)?\s*"
        r"(?P<of>tokens?|samples?|rows?|examples?|documents?|pairs?|items?)\b(\s+of)?")  # fmt: skip
EPOCHS = [
    r"\b(?:at most|no more than|up to|max(?:imum)?(?: of)?|<=)\s*(\d+(?:\.\d+)?|one|two|three|four|five)\s*(?:epochs?|passes|repetitions?)\b",
    r"\b(\d+(?:\.\d+)?|one|two|three|four|five|single)\s*(?:epochs?|pass(?:es)?)(?: at most| max(?:imum)?| only)?\b",
]
ONCE = r"\b(?:no repeat(?:s|ed rows)?|without repetition|no repetition|every row once|without repeats)\b"
LEAKS = (r"\b(?:no|without(?: any)?|free of|zero)\s+(?:eval(?:uation)?s?|benchmark|test(?: set)?)?[- ]?(?:leak(?:s|age)?|contamination|overlap)\b"
         r"|\b(?:decontaminated|leak[- ]free|uncontaminated)\b")  # fmt: skip
COUNTS = {"one": 1, "single": 1, "two": 2, "three": 3, "four": 4, "five": 5}
FILLER = re.compile(
    r"^(?:(?:a|an|the|with|of|for|and|plus|mix(?:ture)?|data|dataset|please|make|build|draft|want|need|i|we|me|to|train(?:ing)?|"
    r"pre-?train(?:ing)?|fine-?tun(?:e|ing)|sft|model|models|on|from|use|in|total|about|around|some of|that|is|are)\s+)+"
    r"|(?:\s+(?:mix(?:ture)?|data|dataset|datasets|in total))+$", re.IGNORECASE)  # fmt: skip


@dataclass(frozen=True)
class Want:
    """A sort of data. share: what of the total the person gives it, None where a mixer decides."""

    words: str
    share: float | None = None
    why: str = ""


@dataclass(frozen=True)
class Goal:
    """unit and total: how much; None: as much as there is. epochs: most passes over a row, 1 where nothing is said."""

    text: str
    total: int | None = None
    unit: str = "samples"
    use: str | None = None
    epochs: float = 1.0
    epochs_said: bool = False
    leaks: bool = False
    tier: str | None = None
    languages: list[str] = field(default_factory=list)
    wants: list[Want] = field(default_factory=list)
    without: list[str] = field(default_factory=list)


def read_goal(text: str) -> Goal:
    """Take a goal apart; `BadInput` where it says nothing, or gives away more than there is."""
    text = " ".join(text.split())
    if not re.search(r"[^\W\d_]", text):
        raise BadInput('say in words what to mix, for example: strata mix draft "code-heavy 2M tokens, commercial use"')
    if len(text) > LONGEST:
        raise BadInput(f"the goal is {len(text):,} characters long; say it in {LONGEST:,} at most")
    goal, rest = Goal(text), text
    for pattern, use in USE:
        if re.search(pattern, rest, re.IGNORECASE):
            goal, rest = replace(goal, use=use), re.sub(pattern, " ", rest, flags=re.IGNORECASE)
            break
    goal, rest = _epochs(goal, rest)
    if re.search(LEAKS, rest, re.IGNORECASE):
        goal, rest = replace(goal, leaks=True), re.sub(LEAKS, " ", rest, flags=re.IGNORECASE)
    if found := re.search(SIZE, rest, re.IGNORECASE):
        unit = "tokens" if found["of"].lower().startswith("token") else "samples"
        goal = replace(goal, total=_size(found["size"], found["unit"]), unit=unit)
        rest = f"{rest[: found.start()]} , {rest[found.end() :]}"
    if found := re.search(r"\b(?:tier |level )?(L[0-4])(?: (?:tier|or above|and above|only))?\b", rest):
        goal, rest = replace(goal, tier=found[1]), rest.replace(found[0], " ")
    wants, without = _wants(rest)
    return _settled(replace(goal, wants=wants, without=without, languages=_languages(wants)))


def _epochs(goal: Goal, rest: str) -> tuple[Goal, str]:
    if re.search(ONCE, rest, re.IGNORECASE):
        return replace(goal, epochs_said=True), re.sub(ONCE, " ", rest, flags=re.IGNORECASE)
    for pattern in EPOCHS:
        if found := re.search(pattern, rest, re.IGNORECASE):
            value = float(COUNTS.get(found[1].lower(), 0) or found[1])
            if not 0 < value <= 1000:
                raise BadInput(f"{value:g} epochs are no number of passes; say 1 to 1,000")
            return replace(goal, epochs=value, epochs_said=True), f"{rest[: found.start()]} , {rest[found.end() :]}"
    return goal, rest


def _size(digits: str, unit: str | None) -> int:
    bare, factor = digits.rstrip(".,_"), UNITS.get((unit or "").lower()[:1], 1.0)
    if (unit or "").lower().startswith("th"):
        factor = 1e3
    size = int(float(bare) * factor) if re.fullmatch(r"\d+\.\d+", bare) else int(_count(bare, None) * factor)
    if not 1 <= size <= 10**15:
        raise BadInput(f"{digits} {unit or ''} is no size of a mix; say 1 to a thousand trillion".replace("  ", " "))
    return size


def _wants(rest: str) -> tuple[list[Want], list[str]]:
    wants: list[Want] = []
    without: list[str] = []
    rest = re.sub(r"\s(without|except(?: for)?|excluding|but not|but no)\s", r" , \1 ", rest, flags=re.IGNORECASE)
    for piece in re.split(r"[,;.+]|\band\b|\bplus\b|&", rest):
        words = " ".join(piece.split())
        if found := re.match(
            r"(?:but )?(?:no|without|except(?: for)?|excluding|not|never)\s+(?:any )?(.+)$", words, re.IGNORECASE
        ):
            without.append(_bare(found[1]))
            continue
        share, why, words = _share(words)
        words = _bare(words)
        if words:
            wants.append(Want(words, share, why))
    return wants, [word for word in without if word]


def _share(words: str) -> tuple[float | None, str, str]:
    if found := re.search(r"\(?(\d+(?:\.\d+)?)\s*(?:%|percent\b|per cent\b)\)?(?:\s+of)?", words):
        return float(found[1]) / 100, f"{found[1]} % as asked", words.replace(found[0], " ")
    heavy = re.compile(r"\b(mostly|mainly|primarily|predominantly|largely)\b|[- ]heavy\b|\bheavy on\b", re.IGNORECASE)
    if heavy.search(words):
        return HEAVY, "half, for heavy or mostly", heavy.sub(" ", words)
    light = re.compile(r"\b(some|a bit of|a little|a few|a touch of|a pinch of)\b|[- ]light\b", re.IGNORECASE)
    if light.search(words):
        return LIGHT, "a tenth, for some or a bit", light.sub(" ", words)
    return None, "", words


def _bare(words: str) -> str:
    words, before = " ".join(words.split()), None
    while before != words:
        before, words = words, FILLER.sub("", f"{words} ").strip()
    return "" if FILLER.fullmatch(f"{words} ") or re.fullmatch(r"[\W_]*", words) else words


def _languages(wants: list[Want]) -> list[str]:
    words = " ".join(want.words for want in wants).casefold()
    return list(dict.fromkeys(code for name, code in LANGUAGES.items() if re.search(rf"\b{name}\b", words)))


def _settled(goal: Goal) -> Goal:
    """Shares that add up to one, or leave something to the wants without one. A lone heavy want leaves the rest to whatever
    else meets the demands."""
    wants = goal.wants
    given = sum(want.share or 0.0 for want in wants)
    if any(want.share is not None and not 0 < want.share <= 1 for want in wants) or given > 1 + 1e-9:
        raise BadInput(f"the shares of the goal add up to {100 * given:.4g} %; give at most 100 %")
    if not wants or any(want.share is None for want in wants) or given > 1 - 1e-9:
        return goal
    if len(wants) == 1:
        return replace(goal, wants=[*wants, Want(REST)])
    even = [
        replace(want, share=(want.share or 0.0) / given, why=f"{want.why}, of what adds up to 100 %") for want in wants
    ]
    return replace(goal, wants=even)
