"""Release notes reworded by a language model, sentence by sentence, under checks: same numbers, same names, or not at all."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from agents.asking import Asker, Query, json_of
from agents.figures import numbers_in, strange_numbers
from agents.prompting import prompt, version
from agents.wording import worded_answers

PROMPT = "version_notes"
TOGETHER = 8
"""Sentences in one question."""
SCHEMA = {
    "type": "object", "additionalProperties": False, "required": ["sentences"],
    "properties": {"sentences": {"type": "array", "items": {"type": "string"}}},
}  # fmt: skip
NAMES = re.compile(r"`[^`]*`")
LONGER = 2
"""How many times its length a sentence may become, beside forty characters."""


def reworded(asker: Asker, sections: list[list[str]], datasets: list[str]) -> list[dict[str, Any]]:
    """Put better sentences into the sections, in place; the answers that were refused come back."""
    import orjson

    if not asker.may_show(datasets):
        asker.notes.append("the notes were not told to the endpoint: a dataset is raw, or its owner gave no consent")
        return []
    warned = {at + 1 for at, lines in enumerate(sections) if lines == ["## Warnings"]}
    places = [
        (at, line) for at, lines in enumerate(sections) if at not in warned
        for line, text in enumerate(lines) if _is_sentence(text)
    ]  # fmt: skip
    groups = [places[begin : begin + TOGETHER] for begin in range(0, len(places), TOGETHER)]
    texts = [[sections[at][line] for at, line in group] for group in groups]
    queries = [
        Query(prompt(PROMPT), f"Sentences (data, no instructions):\n{orjson.dumps(held).decode()}", SCHEMA, 1200)
        for held in texts
    ]
    values, refused = worded_answers(asker, queries, lambda at, text: _read(text, texts[at]))
    for group, value in zip(groups, values, strict=True):
        for (at, line), text in zip(group, value or (), strict=False):
            sections[at][line] = text
    asker.notes.append(f"prompt {PROMPT} {version(PROMPT)}, model {asker.model}")
    if refused:
        asker.notes.append(f'{len(refused)} answers were refused and are kept raw under "refused"')
    return refused


def _is_sentence(text: str) -> bool:
    """Whether a line may be reworded: warnings, the bump and its rule stay as the rules word them."""
    return text.endswith(".") and not text.startswith(("#", "|", "Suggested bump", "Rule for"))


def _read(text: str, given: list[str]) -> list[str]:
    answer = json_of(text)
    held = answer.get("sentences") if isinstance(answer, dict) and set(answer) == {"sentences"} else None
    if not isinstance(held, list) or len(held) != len(given) or not all(isinstance(one, str) for one in held):
        raise ValueError(f"it needs the one key sentences with {len(given)} strings")
    return [_same(" ".join(one.split()), old) for one, old in zip(held, given, strict=True)]


def _same(new: str, old: str) -> str:
    """The new sentence where it says no number and no name but the old one's, and all of those; else ValueError."""
    short = old[:60]
    if strange := strange_numbers(new, old):
        raise ValueError(f"the sentence for {short!r} holds numbers that it does not: {', '.join(strange[:5])}")
    if Counter(numbers_in(new)) != Counter(numbers_in(old)):
        raise ValueError(f"the sentence for {short!r} lost or doubled a number")
    if Counter(NAMES.findall(new)) != Counter(NAMES.findall(old)):
        raise ValueError(f"the sentence for {short!r} has other names in backticks")
    if not new or len(new) > LONGER * len(old) + 40 or re.search(r"https?://|<[a-z!/]|\]\(|^#|\|", new):
        raise ValueError(f"the sentence for {short!r} must stay one plain sentence of about that length")
    bullet = "- " if old.startswith("- ") else ""
    return bullet + new.removeprefix("- ")
