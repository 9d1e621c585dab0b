"""Corpus statistics of facts against a loop over paragraphs and facts."""

from __future__ import annotations

import random
import re

import pytest

from catalog.errors import BadInput
from catalog.selections import save
from catalog.testing import append_texts
from flows.facts import fact_counts

PEOPLE = ["Ada Lovelace", "Ada", "Marie Curie", "Jean-Luc Godard", "Li"]
CITIES = ["London", "New York", "York", "Paris", "New York City"]
WORDS = "was born in the city of a and then moved to from near river".split()


def _texts(count: int = 120) -> list[str]:
    rng = random.Random(0)
    texts = []
    for _ in range(count):
        lines = []
        for _ in range(rng.randint(1, 4)):
            names = [rng.choice(PEOPLE), rng.choice(CITIES), rng.choice(["", rng.choice(CITIES)])]
            words = [rng.choice(WORDS) for _ in range(rng.randint(0, 5))]
            lines.append(rng.choice([
                f"{names[0]} was born in {names[1]}.", f"{names[1]}, {' '.join(words)} {names[0]}'s {names[2]}",
                f"{names[0].upper()} {' '.join(words)}; {names[1].lower()}!", " ".join(words), "",
            ]))  # fmt: skip
        texts.append(rng.choice(["\n", "\n\n", "\r\n"]).join(lines))
    return texts


def _has(paragraph: str, phrase: str) -> bool:
    words, wanted = (re.findall(r"[a-z0-9]+", text.lower()) for text in (paragraph, phrase))
    return any(words[i : i + len(wanted)] == wanted for i in range(len(words) - len(wanted) + 1))


def _loop(texts: list[str], fact: dict[str, str], unit: str) -> dict[str, int]:
    """One unit and one fact at a time."""
    units = texts if unit == "document" else [line for text in texts for line in text.splitlines()]
    counts = dict.fromkeys(("subject", "object", "together", "pattern_object", "sentence"), 0)
    for one in units:
        subject, object_ = _has(one, fact["subject"]), _has(one, fact["object"])
        counts["subject"] += subject
        counts["object"] += object_
        counts["together"] += subject and object_
        counts["pattern_object"] += object_ and _has(one, "was born in")
        counts["sentence"] += _has(one, f"{fact['subject']} was born in {fact['object']}")
    return counts


@pytest.mark.parametrize("unit", ["paragraph", "document"])
def test_counts_equal_the_loop(cat, unit):
    texts = _texts()
    ref = append_texts(cat, "pages", texts, fragments=3)
    facts = [
        {"subject": person, "object": city, "pattern": "[X] was born in [Y]"} for person in PEOPLE for city in CITIES
    ]
    found = fact_counts(cat, ref, facts, unit)
    assert [one["counts"] for one in found["facts"]] == [_loop(texts, fact, unit) for fact in facts]
    assert max(one["counts"]["sentence"] for one in found["facts"]) > 2


def test_facts_without_a_pattern_and_rows_of_a_selection(cat):
    append_texts(cat, "pages", ["Ada lived in London.\nLondon is large.", "Paris and Ada", "北京是中国的首都。"])
    save(cat, "ours", "pages", "text LIKE '%London%'")
    facts = [{"subject": "ada", "object": "LONDON"}, {"subject": "北京", "object": "首都"}]
    counts = [one["counts"] for one in fact_counts(cat, "pages", facts)["facts"]]
    assert counts == [{"subject": 2, "object": 2, "together": 1}, {"subject": 1, "object": 1, "together": 1}]
    assert fact_counts(cat, "ours", facts)["facts"][0]["counts"] == {"subject": 1, "object": 2, "together": 1}
    assert fact_counts(cat, "ours", facts)["units"] == 2


@pytest.mark.parametrize(
    ("facts", "reason"),
    [([], "none given"), ([{"subject": "a"}], "fact 1 has no object"), ([{"subject": "?!", "object": "b"}], "no subject"),
     ([{"subject": "a", "object": "b", "pattern": "born in [Y]"}], r"lacks \[X\]")],
)  # fmt: skip
def test_facts_that_are_none_are_refused(cat, facts, reason):
    append_texts(cat, "pages", ["a b"])
    with pytest.raises(BadInput, match=reason):
        fact_counts(cat, "pages", facts)
