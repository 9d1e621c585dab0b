"""An index of cards, by words and by meaning: which of many short descriptions answers a need.

Words: BM25 (Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond") over fields with
weights, which enter the term counts as in Robertson, Zaragoza and Taylor 2004, "Simple BM25 extension to multiple weighted
fields". Names of data sets are written without spaces (`HotpotQA`, `definite_pronoun_resolution`), so words are also cut at
underscores, at a change of case and between letters and digits. A word also counts half where a card has one that it begins,
or that begins with it (`math`, `mathematics`), from four letters on.

Meaning: a card is two passages or more, its title, its whole and what else is given; the nearest passage counts.

Several rankings become one by the sum of their scores, each divided by its highest (the convex combination of Bruch, Gai
and Ingber 2023, "An Analysis of Fusion Functions for Hybrid Retrieval", arXiv:2210.11934), see `blend`. A card is data: what
it says of itself or of others has the weight of its words and no more.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

K1, B = 1.2, 0.75
KIN, LEAST = 0.5, 4
"""How much a word counts that begins another one, and the letters it needs for that."""
WEIGHTS = {
    "name": 3.0,
    "title": 3.0,
    "collection": 2.0,
    "creators": 0.7,
    "licences": 0.3,
    "excerpts": 0.5,
    "values": 0.5,
}
"""How often a word of a field counts; 1 for the fields that are not here."""
STOP = frozenset(
    "a about all an and any are as at be but by can do for from has have i if in into is it its me must my need needs no "
    "not of on or our please should some such than that the their them there these they this to us want wants was we were "
    "what which who will with would you data dataset datasets".split()
)
ENDINGS = re.compile(r"(ations?|ional|ings?|ment|ions?|ed|es|al|s)$")


@dataclass(frozen=True)
class Document:
    """A card to be found: what it is called, and its text by field. title: fields that make the first passage."""

    ref: str
    fields: Mapping[str, str]
    title: Sequence[str] = ("name",)

    def passages(self) -> list[str]:
        """What is embedded: the title, and everything but the excerpts, which are passages of their own."""
        title = ", ".join(self.fields[name] for name in self.title if self.fields.get(name))
        whole = ". ".join(text for name, text in self.fields.items() if text and name != "excerpts")
        return [title.replace("_", " "), whole]


def words_of(text: str) -> list[str]:
    """Words as the index holds them: cut, folded, without common words and the commonest English endings."""
    text = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", text)
    pieces = re.findall(r"\d+|[^\W\d_]+", text.casefold())
    return [stemmed(word) for word in pieces if word not in STOP]


def stemmed(word: str) -> str:
    """A word without an ending, where enough of it stays."""
    if len(word) <= 4 or not word.isascii():
        return word
    bare = ENDINGS.sub("", word)
    return bare if len(bare) >= 3 else word


@dataclass
class CardIndex:
    """Cards, their postings and their vectors. vectors: (passages, dimensions), of length one; owner: card of each."""

    documents: Sequence[Document]
    vectors: np.ndarray | None = None
    owners: np.ndarray | None = None
    postings: dict[str, dict[int, float]] = field(default_factory=lambda: defaultdict(dict))
    lengths: np.ndarray = field(default_factory=lambda: np.empty(0))
    ordered: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lengths = np.zeros(len(self.documents))
        for at, document in enumerate(self.documents):
            counts: Counter[str] = Counter()
            for name, text in document.fields.items():
                for word, times in Counter(words_of(text)).items():
                    counts[word] += times * WEIGHTS.get(name, 1.0)  # type: ignore[assignment]
            self.lengths[at] = sum(counts.values())
            for word, weight in counts.items():
                self.postings[word][at] = weight
        self.ordered = sorted(self.postings)

    def embed(self, function: Callable[[list[str]], np.ndarray], extra: Sequence[Sequence[str]] = ()) -> None:
        """Give every card its vectors. extra: further passages of each card."""
        texts, owners = [], []
        for at, document in enumerate(self.documents):
            mine = [*document.passages(), *(extra[at] if extra else ())]
            texts += mine
            owners += [at] * len(mine)
        self.vectors, self.owners = unit(function(texts)), np.array(owners, np.int64)

    def by_words(self, query: str, kin: float = KIN) -> np.ndarray:
        """BM25 of every card; 0 where no word is shared. kin: weight of words that begin one another, 0 for none."""
        scores, cards = np.zeros(len(self.documents)), len(self.documents)
        norm = K1 * (1 - B + B * self.lengths / max(float(self.lengths.mean()) if cards else 1.0, 1e-9))
        for word in dict.fromkeys(words_of(query)):
            held = Counter(self.postings.get(word, {}))
            for other in self.akin(word) if kin else ():
                for at, times in self.postings[other].items():
                    held[at] += kin * times  # type: ignore[assignment]
            if not held:
                continue
            at, tf = np.array(list(held)), np.array(list(held.values()))
            idf = np.log1p((cards - len(at) + 0.5) / (len(at) + 0.5))
            scores[at] += idf * tf * (K1 + 1) / (tf + norm[at])
        return scores

    def akin(self, word: str) -> Iterator[str]:
        """Words of the cards that a word begins, or that begin it."""
        if len(word) < LEAST:
            return
        for size in range(LEAST, len(word)):
            if word[:size] in self.postings:
                yield word[:size]
        for other in self.ordered[bisect_left(self.ordered, word) :]:
            if not other.startswith(word):
                break
            if other != word:
                yield other

    def by_meaning(self, vector: np.ndarray) -> np.ndarray:
        """Cosine of the nearest passage of every card; 0 where there is no vector."""
        scores = np.full(len(self.documents), -1.0)
        if self.vectors is None or self.owners is None or not np.any(vector):
            return np.zeros(len(self.documents))
        np.maximum.at(scores, self.owners, self.vectors @ unit(vector[None])[0])
        return np.maximum(scores, 0.0)

    def hybrid(self, query: str, vector: np.ndarray) -> np.ndarray:
        """Both, of equal weight."""
        return blend([self.by_words(query), self.by_meaning(vector)])

    def lacking(self, query: str) -> list[str]:
        """Words of a query, as written, that no card has, not even as the beginning of another."""
        parts = dict.fromkeys(re.findall(r"[^\W\d_]+", query.casefold()))
        asked = {word: stemmed(word) for word in parts if word not in STOP and len(word) > 2}
        unknown = {word: stem for word, stem in asked.items() if stem not in self.postings and not any(self.akin(stem))}
        return [word for word, stem in unknown.items() if not any(held.startswith(stem) for held in self.postings)]


def akin(word: str, other: str) -> bool:
    """Whether two words are one, or the shorter, of four letters or more, begins the longer."""
    short, long = sorted((word, other), key=len)
    return short == long or (len(short) >= LEAST and long.startswith(short))


def blend(rankings: Sequence[np.ndarray], weights: Sequence[float] | None = None) -> np.ndarray:
    """Sum of scores over rankings, each divided by its highest; scores are 0 or more, and a ranking of zeros adds none."""
    total = np.zeros(len(rankings[0]) if rankings else 0)
    for scores, weight in zip(rankings, weights or [1.0] * len(rankings), strict=True):
        highest = scores.max(initial=0.0)
        total += weight * scores / highest if highest > 0 else 0.0
    return total


def best(scores: np.ndarray, limit: int) -> list[int]:
    """Places of the highest scores above 0; equal ones in their order."""
    order = np.lexsort((np.arange(len(scores)), -scores))[:limit]
    return [int(at) for at in order if scores[at] > 0]


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of length one; zero rows stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1.0)).astype(np.float32)
