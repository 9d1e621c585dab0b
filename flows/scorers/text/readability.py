"""Readability formulas of English: how many years of schooling a text asks for, from the length of words and sentences.

Flesch 1948 (reading ease), Kincaid et al. 1975 (grade), Gunning 1952 (fog), McLaughlin 1969 (SMOG), Coleman and Liau
1975, Smith and Senter 1967 (ARI). Words are runs between white space less their punctuation, sentences end in . ! or ?
and have more than two words, syllables are counted by rule (`syllables`; there is no dictionary), and a hard word has
three syllables or more. Letters are letters and digits. SMOG was made on 30 sentences and is scaled to them. The Dale-Chall score is left out: its list
of easy words has no licence that lets it be passed on. Languages other than English get numbers without meaning.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import NamedTuple

import pyarrow as pa

from catalog.plugins import Context, Out, scorer
from flows.scorers.text._rows import Values, score_rows

SENTENCE = re.compile(r"\b[^.!?]+[.!?]*")
NOT_WORD = re.compile(r"[^\w\s']")
VOWELS = re.compile(r"[aeiouyáéíóúàèâêîôûäöü]+")
SPLIT = re.compile(
    r"i(?:a(?!n)|o(?!n)|um|ous|us$)|e(?:o(?!n)|um$)|u(?:a(?!g)|ous|al)|yi|[aeou]ing$|ea(?:te|tor|l$)|ie(?:t|r$)|oe(?:t|m)|ism"
)
SILENT = re.compile(r"(?:[^aeiouy]|[aeiou][^aeiouy])(?:e|es|ely|eness|eless|ement|eful)$|[^aeiouytd]ed$")
LOUD = re.compile(r"[^aeiouyl]les?$|(?:[sxzcg]|[sc]h)es$|[td]ed$")


IRREGULAR: dict[str, int] = dict.fromkeys("every people business something sometimes someone evening".split(), 2)
IRREGULAR |= dict.fromkeys("idea area ideas areas".split(), 3) | {"science": 2, "sciences": 3}


class Counts(NamedTuple):
    """What the formulas are made of."""

    words: int
    sentences: int
    syllables: int
    hard_words: int
    letters: int


def _out(name: str, doc: str, better: None = None) -> Out:
    return Out(name, pa.float32(), doc, better)


OUTS = (
    _out("flesch_ease", "Flesch reading ease: 90 very easy, 30 difficult"),
    _out("flesch_kincaid", "Flesch-Kincaid grade: years of school"),
    _out("gunning_fog", "Gunning fog index: years of school"),
    _out("smog", "SMOG grade: years of school"),
    _out("coleman_liau", "Coleman-Liau index: years of school"),
    _out("ari", "automated readability index: years of school"),
    Out("syllables_per_word", pa.float32(), "syllables per word, by rule", range=(1, None)),
    Out("words_per_sentence", pa.float32(), "words per sentence", range=(0, None)),
)


@lru_cache(1 << 16)
def syllables(word: str) -> int:
    """Syllables of an English word in lower case: groups of vowels, more where two vowels are apart, less for a silent e."""
    if word in IRREGULAR:
        return IRREGULAR[word]
    count = len(VOWELS.findall(word)) + len(SPLIT.findall(word))
    if SILENT.search(word) and not LOUD.search(word):
        count -= 1
    return max(count, 1)


def count(text: str) -> Counts:
    """Counts of one text."""
    words = NOT_WORD.sub("", text).split()
    each = [syllables(word.lower().removesuffix("'s")) for word in words]
    parts = SENTENCE.findall(text)
    sentences = max(1, sum(len(NOT_WORD.sub("", part).split()) > 2 for part in parts))
    letters = len(re.sub(r"[^\w]", "", text))
    return Counts(len(words), sentences, sum(each), sum(n >= 3 for n in each), letters)


def formulas(c: Counts) -> Values:
    """The published formulas."""
    length, syllable = c.words / c.sentences, c.syllables / c.words
    return {
        "flesch_ease": 206.835 - 1.015 * length - 84.6 * syllable,
        "flesch_kincaid": 0.39 * length + 11.8 * syllable - 15.59,
        "gunning_fog": 0.4 * (length + 100 * c.hard_words / c.words),
        "smog": 1.043 * math.sqrt(30 * c.hard_words / c.sentences) + 3.1291,
        "coleman_liau": 0.0588 * 100 * c.letters / c.words - 0.296 * 100 * c.sentences / c.words - 15.8,
        "ari": 4.71 * c.letters / c.words + 0.5 * length - 21.43,
        "syllables_per_word": syllable,
        "words_per_sentence": length,
    }


def measure(text: str) -> Values:
    """The formulas of one text; none without words."""
    counts = count(text)
    return formulas(counts) if counts.words else {}


@scorer(
    "readability",
    version="1",
    reads=["text"],
    writes=OUTS,
    cost="cpu",
    citation="Flesch 1948; Kincaid et al. 1975; Gunning 1952; McLaughlin 1969; Coleman and Liau 1975; Smith and Senter 1967",
    languages=("en",),
)
def readability(batch: pa.RecordBatch, ctx: Context) -> dict[str, pa.Array]:
    return score_rows(batch["text"], OUTS, measure)
