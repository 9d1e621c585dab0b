"""Modified Kneser-Ney against its definition over tuples of words, and against the law that probabilities add to one."""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict

import numpy as np
import pytest

from flows.scorers.ngram._hashing import word_hashes
from flows.scorers.ngram._kneser_ney import estimate, log_probabilities, sentences

ORACLES = {"ngram_perplexity": "the definition over tuples of words, within 1e-9; sums to one"}

LETTERS = "abcdefghij"


def corpus(lines: int = 300, seed: int = 0) -> list[list[str]]:
    """Sentences whose words follow one another unevenly."""
    rng, made = random.Random(seed), []
    for _ in range(lines):
        word, line = rng.choice(LETTERS), []
        for _ in range(rng.randint(1, 9)):
            line.append(word if rng.random() < 0.8 else f"r{int(rng.paretovariate(0.7)) % 1000}")
            step = min(int(rng.expovariate(0.6)), 9)
            word = LETTERS[(LETTERS.index(word) + step) % 10]
        made.append(line)
    return made


class Definition:
    """Chen and Goodman's recursion, word by word, with the adjusted counts of Heafield et al."""

    def __init__(self, lines: list[list[str]], order: int) -> None:
        self.order, lines = order, [["<s>", *line, "</s>"] for line in lines]
        plain = [
            Counter(tuple(line[i : i + n]) for line in lines for i in range(len(line) - n + 1))
            for n in range(1, order + 1)
        ]
        del plain[0][("<s>",)]
        self.words = [gram[0] for gram in plain[0]]
        self.counts = [plain[-1]]
        for n in range(order - 1, 0, -1):
            before = defaultdict(set)
            for gram in plain[n]:
                before[gram[1:]].add(gram[0])
            self.counts.insert(0, {g: c if g[0] == "<s>" else len(before[g]) for g, c in plain[n - 1].items()})
        self.discount = [self._discounts(counts) for counts in self.counts]

    @staticmethod
    def _discounts(counts):
        t = [sum(1 for c in counts.values() if c == k) for k in range(5)]
        if not all(t[1:4]):
            return [0, 0.5, 1, 1.5]
        y = t[1] / (t[1] + 2 * t[2])
        found = [0, *(k - (k + 1) * y * t[k + 1] / t[k] for k in (1, 2, 3))]
        return found if all(0 <= d <= k for k, d in enumerate(found)) else [0, 0.5, 1, 1.5]

    def __call__(self, context: tuple[str, ...], word: str) -> float:
        n = len(context) + 1
        lower = self(context[1:], word) if context else 1 / (len(self.words) + 1)
        counts, discount = self.counts[n - 1], self.discount[n - 1]
        after = {gram: c for gram, c in counts.items() if gram[:-1] == context}
        if not after:
            return lower
        total = sum(after.values())
        rest = sum(discount[min(c, 3)] for c in after.values()) / total
        own = after.get((*context, word), 0)
        return max(own - discount[min(own, 3)], 0) / total + rest * lower


def probabilities(lines: list[list[str]], order: int, queries: list[list[str]]) -> np.ndarray:
    stream = sentences(*word_hashes([" ".join(line) for line in lines]))
    asked = sentences(*word_hashes([" ".join(line) for line in queries]))
    return np.exp(log_probabilities(estimate(*stream, order), *asked))


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_probabilities_equal_the_definition(order):
    lines, queries = corpus(), [*corpus(20, seed=9), ["zz", "a", "zz", "b", "c"]]
    model, want = Definition(lines, order), []
    assert model.discount[-1][1] != 0.5 or order == 1
    for line in queries:
        whole = ["<s>", *line, "</s>"]
        for i in range(1, len(whole)):
            want.append(model(tuple(whole[max(0, i - order + 1) : i]), whole[i]))
    assert probabilities(lines, order, queries) == pytest.approx(np.array(want), rel=1e-9)


def test_probabilities_after_any_words_add_to_one():
    lines = corpus()
    for context in (["a"], ["b", "c"], ["a", "zz"], ["j", "a", "b"]):
        words = [*sorted({word for line in lines for word in line}), "unseen"]
        found = probabilities(lines, 3, [[*context, word] for word in words]).reshape(len(words), -1)
        got = [*found[:, len(context)], probabilities(lines, 3, [context])[-1]]
        assert math.fsum(got) == pytest.approx(1, abs=1e-9)
