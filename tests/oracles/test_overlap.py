"""Overlap with evals, and the word hashes below it, against plain Python over tuples of words."""

from __future__ import annotations

import random
import unicodedata
from collections import Counter
from pydoc_data.topics import topics

import numpy as np
import pyarrow as pa
import pytest

from catalog.plugins import Context, EvalSet
from flows.scorers.ngram._hashing import fold, ngram_hashes, word_hashes
from flows.scorers.ngram.eval_overlap import Params, eval_overlap, fit

ORACLES = {
    "eval_overlap": "the definition over tuples of words",
}

SCRIPTS = [
    "The quick-brown fox; jumps over it's lazy dog! 3.14 and ½ … ﬁne Straße ΣΊΣΥΦΟΣ",
    "caf\u00e9 cafe\u0301 CAFÉ e\u0301te\u0301 na\u00efve co\u00adoperate zero\u200bwidth \ufeffbom ❤️ ❤",
    "敏捷的棕色狐狸跳过了懒狗。 Latin混在一起words 東京タワーへ行きました",
    "ภาษาไทยไม่มีช่องว่าง ที่นี่ ພາສາລາວ ខ្មែរ မြန်မာ བོད་ཡིག",
    "הכלב המהיר قفز الكلب السريع فوق हिन्दी में लिखा हुआ पाठ বাংলা தமிழ் 한국어 문장입니다 각가",
    "under_score camelCase x² H₂O №5 Ⅻ ①② \U0001d400\U0001d401 🎉🎉 \u0301abc \u0e31x",
    "",
    "... !!!",
]
UNSPACED = [(0xE00, 0x1100), (0x1780, 0x1800), (0x3005, 0x3008), (0x3040, 0x3100), (0x31F0, 0x3200), (0x3400, 0x4DC0)]
UNSPACED += [(0x4E00, 0xA000), (0xF900, 0xFB00), (0x20000, 0x40000)]


def plain_words(text):
    """The words of a text, read off the definition character by character."""
    words, previous = [], "outside"
    for character in fold(text):
        kind = {"L": "letter", "N": "letter", "M": "mark"}.get(unicodedata.category(character)[0], "outside")
        alone = any(low <= ord(character) < high for low, high in UNSPACED)
        if kind == "letter":
            new = alone or previous not in ("letter", "mark")
            previous = "alone" if alone else "letter"
        elif kind == "mark":
            new = previous == "outside"
            previous = "alone" if alone else "mark"
        else:
            previous = "outside"
            continue
        if new:
            words.append(character)
        else:
            words[-1] += character
    return words


@pytest.fixture(scope="module")
def paragraphs():
    return [part for topic in sorted(topics)[:60] for part in topics[topic].split("\n\n") if part.strip()]


def test_hashes_are_equal_where_words_are_equal(paragraphs):
    texts = SCRIPTS + paragraphs + [None] + [" ".join(SCRIPTS)] * 2
    hashes, offsets = word_hashes(texts)
    by_word: dict[str, set[int]] = {}
    for text, low, high in zip(texts, offsets[:-1], offsets[1:], strict=True):
        words = plain_words(text or "")
        assert len(words) == high - low, text
        for word, value in zip(words, hashes[low:high].tolist(), strict=True):
            by_word.setdefault(word, set()).add(value)
    assert all(len(values) == 1 for values in by_word.values())
    assert len(set().union(*by_word.values())) == len(by_word) > 2000


def test_hashes_do_not_depend_on_neighbouring_texts(paragraphs):
    texts = (SCRIPTS + paragraphs[:50]) * 2 + ["long " * 100_000, "x" * 300_000, "语" * 5000]
    together, offsets = word_hashes(texts)
    alone = [word_hashes([text])[0] for text in texts]
    assert np.diff(offsets).tolist() == [part.size for part in alone]
    assert np.array_equal(together, np.concatenate(alone))


@pytest.mark.parametrize("n", [1, 2, 5, 13])
def test_windows_are_those_within_one_text(n):
    texts = ["a b c d e f g", "", "a b", "b c d e f g h i j k l m n o p q", None, "a b c d e f g"]
    hashes, first = ngram_hashes(*word_hashes(texts), n)
    want, at = [], 0
    for text in texts:
        words = plain_words(text or "")
        want += [(at + i, tuple(words[i : i + n])) for i in range(len(words) - n + 1)]
        at += len(words)
    assert first.tolist() == [index for index, _ in want]
    names: dict[tuple, int] = {}
    assert all(names.setdefault(gram, value) == value for (_, gram), value in zip(want, hashes.tolist(), strict=True))
    assert len(set(names.values())) == len(names)


def plain_overlap(text, evals, n, shortest):
    words = plain_words(text)
    covered, hits, sources = set(), 0, Counter()
    for length in range(shortest, n + 1):
        for start in range(len(words) - length + 1):
            gram = tuple(words[start : start + length])
            holders = [ref for ref, index in evals if gram in index]
            if holders:
                hits += 1
                covered |= set(range(start, start + length))
                sources.update(holders)
    best = min(sources, key=lambda ref: (-sources[ref], [r for r, _ in evals].index(ref))) if sources else None
    return len(covered) / max(len(words), 1), hits, best


@pytest.mark.parametrize(("n", "shortest"), [(13, 8), (5, 5), (6, 2)])
def test_overlap_equals_the_definition(paragraphs, n, shortest):
    rng = random.Random(n)
    items = {f"eval{k}@v1": rng.sample(paragraphs, 12) for k in range(3)}
    items["eval1@v1"] += items["eval0@v1"][:4] + [
        " ".join(p.split()[:k]) for p, k in zip(paragraphs[::9], range(1, 15))
    ]
    rows = rng.sample(paragraphs, 60) + SCRIPTS
    rows += [f"before {rng.choice(items[ref])} after" for ref in items for _ in range(5)]
    rows += [" ".join(p.split()[:k]) for p, k in zip(paragraphs[::9], range(1, 15))]

    index = []
    for ref, texts in items.items():
        grams = set()
        for words in map(plain_words, texts):
            size = len(words) if shortest <= len(words) < n else n
            grams |= {tuple(words[i : i + size]) for i in range(len(words) - size + 1)}
        index.append((ref, grams))
    want = [plain_overlap(row, index, n, shortest) for row in rows]

    def scan(texts):
        return lambda columns=None: (pa.record_batch({"text": texts[i : i + 7]}) for i in range(0, len(texts), 7))

    ctx = Context(
        Params(n=n, shortest=shortest), evals=tuple(EvalSet(ref, scan(texts)) for ref, texts in items.items())
    )
    ctx.state = fit(scan([]), ctx)
    got = eval_overlap(pa.record_batch({"text": rows}), ctx)
    assert got["eval_overlap_hits"].to_pylist() == [hits for _, hits, _ in want]
    assert got["eval_overlap_source"].to_pylist() == [source for _, _, source in want]
    assert got["eval_overlap"].to_pylist() == pytest.approx([share for share, _, _ in want], abs=1e-6)
    assert sum(hits > 0 for _, hits, _ in want) > 15
